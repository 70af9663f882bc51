"""Broken at storing: too late, in pieces, or what should not be stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.memory import MemoryHistory
from iterlog.lines import iteration_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from iterlog import Durability, HistoryStore, IterationRecord, Position

    Numbered = Callable[[int], Sequence[bytes]]


class Buffering(MemoryHistory):
    """Keeps lines in the handle instead of storing them; what happens to them is a subclass's fault."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._buffer: list[bytes] = []

    def _keep(self, make: Numbered) -> Position:
        self._buffer += make(0)
        return iterlog.Position.of(len(self._shared.lines) + len(self._buffer))


@breaks("test_append_is_visible_when_it_returns")
class WritesOnClose(Buffering):
    """Stores everything when it is closed."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:  # noqa: ARG002 - the interface
        return self._keep(make)

    def _close(self) -> None:
        if self._buffer:
            super()._append_numbered(lambda _number: self._buffer, iterlog.Durability.SYNC)
        super()._close()


@breaks("test_durability_of_one_call_and_flush")
class ForgetsOnFlush(Buffering):
    """Keeps records appended with durability=flush to itself, and for ever."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        if durability is iterlog.Durability.FLUSH:
            return self._keep(make)
        return super()._append_numbered(make, durability)


@breaks("test_batch_is_never_seen_in_part")
class BatchInPieces(MemoryHistory):
    """Stores a batch line by line."""

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        for line in lines:
            time.sleep(0.001)
            end = super()._append([line], durability)
        return end


def _append_what_can_be(history: HistoryStore, record: Any, **options: Any) -> Position:
    try:
        return iterlog.HistoryStore.append(history, record, **options)
    except iterlog.RecordError as error:
        return iterlog.HistoryStore.append(history, iterlog.IterationRecord(0, None, {}, str(error)), **options)


@breaks("test_invalid_record_writes_nothing", append=_append_what_can_be)
class StoresInvalidRecords(MemoryHistory):
    """Stores something in place of what cannot be stored."""


def _extend_one_by_one(history: HistoryStore, records: Iterable[Any], **options: Any) -> Position:
    end = iterlog.START
    for record in records:
        end = history.append(record, **options)
    return end


@breaks("test_invalid_record_in_a_batch_writes_nothing", extend=_extend_one_by_one)
class StoresHalfABatch(MemoryHistory):
    """Appends the records of a batch until one cannot be stored."""


@breaks("test_order_is_append_order")
class SortsByNumber(MemoryHistory):
    """Keeps the history sorted by iteration."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        end = super()._append_numbered(make, durability)
        self._shared.lines.sort(key=iteration_of)
        return end


def _extend_or_begin(history: HistoryStore, records: Iterable[IterationRecord], **options: Any) -> Position:
    batch = list(records)
    return iterlog.HistoryStore.extend(history, batch, **options) if batch else iterlog.START


@breaks("test_empty_batch_stores_nothing", extend=_extend_or_begin)
class LosesItsPlaceOnEmptyBatches(MemoryHistory):
    """Takes the end of the history to be its beginning when a batch is empty."""


def _append_known_fields(
    history: HistoryStore, record: IterationRecord | Mapping[str, Any], **options: Any
) -> Position:
    if not isinstance(record, iterlog.IterationRecord):
        known = iterlog.IterationRecord.__dataclass_fields__
        record = {name: value for name, value in record.items() if name in known}
    return iterlog.HistoryStore.append(history, record, **options)


@breaks("test_mappings_and_records_are_stored_alike", append=_append_known_fields)
class DropsFieldsOfMappings(MemoryHistory):
    """Keeps of a mapping only the fields that it knows."""


def _save_without_number(history: HistoryStore, **fields: Any) -> IterationRecord:
    return iterlog.HistoryStore.save(history, **fields).with_iteration(0)


@breaks("test_save_returns_the_record_as_stored", save=_save_without_number)
class SavesUnderAnotherNumber(MemoryHistory):
    """Returns from save() what was not stored."""


@breaks("test_numbers_are_handed_out_or_refused")
class NumbersBehindTheNewest(MemoryHistory):
    """Hands out the number behind the newest record, also where an older one was higher."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        self._shared.highest = iteration_of(self._shared.lines[-1]) if self._shared.lines else -1
        return super()._append_numbered(make, durability)


@breaks("test_lines_are_the_bytes_every_backend_stores")
class LeavesChecksumsOut(MemoryHistory):
    """Saves room by storing no checksums."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        return super()._append_numbered(
            lambda number: [line[: line.rindex(b',"crc"')] + b"}" for line in make(number)], durability
        )


@breaks("test_history_is_copied_record_by_record")
class SignsItsLines(MemoryHistory):
    """Writes the history's name into every line."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        name = f',"history":"{self._url.host}"}}'.encode()
        return super()._append_numbered(
            lambda number: [line[: line.rindex(b',"crc"')] + name for line in make(number)], durability
        )
