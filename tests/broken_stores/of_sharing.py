"""Broken when several handles, threads or processes write."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.jsonl import JsonlHistory
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog import Durability, Position

    Numbered = Callable[[int], Sequence[bytes]]


@breaks("test_two_handles_append_in_turn")
class KeepsACopy(MemoryHistory):
    """Reads once, when it is opened, and knows of its own appends only from there on."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._copy = list(self._shared.lines)

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        self._copy.extend(lines)
        return super()._append(lines, durability)

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        first = start[0] if start else 0
        return ((iterlog.Position.of(i + 1), self._copy[i]) for i in range(first, len(self._copy)))


@breaks("test_two_handles_share_one_numbering")
class CountsOnFromOpening(MemoryHistory):
    """Learns the highest number when it is opened."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._highest = self._shared.highest

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        self._highest += 1
        return super()._append_numbered(lambda _number: make(self._highest), durability)


class AsksFirst(MemoryHistory):
    """Asks for the next number, and stores the record some time later."""

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        lines = make(self._shared.highest + 1)
        time.sleep(0.001)
        return super()._append_numbered(lambda _number: lines, durability)


@breaks("test_threads_share_a_handle")
class WithoutALock(AsksFirst):
    """Leaves it to luck that nobody else comes between."""


@breaks("test_threads_with_handles_of_their_own")
class WithALockOfItsOwn(AsksFirst):
    """Has a lock per handle, and several handles."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._own_lock = threading.Lock()

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        with self._own_lock:
            return super()._append_numbered(make, durability)


@breaks("test_reader_sees_a_growing_prefix")
class ShowsItsWorkshop(MemoryHistory):
    """Puts a new line in front while it makes room at the end."""

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        self._shared.lines[:0] = lines
        time.sleep(0.001)
        del self._shared.lines[: len(lines)]
        return super()._append(lines, durability)


@breaks("test_append_survives_a_kill", between_processes=True)
class DiesWithItsProcess(MemoryHistory):
    """Says that it is stored outside of the process, and is not."""


@breaks("test_processes_append_together", between_processes=True)
class CountsItsOwnAppends(JsonlHistory):
    """Hands out the number of its own appends."""

    _own = 0

    def _append_numbered(self, make: Numbered, durability: Durability) -> Position:
        lines = make(self._own)
        self._own += len(lines)
        return self._append(lines, durability)


@breaks("test_claim_ends_with_its_process", between_processes=True)
class ClaimsByAFile(JsonlHistory):
    """Claims by creating a file, and leaves it behind when its process is killed."""

    def _claim(self) -> None:
        claim = Path(f"{self._path}.claimed")
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            raise iterlog.ConflictError("somebody runs a loop, or did", url=self.url) from None

    def _close(self) -> None:
        Path(f"{self._path}.claimed").unlink(missing_ok=True)
        super()._close()


@breaks("test_handle_survives_a_fork", between_processes=True)
class ForkedMemory(MemoryHistory):
    """Has a memory of its own in a forked child."""
