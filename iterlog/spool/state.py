"""The file ``state.json``: whose spool it is, and what was last known of the store."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass

import msgspec

from iterlog.errors import CorruptionError
from iterlog.files.durable import READ_FLAGS, sync_directory, write_all
from iterlog.position import Position

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE = 0o600


@dataclass(frozen=True)
class Known:
    """What was last known of a store.

    Attributes:
        number: The first iteration number it had not handed out.
        position: Where it ended, as text.
        line: Its newest line, each byte as one character; None when it had none.
    """

    number: int
    position: str
    line: str | None

    @classmethod
    def of(cls, number: int, newest: tuple[Position, bytes] | None) -> Known:
        """Make it of a store's next number and its newest line."""
        if newest is None:
            return cls(number, "0", None)
        return cls(number, str(newest[0]), newest[1].decode("latin-1"))

    @property
    def newest(self) -> tuple[Position, bytes] | None:
        """The newest line, with the position behind it."""
        return None if self.line is None else (Position.parse(self.position), self.line.encode("latin-1"))


@dataclass(frozen=True)
class State:
    """The content of the file.

    Attributes:
        store: Which history the spool belongs to; see `iterlog.places.identity_of`.
        kind: The class of its store: another one has other positions.
        created: When the spool began, in seconds since 1970: tells its positions from those of another.
        known: What was last known of the store; None when it was never seen.
        loops: How many loops have taken the history over through this spool.
    """

    store: str
    kind: str
    created: int
    known: Known | None = None
    loops: int = 0
    format: int = 1


class StateFile:
    """The file, which is always replaced as a whole.

    Args:
        path: The file's.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def mark(self) -> tuple[int, int] | None:
        """Return what changes whenever the file is replaced; None when there is no file."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return None
        return there.st_ino, there.st_mtime_ns

    def read(self) -> State | None:
        """Return its content; None when there is no file.

        Raises:
            CorruptionError: There is one, and it cannot be understood.
        """
        try:
            descriptor = os.open(self._path, READ_FLAGS)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read()
        try:
            return msgspec.convert(msgspec.json.decode(data), State)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CorruptionError(
                f"{self._path!r} cannot be understood ({error}); what waits stands in the directory 'backlog' beside "
                "it, which is a history of its own: 'iterlog archive' copies it"
            ) from error

    def write(self, state: State) -> None:
        """Replace the content, durably; only under the spool's lock."""
        temporary = f"{self._path}.tmp"
        descriptor = os.open(temporary, _FLAGS, _MODE)
        try:
            write_all(descriptor, msgspec.json.encode(asdict(state)) + b"\n")
            os.fsync(descriptor)
            os.replace(temporary, self._path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        sync_directory(os.path.dirname(self._path))
