"""Broken when something is broken: torn ends and damaged lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.memory import MemoryHistory
from iterlog.lines import MORE_KEY, holds_record, iteration_of
from iterlog.reader import HistoryReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog import Durability, Fault, IterationRecord, Position

    Numbered = Callable[[int], Sequence[bytes]]


class Gluing(MemoryHistory):
    """Writes behind a torn end as if it were none."""

    def _glue(self, make: Numbered, durability: Durability) -> Position:
        torn, self._shared.torn = self._shared.torn, b""

        def glued(number: int) -> list[bytes]:
            first, *others = make(number)
            return [torn + first, *others]

        return super()._append_numbered(glued, durability)


@breaks("test_reader_passes_a_torn_end")
class ReadsTornEnds(MemoryHistory):
    """Takes half a line for a line."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        yield from super()._scan(start)
        if self._shared.torn:
            yield iterlog.Position.of(len(self._shared.lines) + 1), self._shared.torn


@breaks("test_append_is_not_merged_with_a_torn_end")
class AppendsToTornEnds(Gluing):
    """Never looks at the end before it appends."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        return self._glue(make, durability)


@breaks("test_open_handle_notices_a_torn_end")
class LooksOnceAtTheEnd(Gluing):
    """Looks at the end when it is opened, and never again."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._repair()

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        return self._glue(make, durability)


@breaks("test_torn_first_append_leaves_an_empty_history")
class RefusesATornBeginning(MemoryHistory):
    """Takes a history without a whole line for no history at all."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        if self._shared.torn and not self._shared.lines:
            raise iterlog.CorruptionError("this is no history", url=self.url)


@breaks("test_torn_end_is_reported_once")
class ReportsAgainAndAgain(MemoryHistory):
    """Reports a torn end and leaves it."""

    def _set_torn_aside(self) -> None:
        torn = self._shared.torn
        super()._set_torn_aside()
        self._shared.torn = torn


@breaks("test_resume_tells_what_a_crash_cost")
class SilentlyDropsTornEnds(MemoryHistory):
    """Throws a torn end away without a word."""

    def _set_torn_aside(self) -> None:
        self._shared.torn = b""


@breaks("test_verify_tells_of_a_torn_end")
class OverlooksTornEnds(MemoryHistory):
    """Checks whole lines only."""

    def _unread(self) -> list[Fault]:
        return []


@breaks("test_damaged_line_costs_that_line_only")
class StopsAtDamage(MemoryHistory):
    """Takes the first damaged line for the end."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        for position, line in super()._scan(start):
            if not holds_record(line):
                return
            yield position, line


@breaks("test_damaged_line_of_a_batch_costs_that_line_only")
class DropsDamagedBatches(MemoryHistory):
    """Takes a batch with a damaged line for one that never came to its end."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        damaged = False
        for position, line in super()._scan(start):
            if not (damaged and MORE_KEY in line):
                yield position, line
            damaged = not holds_record(line)


@breaks("test_damage_is_raised_when_asked_for")
class NeverRaises(MemoryHistory):
    """Skips damage whatever was asked for."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **{**options, "on_damage": iterlog.OnDamage.SKIP})


def _damaged_as_if_new(history: Any, *arguments: Any) -> IterationRecord | None:
    history._reported.clear()
    return HistoryReader._damaged(history, *arguments)


@breaks("test_damage_is_logged_once_with_its_position", _damaged=_damaged_as_if_new)
class LogsAgainAndAgain(MemoryHistory):
    """Warns of the same line on each reading."""


@breaks("test_verify_tells_where_the_damage_is")
class HidesDamage(MemoryHistory):
    """Leaves damaged lines out before anybody can see them."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        return (pair for pair in super()._scan(start) if holds_record(pair[1]))


@breaks("test_no_later_write_removes_a_damaged_line")
class CleansUp(MemoryHistory):
    """Removes damaged lines on repair."""

    def _repair(self) -> None:
        super()._repair()
        self._shared.lines[:] = filter(holds_record, self._shared.lines)


@breaks("test_number_of_a_damaged_last_line_is_not_used_again")
class ForgetsDamagedNumbers(MemoryHistory):
    """Counts only what it can read."""

    def _next_number(self) -> int:
        return max((iteration_of(line) for line in self._shared.lines if holds_record(line)), default=-1) + 1


@breaks("test_history_of_nothing_but_damage_is_kept")
class OverwritesTheUnreadable(MemoryHistory):
    """Begins anew where it can read nothing."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        if not any(map(holds_record, self._shared.lines)):
            self._shared.lines.clear()
        return super()._append_numbered(make, durability)


@breaks("test_any_sequence_of_calls_matches_a_list")
class CountsLines(MemoryHistory):
    """Takes the number of lines for that of records, which differs only once one is damaged."""

    def _count(self) -> int:
        return len(self._shared.lines)
