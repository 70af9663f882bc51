"""The file ``drained``: which lines of the backlog the store has, and at which positions.

A header and then an entry of fixed size per drained append, in order, so that both a line's number and a position of
the store are found by bisection. Only who holds the drain lock writes. An entry is written behind the store's
acknowledgement; what a crash takes of the newest ones is found again in the store. Before an append is tried, its end
is noted in the header: as long as that is ahead of the last entry, the store may have more than the entries say.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from iterlog.errors import CorruptionError
from iterlog.files.durable import sync_data, sync_directory, write_all
from iterlog.position import START, Position

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = b"iterspl1"
_HEADER = struct.Struct("<8sQQ4QHxxI")
"""Magic, end of the attempt, lines drained before the first entry, the store's end then (4 parts, how many), boot."""
_ATTEMPT_AT = 8
_ATTEMPT, _FIRST, _PARTS, _BOOT = 0, 1, 6, 7  # of the header's numbers
_ENTRY = struct.Struct("<Q4QIHxxI")
"""End, position (4 parts, how many), lines, CRC-32 of what stands before it."""
_UNKNOWN = 0xFFFF
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE = 0o600


class Entry(NamedTuple):
    """One append that the store has.

    Attributes:
        end: The number of its last line, counted from 1 through the life of the spool.
        lines: How many lines it has.
        position: The position behind it in the store.
    """

    end: int
    lines: int
    position: Position


class DrainedMap:
    """The entries of one spool, as one handle has them open.

    Args:
        path: The file's.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def create(self, first: int, attempted: int) -> None:
        """Make a file without entries, durably, in place of the one there may be; only under the spool's lock.

        Args:
            first: How many lines were drained before; 0 for a new spool.
            attempted: Up to which line the store may have more, anywhere; ``first`` when it cannot.
        """
        temporary = f"{self._path}.tmp"
        # Who may have more in the store is looked for from its beginning on; else from where it ends by then.
        parts = 0 if attempted > first else _UNKNOWN
        descriptor = os.open(temporary, _FLAGS | os.O_CREAT | os.O_TRUNC, _MODE)
        try:
            write_all(descriptor, _HEADER.pack(_MAGIC, attempted, first, 0, 0, 0, 0, parts, 0))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, self._path)
        sync_directory(os.path.dirname(self._path))
        self.refresh()

    def refresh(self) -> None:
        """Open the file again when another one stands in its place."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            self.close()
            return
        if self._descriptor >= 0 and os.fstat(self._descriptor).st_ino != there.st_ino:
            self.close()

    def exists(self) -> bool:
        """Whether there is a file; opens it when there is."""
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, _FLAGS)
            except FileNotFoundError:
                return False
        return True

    # reading, by any number of handles

    def last(self) -> Entry | None:
        """Return the newest entry."""
        for index in range(self._count() - 1, -1, -1):
            entry = self._read(index)
            if entry is not None:
                return entry
        return None

    def last_end(self) -> int:
        """Return the number of the last line that the store is known to have."""
        last = self.last()
        return last.end if last else self._first()

    def attempted(self) -> int:
        """Return the end of the append that was tried last; not above `last_end` when that is through."""
        return self._header()[_ATTEMPT] if self.exists() else 0

    def base(self) -> Position | None:
        """Return where the store ended when the spool began; None when that is not known yet."""
        if not self.exists():
            return None
        header = self._header()
        return None if header[_PARTS] == _UNKNOWN else _position(header[_FIRST + 1 : _PARTS], header[_PARTS])

    def entry(self, index: int) -> Entry | None:
        """Return an entry by its place; None when there is none."""
        return self._read(index) if index < self._count() else None

    def index_of_line(self, number: int) -> int:
        """Return the place of the first entry whose append ends at a line or behind it."""
        return self._bisect(lambda entry: entry.end < number)

    def index_of_position(self, position: Position) -> int:
        """Return the place of the first entry that stands at a position of the store or behind it."""
        return self._bisect(lambda entry: entry.position < position)

    # writing, under the drain lock

    def attempt(self, end: int) -> None:
        """Note, before the store is tried, up to which line it may have from now on."""
        os.pwrite(self._descriptor, struct.pack("<Q", end), _ATTEMPT_AT)

    def add(self, entry: Entry) -> None:
        """Note that the store has an append."""
        parts = (*entry.position, 0, 0, 0, 0)[:4]
        body = _ENTRY.pack(entry.end, *parts, entry.lines, len(entry.position), 0)[: -struct.calcsize("<I")]
        offset = _HEADER.size + self._count() * _ENTRY.size
        os.pwrite(self._descriptor, body + struct.pack("<I", zlib.crc32(body)), offset)

    def set_base(self, position: Position) -> None:
        """Note, durably, where the store ended before anything of this spool was in it."""
        header = self._header()
        header[_FIRST + 1 : _BOOT] = [*(*position, 0, 0, 0, 0)[:4], len(position)]
        os.pwrite(self._descriptor, _HEADER.pack(_MAGIC, *header), 0)
        self.sync()

    def check(self, boot: int) -> bool:
        """Take out what a crash left at the end; return whether the machine was booted since this was done last.

        Args:
            boot: A number for this boot.
        """
        size = os.fstat(self._descriptor).st_size
        booted = self._header()[_BOOT] != boot
        count = self._count()
        sound = count
        if booted:
            sound = next((index for index in range(count) if self._read(index) is None), count)
        else:
            while sound and self._read(sound - 1) is None:
                sound -= 1
        if size != _HEADER.size + sound * _ENTRY.size:
            os.ftruncate(self._descriptor, _HEADER.size + sound * _ENTRY.size)
        if booted:
            header = self._header()
            header[_BOOT] = boot
            os.pwrite(self._descriptor, _HEADER.pack(_MAGIC, *header), 0)
        return booted

    def sync(self) -> None:
        """Make every entry durable."""
        sync_data(self._descriptor)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _first(self) -> int:
        return self._header()[_FIRST] if self.exists() else 0

    def _header(self) -> list[int]:
        """Return the numbers of the header: attempt, first, four parts, how many, boot."""
        data = os.pread(self._descriptor, _HEADER.size, 0)
        if len(data) < _HEADER.size or not data.startswith(_MAGIC):
            raise CorruptionError(f"{self._path!r} is no file of a spool; move it away: what it said is found again")
        return list(_HEADER.unpack(data)[1:])

    def _count(self) -> int:
        if not self.exists():
            return 0
        return max(0, os.fstat(self._descriptor).st_size - _HEADER.size) // _ENTRY.size

    def _read(self, index: int) -> Entry | None:
        data = os.pread(self._descriptor, _ENTRY.size, _HEADER.size + index * _ENTRY.size)
        if len(data) < _ENTRY.size:
            return None
        end, *parts, lines, count, crc = _ENTRY.unpack(data)
        if crc != zlib.crc32(data[: -struct.calcsize("<I")]):
            return None
        return Entry(end, lines, _position(parts, count))

    def _bisect(self, before: Callable[[Entry], bool]) -> int:
        low, high = 0, self._count()
        last = self._read(high - 1) if high else None
        if last is not None and before(last):
            return high  # what is asked for most: something newer
        while low < high:
            middle = (low + high) // 2
            entry = self._read(middle)
            if entry is not None and before(entry):
                low = middle + 1
            else:
                high = middle
        return low


def _position(parts: tuple[int, ...] | list[int], count: int) -> Position:
    return Position.of(*parts[:count]) if count else START
