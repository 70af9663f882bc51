"""Where a copy stood when it was last made durable, so that going on costs what is new, not what there is.

A bookmark is a hint. It lies in the user's state directory (``$XDG_STATE_HOME/iterlog/copies``), one small file per
source and destination, and is believed only when the bytes on both sides are those it was made of. Without it, or with
one that is stale, both histories are compared from their beginning: that costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from typing import TYPE_CHECKING

import msgspec

from iterlog.errors import UnavailableError
from iterlog.places import state_directory
from iterlog.position import START, Position
from iterlog.reader import logger

if TYPE_CHECKING:
    from pathlib import Path


class Bookmark(msgspec.Struct, frozen=True):
    """A place in a source and the same in its copy.

    Attributes:
        source_before: The position in the source before a line.
        source_at: The position behind it; the copy holds everything up to here.
        source_sha256: Of that line.
        copy_before: The position in the copy before the append that ends with this line.
        copy_at: The position behind it.
        copy_sha256: Of that append's lines.
    """

    source_before: str
    source_at: str
    source_sha256: str
    copy_before: str
    copy_at: str
    copy_sha256: str

    @property
    def position(self) -> Position:
        """The position in the source up to which the copy holds everything."""
        return parse_place(self.source_at)

    def stands_at(self, found: tuple[Position, bytes] | None) -> bool:
        """Whether what stands in the source behind ``source_before`` is the line that this was made of."""
        return found is not None and found[0] == self.position and sha256_of([found[1]]) == self.source_sha256


def sha256_of(lines: list[bytes]) -> str:
    """Return the SHA-256 of stored lines, in hex."""
    return hashlib.sha256(b"".join(b"%b\n" % line for line in lines)).hexdigest()


def place_text(position: Position) -> str:
    """Return a position as a bookmark holds it; empty for the beginning, which ``str`` shows as another one."""
    return str(position) if position else ""


def parse_place(text: str) -> Position:
    """Return a position of what `place_text` gave.

    Raises:
        ConfigError: The text is no position.
    """
    return Position.parse(text) if text else START


class BookmarkFile:
    """The file of one source and one destination.

    Args:
        source: What tells the source from other histories.
        destination: The same of the destination.
    """

    def __init__(self, source: str, destination: str) -> None:
        name = hashlib.sha256(f"{source}\0{destination}".encode(errors="surrogateescape")).hexdigest()[:32]
        self._path: Path | None = None
        with contextlib.suppress(UnavailableError):  # nobody's home: each time both are compared from the beginning
            self._path = state_directory() / "copies" / f"{name}.json"

    def read(self) -> Bookmark | None:
        """Return the bookmark; None when there is none that can be read."""
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Bookmark)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def write(self, bookmark: Bookmark) -> None:
        """Replace the bookmark in one step; that it cannot be written costs time later, and nothing else."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(bookmark))
                os.replace(temporary, self._path)  # noqa: PTH105 - mkstemp gives text
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)  # noqa: PTH108 - as above
                raise
        except OSError as error:
            logger.info("the place where a copy stands was not noted: %s", error)
