"""What a destination holds of a source already, found by comparing the stored bytes of both from their beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.errors import ConflictError
from iterlog.position import START, Position

if TYPE_CHECKING:
    from iterlog.store import HistoryStore


class DivergedError(ConflictError):
    """The destination holds what the source does not; nothing was written."""


@dataclass(frozen=True)
class Overlap:
    """How much of a source stands in a destination already.

    Attributes:
        begins: The position in the destination before the source's first line.
        lines: How many lines of the source are there.
        source_before: The position in the source before the last of them.
        source_position: The position in the source behind them.
        destination_before: The position in the destination before the last of them.
        destination_position: The position in the destination behind them, which is its end.
        last: The last of them.
    """

    begins: Position
    lines: int = 0
    source_before: Position = START
    source_position: Position = START
    destination_before: Position = START
    destination_position: Position = START
    last: bytes = b""


def overlap_of(source: HistoryStore, destination: HistoryStore) -> Overlap:
    """Find the source's lines in the destination, which may hold older ones before them.

    Older ones are there when the beginning of the source was removed after it had been copied.

    Raises:
        DivergedError: The destination holds something else.
    """
    first = next(source.lines(), None)
    before = START
    goes_on = False
    for position, line in destination.lines():
        if first is not None and line == first[1]:
            found = _common(source, destination, before)
            if isinstance(found, Overlap):
                return found
            goes_on = goes_on or found
        before = position
    if before == START or first is None:
        return Overlap(before, destination_position=before)
    if goes_on:
        raise DivergedError(
            "the destination holds the whole source and goes on behind its end: the source lost its newest records, or "
            "the two were named the wrong way round; to restore the source, copy in the other direction",
            url=destination.url,
        )
    raise DivergedError(
        "the destination holds something else than the beginning of this source; name another one, or, if it is the "
        "better of the two, put the source aside and copy in the other direction",
        url=destination.url,
    )


def _common(source: HistoryStore, destination: HistoryStore, start: Position) -> Overlap | bool:
    """Compare what the destination holds behind a position with the source's first lines.

    Returns:
        The overlap, or else whether the destination holds the whole source and more.
    """
    count, before, at, there_before, there = 0, START, START, start, start
    line = b""
    lines = source.lines()
    for position, line in destination.lines(start):
        mine = next(lines, None)
        if mine is None:
            return True
        if mine[1] != line:
            return False
        count, before, at, there_before, there = count + 1, at, mine[0], there, position
    return Overlap(start, count, before, at, there_before, there, line)
