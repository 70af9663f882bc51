"""Broken at reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.memory import MemoryHistory
from iterlog.lines import MORE_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from iterlog import HistoryStore, IterationRecord, Position


def _highest(history: HistoryStore) -> IterationRecord | None:
    return max(history, key=lambda record: record.iteration or 0, default=None)


@breaks("test_last_is_the_newest_record", last=_highest)
class LastIsTheHighest(MemoryHistory):
    """Takes the record with the highest number for the newest."""


def _slice(history: HistoryStore, n: int = 10) -> list[IterationRecord]:
    return list(history)[-n:]


@breaks("test_tail_is_the_end_in_order", tail=_slice)
class TailOfNothingIsEverything(MemoryHistory):
    """Gives all records for tail(0)."""


def _get_oldest(history: HistoryStore, iteration: int) -> IterationRecord | None:
    return next((record for record in history if record.iteration == iteration), None)


@breaks("test_get_finds_the_newest_of_a_number", get=_get_oldest)
class GetsTheOldest(MemoryHistory):
    """Gives the first of several records with one number."""


@breaks("test_reversed_is_the_history_backwards")
class BackwardsWithoutBatches(MemoryHistory):
    """Takes the lines of a batch for unfinished when it meets them from behind."""

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        return (pair for pair in super()._scan_back() if MORE_KEY not in pair[1])


@breaks("test_len_counts_the_records")
class RemembersItsLength(MemoryHistory):
    """Counts once."""

    _counted: int | None = None

    def _count(self) -> int:
        if self._counted is None:
            self._counted = super()._count()
        return self._counted


def _one_iterator(history: Any) -> Iterator[IterationRecord]:
    if not hasattr(history, "one_iterator"):
        history.one_iterator = iterlog.HistoryStore.read(history)
    reading: Iterator[IterationRecord] = history.one_iterator
    return reading


@breaks("test_reading_again_starts_again", __iter__=_one_iterator)
class ReadsOnce(MemoryHistory):
    """Is an iterator rather than something to iterate over."""


@breaks("test_appending_while_reading_is_harmless")
class MayNotChangeWhileRead(MemoryHistory):
    """Gives up reading when something was appended meanwhile."""

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        before = len(self._shared.lines)
        for pair in super()._scan(start):
            if len(self._shared.lines) > before:
                raise iterlog.ConflictError("the history changed while it was read", url=self.url)
            yield pair


def _follow_what_is_there(history: HistoryStore, start: Position | None = None, **_: Any) -> Iterator[IterationRecord]:
    return iter(list(history.read(start)))


@breaks("test_follow_waits_for_more", follow=_follow_what_is_there)
class FollowsNothing(MemoryHistory):
    """Ends following where the history ends."""


def _follow_noisily(history: HistoryStore, start: Position | None = None, **options: Any) -> Iterator[IterationRecord]:
    yield from iterlog.HistoryStore.follow(history, start, **options)
    history.last()


@breaks("test_follow_ends_with_its_handle", follow=_follow_noisily)
class FollowsBeyondItsEnd(MemoryHistory):
    """Looks once more after it was closed."""


@breaks("test_verify_counts_and_finds_nothing_wrong")
class CriesWolf(MemoryHistory):
    """Reports what is no damage."""

    def _unread(self) -> list[iterlog.Fault]:
        end = iterlog.Position.of(len(self._shared.lines))
        return [iterlog.Fault(end, iterlog.FaultKind.UNFINISHED, "there may be more to come")]


async def _aread_all(history: HistoryStore, _start: Position | None = None) -> AsyncIterator[IterationRecord]:
    for record in history:
        yield record


@breaks("test_async_loop_appends_and_reads", aread=_aread_all)
class AsyncFromTheBeginning(MemoryHistory):
    """Reads from the beginning in a coroutine, wherever it is told to start."""
