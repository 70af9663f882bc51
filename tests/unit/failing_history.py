"""A history whose storage fails on demand, and what the tests of the fallback do with it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import iterlog
from iterlog import UnavailableError, open_history
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from iterlog import Durability, Position


class FailingHistory(MemoryHistory):
    """A history in memory whose storage fails on demand."""

    failure: Exception | None = None
    stores_first = False

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        if self.failure is None:
            return super()._append(lines, durability)
        if self.stores_first:
            super()._append(lines, durability)
        raise self.failure


def fail(failure: Exception | None = None) -> None:
    """Let appends fail from now on."""
    FailingHistory.failure = failure or UnavailableError("the disk is full", errno=errno.ENOSPC)


def save(*numbers: int) -> None:
    """Save iterations with the feedback "after N"."""
    for number in numbers:
        iterlog.save_iteration_result(number, f"x = {number}", {}, f"after {number}")


def numbers(url: str | Path) -> list[int | None]:
    """Return the numbers in a history."""
    with open_history(url) as history:
        return [record.iteration for record in history]


def kept(tmp_path: Path) -> list[Path]:
    """Return the fallback files there are."""
    return sorted(path for path in tmp_path.rglob("*fallback*") if path.suffix in {".jsonl", ".fallback"})


def fail_no_more() -> None:
    """Let appends work again."""
    FailingHistory.failure = None
