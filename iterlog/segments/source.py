"""Where a segment's bytes come from: a file, memory, or ranges of a remote object."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1 << 18
"""How many bytes are asked for at a time."""


class Source(Protocol):
    """Bytes that do not change while they are read, by range."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return the bytes from an offset on: as many as asked for, fewer only at the end."""

    def tail(self, length: int) -> tuple[bytes, int]:
        """Return the last bytes, fewer only when there are no more, and the size of the whole: one request."""


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_at(self, offset: int, length: int) -> bytes:
        """Return a slice."""
        return self._data[offset : offset + length]

    def tail(self, length: int) -> tuple[bytes, int]:
        """Return the end and the size."""
        size = len(self._data)
        return self._data[max(0, size - length) :], size


class FileSource:
    """An open file; whoever opened the descriptor closes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        """Read a range, however short each read is."""
        data = os.pread(self._descriptor, length, offset)
        while len(data) < length and (more := os.pread(self._descriptor, length - len(data), offset + len(data))):
            data += more
        return data

    def tail(self, length: int) -> tuple[bytes, int]:
        """Return the end and the size."""
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - length)
        return self.read_at(start, size - start), size


class Cursor:
    """A place in a source that only moves forward.

    Attributes:
        offset: The place.
    """

    def __init__(self, source: Source) -> None:
        self.offset = 0
        self._source = source
        self._block = b""
        self._block_start = 0
        self._holds_end = False

    def peek(self, length: int) -> bytes:
        """Return the next bytes, at most `BLOCK`, without moving; fewer only at the end."""
        start = self.offset - self._block_start
        if start + length > len(self._block) and (start > len(self._block) or not self._holds_end):
            self._block, self._block_start, start = self._source.read_at(self.offset, BLOCK), self.offset, 0
            self._holds_end = len(self._block) < BLOCK
        return self._block[start : start + length]

    def move(self, length: int) -> None:
        """Go on by some bytes."""
        self.offset += length

    def skip(self, length: int) -> bool:
        """Go on by some bytes unread; return whether there are so many."""
        self.offset += length
        return not length or bool(self._source.read_at(self.offset - 1, 1))


def blocks_of(source: Source) -> Iterator[bytes]:
    """Yield all bytes of a source, in order."""
    offset = 0
    while block := source.read_at(offset, BLOCK):
        yield block
        offset += len(block)
