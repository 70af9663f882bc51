"""One plain JSONL file: ``iteration_history.jsonl``, ``file:///abs/path.jsonl``, ``jsonl:///abs/path.jsonl``.

The default, and what any tool reads. How an append survives what, `iterlog.files.logfile` tells; this room opens the
file, reads it, and names it in errors.
"""

from __future__ import annotations

import enum
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from iterlog.abilities import SupportsClaim, SupportsNumbering
from iterlog.errors import ConfigError, CorruptionError, HistoryNotFoundError, UnsupportedOperationError
from iterlog.options import Option, choice_of
from iterlog.position import Durability, Position
from iterlog.reader import COMMON_OPTIONS
from iterlog.reports import Fault
from iterlog.store import HistoryStore

if sys.platform == "win32":
    raise UnsupportedOperationError(
        "histories in local files need POSIX locks, which Windows does not have; use WSL, or memory:// for a trial"
    )

from iterlog.files.durable import READ_FLAGS
from iterlog.files.failures import became_a_directory, translated
from iterlog.files.lines_of import last_append, lines_back, lines_forward
from iterlog.files.logfile import LogFile
from iterlog.files.machine import network_file_system
from iterlog.files.replaced import ReplacedFile
from iterlog.files.tail import unread_end
from iterlog.lines import is_whole_append

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from iterlog.url import HistoryURL


class Write(enum.Enum):
    """How an append reaches the file."""

    APPEND = "append"
    REPLACE = "replace"


class NetworkFileSystem(enum.Enum):
    """What to do on a file system that other machines may write to."""

    REFUSE = "refuse"
    ALLOW = "allow"


class JsonlHistory(HistoryStore, SupportsNumbering, SupportsClaim):
    """A history in one plain JSONL file; a position is the offset behind a line."""

    OPTIONS: ClassVar[Mapping[str, Option]] = {
        **COMMON_OPTIONS,
        "write": Option(choice_of(Write), Write.APPEND, "append, or replace the whole file on each append"),
        "network_fs": Option(
            choice_of(NetworkFileSystem),
            NetworkFileSystem.REFUSE,
            "refuse to write on NFS, SMB and the like, or allow it (one machine per file)",
        ),
    }

    def __init__(
        self,
        url: HistoryURL,
        *,
        write: Write = Write.APPEND,
        network_fs: NetworkFileSystem = NetworkFileSystem.REFUSE,
        **options: Any,
    ) -> None:
        super().__init__(url, **options)
        self._path = os.path.realpath(url.local_path())
        self._unfinished: dict[int, int] = {}
        self._check_place()
        kind = network_file_system(_existing(self._path))
        self._refused = kind if network_fs is NetworkFileSystem.REFUSE else None
        make = ReplacedFile if write is Write.REPLACE else LogFile
        self._file = make(self._path, self.url, self._report_dropped, shared_with_other_machines=kind is not None)

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        if self._refused:
            self._refuse()
        return self._file.append(lines, durability)

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        if self._refused:
            self._refuse()
        return self._file.append_numbered(make, durability)

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        offset = start[0] if start else 0
        if len(start) > 1:
            raise ConfigError(f"position {start} is not one of this history", url=self.url)
        descriptor = self._open_to_read()
        if descriptor is None:
            if offset:
                raise CorruptionError(f"the file before position {start} is gone", url=self.url, position=start)
            return
        try:
            size, newline, end = last_append(descriptor)
            untouched = self._untouched_tail(descriptor, newline, size)
            if offset:
                self._check_offset(descriptor, offset, size + bool(untouched))
            for stop, line in lines_forward(descriptor, offset, end, self._note_unfinished):
                yield Position.of(stop), line
            if untouched and offset <= newline:
                yield Position.of(size + 1), untouched
        except OSError as error:
            raise translated(error, self.url) from error
        finally:
            os.close(descriptor)

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        descriptor = self._open_to_read()
        if descriptor is None:
            return
        try:
            size, newline, end = last_append(descriptor)
            if untouched := self._untouched_tail(descriptor, newline, size):
                yield Position.of(size + 1), untouched
            for stop, line in lines_back(descriptor, end):
                yield Position.of(stop), line
        except OSError as error:
            raise translated(error, self.url) from error
        finally:
            os.close(descriptor)

    def _unread(self) -> list[Fault]:
        faults = [Fault.of_unfinished(Position.of(stop), count) for stop, count in self._unfinished.items()]
        if self._unread_end():
            # What looks torn may be an append in flight; who keeps writers out can tell.
            with self._file.at_rest():
                faults += self._unread_end()
        return faults

    def _unread_end(self) -> list[Fault]:
        """Return what stands behind the last whole append."""
        descriptor = self._open_to_read()
        if descriptor is None:
            return []
        try:
            size, newline, _ = last_append(descriptor)
            if self._untouched_tail(descriptor, newline, size):
                return []
            return [Fault(Position.of(stop), kind, detail) for stop, kind, detail in unread_end(descriptor)]
        except OSError as error:
            raise translated(error, self.url) from error
        finally:
            os.close(descriptor)

    def _next_number(self) -> int:
        return self._file.repair()

    def _repair(self) -> None:
        self._file.repair()

    def _claim(self) -> None:
        if self._refused:
            self._refuse()
        self._file.claim()

    def _flush(self) -> None:
        self._file.flush()

    def _close(self) -> None:
        self._file.close()

    def _refuse(self) -> None:
        raise UnsupportedOperationError(
            f"the file lies on {self._refused}, where another machine's writer would go unnoticed; give each machine a "
            "file of its own and say so with ?network_fs=allow, or keep the history on a local disk",
            url=self.url,
        )

    def _check_place(self) -> None:
        """Refuse at once what can never be a history."""
        descriptor = self._open_to_read()
        if descriptor is not None:
            os.close(descriptor)
        elif not self._create:
            raise HistoryNotFoundError("there is no history at this path", url=self.url)

    def _open_to_read(self) -> int | None:
        try:
            descriptor = os.open(self._path, READ_FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            if os.path.islink(self._path) and os.path.isdir(self._path):
                raise became_a_directory(self.url) from None
            raise translated(error, self.url) from error
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            kind = "a directory" if stat.S_ISDIR(mode) else "not a plain file"
            raise ConfigError(f"what stands at this path is {kind}; name a file", url=self.url)
        return descriptor

    def _untouched_tail(self, descriptor: int, newline: int, size: int) -> bytes:
        """Return a whole last record without a newline in a file no writer of ours was ever at, else nothing.

        In a file of ours a missing newline means an append in flight. Files of other programs may just end so.
        """
        if newline == size or os.path.exists(f"{self._path}.lock"):
            return b""
        tail = os.pread(descriptor, size - newline, newline)
        return tail if is_whole_append(tail) else b""

    def _check_offset(self, descriptor: int, offset: int, size: int) -> None:
        if offset > size:
            raise CorruptionError(
                f"the file ends at {size}, before position {offset}: it was cut or replaced",
                url=self.url,
                position=Position.of(offset),
            )
        if offset < size and os.pread(descriptor, 1, offset - 1) != b"\n":
            raise ConfigError(f"position {offset} is not one of this history: no line ends there", url=self.url)

    def _note_unfinished(self, stop: int, count: int) -> None:
        self._unfinished[stop] = count


def _existing(path: str) -> str:
    """Return the path, or the nearest directory above it that exists."""
    while not os.path.exists(path) and (parent := os.path.dirname(path)) != path:
        path = parent
    return path
