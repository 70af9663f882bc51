"""Stored lines from one history to another: copied as they stand, damaged ones included, and proven afterwards.

An append stays whole: its lines go into one append of the destination. What an earlier, interrupted copy left is
recognised by its bytes, so a copy that is started again goes on behind it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.errors import ConflictError, CorruptionError
from iterlog.lines import holds_record, lines_to_follow
from iterlog.position import START, Durability, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from iterlog.store import HistoryStore

_CHUNK_LINES = 100  # divides the usual 1,000 records of a segment, so that segments come out full
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Overlap:
    """How much of a source stands in a destination already.

    Attributes:
        begins: The position in the destination before the source's first line.
        lines: How many lines of the source are there.
        source_position: The position in the source behind them.
    """

    begins: Position
    lines: int
    source_position: Position


def overlap_of(source: HistoryStore, destination: HistoryStore) -> Overlap:
    """Find the source's lines in the destination, which may hold older ones before them.

    Older ones are there when the beginning of the source was removed after it had been archived.

    Raises:
        ConflictError: The destination holds something else.
    """
    first = next(source.lines(), None)
    before = START
    for position, line in destination.lines():
        if first is not None and line == first[1]:
            found = _common(source, destination, before)
            if found is not None:
                return Overlap(before, *found)
        before = position
    if before != START and first is not None:
        raise ConflictError(
            "the destination holds something else than the beginning of this source; name another one",
            url=destination.url,
        )
    return Overlap(before, 0, START)


def copy(
    source: HistoryStore, destination: HistoryStore, start: Position, on_copied: Callable[[int], None]
) -> tuple[Position, int]:
    """Append the source's lines behind a position; return the position behind the last one and their number.

    Args:
        source: Where from.
        destination: Where to.
        start: A position of the source.
        on_copied: Called now and then with the number of lines copied since the last call.
    """
    at, total = start, 0
    for at, lines in _chunks(source.lines(start)):  # noqa: B007 - the last one is returned
        # The hook itself: what users call would encode the records anew, and damaged lines hold none.
        destination._append(lines, Durability.FLUSH)  # noqa: SLF001
        total += len(lines)
        on_copied(len(lines))
    destination.flush()
    return at, total


class Proof:
    """Reads source and destination side by side, as far as both go, and holds them to be the same.

    Attributes:
        lines: How many lines were compared.
        plain_bytes: Their bytes, newlines included.
        source_position: The position in the source behind them.

    Args:
        source: What was copied.
        destination: Where it was copied to.
        begins: The position in the destination before the first line.
        keep: How many of the last records the caller will want to keep in the source.
    """

    def __init__(self, source: HistoryStore, destination: HistoryStore, begins: Position, keep: int = 0) -> None:
        self.lines = 0
        self.plain_bytes = 0
        self.source_position = START
        self._source = source
        self._destination = destination
        self._destination_position = begins
        self._source_hash = hashlib.sha256()
        self._destination_hash = hashlib.sha256()
        self._keep = keep
        self._append_begins = START
        self._append_records = 0
        self._last: deque[tuple[Position, int]] = deque()  # where the last appends begin, and their records
        self._last_records = 0

    def go_on(self, until: Position, on_compared: Callable[[int], None] = lambda _count: None) -> None:
        """Compare what stands behind what was compared so far.

        Args:
            until: A position of the source; what stands behind it was not copied yet.
            on_compared: Called for each line, with 1.

        Raises:
            CorruptionError: The destination does not hold what the source does.
        """
        copied = self._destination.lines(self._destination_position)
        for position, line in self._source.lines(self.source_position):
            if position > until:
                break
            there, copy_of_it = next(copied, (self._destination_position, b""))
            if there <= self._destination_position or copy_of_it != line:
                self._fail("another line stands there" if copy_of_it else "it ends there")
            self._source_hash.update(b"%b\n" % line)
            self._destination_hash.update(b"%b\n" % copy_of_it)
            self.lines += 1
            self.plain_bytes += len(line) + 1
            self.source_position, self._destination_position = position, there
            if self._keep:
                self._remember(position, line)
            on_compared(1)
        if next(copied, None) is not None:
            self._fail("it goes on behind the source's end")
        if self._source_hash.digest() != self._destination_hash.digest():
            self._fail("its SHA-256 is another one")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the plain bytes, read back from the destination, in hex."""
        return self._destination_hash.hexdigest()

    @property
    def kept_from(self) -> Position:
        """The position in the source before the oldest append that is needed for the last ``keep`` records."""
        return self._last[0][0] if self._last else self._append_begins

    def _remember(self, position: Position, line: bytes) -> None:
        self._append_records += holds_record(line)
        if lines_to_follow(line):
            return
        self._last.append((self._append_begins, self._append_records))
        self._last_records += self._append_records
        self._append_begins, self._append_records = position, 0
        while self._last_records - self._last[0][1] >= self._keep:
            self._last_records -= self._last.popleft()[1]

    def _fail(self, what: str) -> None:
        raise CorruptionError(
            f"the copy is not what the source holds: behind line {self.lines:,} {what}; nothing was removed; "
            "remove the copy and start again",
            url=self._destination.url,
            position=self._destination_position,
        )


def _common(source: HistoryStore, destination: HistoryStore, start: Position) -> tuple[int, Position] | None:
    """Return how many lines the destination holds behind a position, if those are the source's first ones."""
    count, at = 0, START
    lines = source.lines()
    for _, line in destination.lines(start):
        mine = next(lines, None)
        if mine is None or mine[1] != line:
            return None
        count, at = count + 1, mine[0]
    return count, at


def _chunks(lines: Iterable[tuple[Position, bytes]]) -> Iterator[tuple[Position, list[bytes]]]:
    """Put lines together to appends worth their cost, none of the source's own divided."""
    chunk: list[bytes] = []
    size = 0
    missing = 0  # lines of the append that are still to come
    position = START
    for position, line in lines:
        chunk.append(line)
        size += len(line)
        follow = lines_to_follow(line)
        missing = max(0, missing - 1) if follow is None else follow
        if not missing and (len(chunk) >= _CHUNK_LINES or size >= _CHUNK_BYTES):
            yield position, chunk
            chunk, size = [], 0
    if chunk:
        yield position, chunk
