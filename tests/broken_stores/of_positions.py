"""Broken at positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog import Durability, HistoryStore, IterationRecord, Position


@breaks("test_positions_are_ordered_and_name_their_record")
class PositionBeforeTheRecord(MemoryHistory):
    """Returns from append the position before the batch."""

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        before = len(self._shared.lines)
        super()._append_numbered(make, durability)
        return iterlog.Position.of(before)


@breaks("test_positions_never_change")
class PositionsFromTheEnd(MemoryHistory):
    """Counts positions in a way that depends on what is stored later."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        shift = len(self._shared.lines)
        for position, line in super()._scan(start):
            yield iterlog.Position.of(position[0] + shift), line


@breaks("test_positions_can_be_stored_and_read_on_from")
class ReadsTheSameAgain(MemoryHistory):
    """Begins with the record before the position instead of the one behind it."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        yield from super()._scan(iterlog.Position.of(start[0] - 1) if start else start)


def _read_from_anything(history: HistoryStore, start: Any = None) -> Iterator[IterationRecord]:
    return iterlog.HistoryStore.read(history, start if isinstance(start, iterlog.Position) else None)


@breaks("test_what_is_no_position_is_refused", read=_read_from_anything)
class TakesAnythingForAPosition(MemoryHistory):
    """Reads from the beginning when the position makes no sense."""


@breaks("test_position_behind_the_end_is_no_empty_reading")
class NothingBehindTheEnd(MemoryHistory):
    """Takes a history that became shorter for one without news."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        if start and start[0] > len(self._shared.lines):
            return
        yield from super()._scan(start)
