"""Lines put together to appends worth their cost, none of the source's own divided: an append stays whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.lines import lines_to_follow
from iterlog.position import Durability, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from iterlog.store import HistoryStore

_CHUNK_LINES = 100  # divides the usual 1,000 records of a segment, so that segments come out full
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Step:
    """One append of a copy, written and not yet made durable.

    Attributes:
        source_before: The position in the source before its last line.
        source_position: The position in the source behind its last line.
        destination_position: The position in the destination behind it.
        lines: What was appended.
    """

    source_before: Position
    source_position: Position
    destination_position: Position
    lines: list[bytes]


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
    for step in copied(source.lines(start), start, destination):
        at = step.source_position
        total += len(step.lines)
        on_copied(len(step.lines))
    destination.flush()
    return at, total


def copied(lines: Iterable[tuple[Position, bytes]], start: Position, destination: HistoryStore) -> Iterator[Step]:
    """Append lines, and yield each append when it is written.

    Args:
        lines: As a source's ``lines`` gives them.
        start: The position before the first of them.
        destination: Where to; the caller flushes it.
    """
    for before, at, chunk in _chunks(lines, start):
        # The lines themselves: what users call would encode the records anew, and damaged lines hold none.
        there = destination._append_lines(chunk, Durability.FLUSH)  # noqa: SLF001 - stores and their copies are one house
        yield Step(before, at, there, chunk)


def _chunks(
    lines: Iterable[tuple[Position, bytes]], start: Position
) -> Iterator[tuple[Position, Position, list[bytes]]]:
    """Yield the position before the last line of each append, the one behind it, and its lines."""
    chunk: list[bytes] = []
    size = 0
    missing = 0  # lines of the append that are still to come
    before = position = start
    for at, line in lines:
        before, position = position, at
        chunk.append(line)
        size += len(line)
        follow = lines_to_follow(line)
        missing = max(0, missing - 1) if follow is None else follow
        if not missing and (len(chunk) >= _CHUNK_LINES or size >= _CHUNK_BYTES):
            yield before, position, chunk
            chunk, size = [], 0
    if chunk:
        yield before, position, chunk
