"""Copies that go away and come back, and what they hold."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import iterlog
from iterlog import UnavailableError
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iterlog import Durability, Position


class AwayHistory(MemoryHistory):
    """A history in memory that can be told to fail, or to hang, in whatever is done with it."""

    failure: ClassVar[Exception | None] = None
    go_on: ClassVar[threading.Event] = threading.Event()
    tried: ClassVar[int] = 0

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._meet()

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        self._meet()
        return super()._append(lines, durability)

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        self._meet()
        return super()._scan(start)

    def _meet(self) -> None:
        AwayHistory.tried += 1
        self.go_on.wait()
        if AwayHistory.failure is not None:
            raise AwayHistory.failure


iterlog.register_backend("fickle", AwayHistory)


def go_away(failure: Exception | None = None) -> None:
    """Let everything fail from now on."""
    AwayHistory.failure = failure or UnavailableError("the network is gone; nothing was written")
    AwayHistory.go_on.set()


def hang() -> None:
    """Let everything hang from now on."""
    AwayHistory.go_on.clear()


def come_back() -> None:
    """Let everything work again."""
    AwayHistory.failure = None
    AwayHistory.go_on.set()


def save(history: iterlog.HistoryStore, *numbers: int) -> None:
    """Append records."""
    for number in numbers:
        history.save(code=f"x = {number}", metrics={"a": number}, feedback="", iteration=number)


def lines_of(url: object) -> list[bytes]:
    """Return the stored lines of a history; none when there is no history."""
    try:
        with iterlog.open_history(url, create=False) as history:  # type: ignore[arg-type]  # paths and URLs alike
            return [line for _, line in history.lines()]
    except iterlog.HistoryNotFoundError:
        return []


def mirror_threads() -> list[threading.Thread]:
    """Return the threads of mirrors that run in this process."""
    return [thread for thread in threading.enumerate() if thread.name == "iterlog-mirror"]
