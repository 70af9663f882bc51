"""A store that goes away on command, as a third party would write one, and what the tests of the spool do with it.

What it does is said by a file beside its own, so that it holds for every process: see `Weather`.
"""

from __future__ import annotations

import enum
import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import iterlog
from iterlog import register_backend
from iterlog.backends.jsonl import JsonlHistory
from iterlog.spool import worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from iterlog import Durability, Position


class Weather(enum.StrEnum):
    """What the store does."""

    FAIR = "fair"
    AWAY = "away"
    """Nothing is written, and nothing can be read; it cannot be opened either."""
    HANGING = "hanging"
    """No call returns before the weather changes; then the store was away."""
    APPLIED = "applied"
    """Appends are stored, and the answer is lost."""
    LOST = "lost"
    """Appends are not stored, and nobody knows."""
    MIXED = "mixed"
    """Each append is one of the others, at random."""
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    """A bug: an error that no store should raise."""


_REFUSALS: dict[Weather, Exception] = {
    Weather.CONFLICT: iterlog.ConflictError("another loop is in charge"),
    Weather.UNSUPPORTED: iterlog.UnsupportedOperationError("records of this kind are never taken"),
    Weather.BROKEN: RuntimeError("a bug"),
}


class AwayHistory(JsonlHistory):
    """A JSONL file that obeys the weather."""

    hanging = 0
    """How many calls hang now, in all handles."""
    calls: Counter[Weather] = Counter()  # noqa: RUF012 - of all handles
    """How often it was asked for something in each weather."""
    _chance = random.Random(7)

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        self._weather_file = Path(f"{url.local_path()}.weather")
        self._look("opening")
        super().__init__(url, **options)

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        weather = self._look("appending")
        if weather in _REFUSALS:
            raise _REFUSALS[weather]
        if weather is Weather.LOST:
            raise iterlog.WriteUncertainError("no answer", url=self.url)
        position = super()._append(lines, durability)
        if weather is Weather.APPLIED:
            raise iterlog.WriteUncertainError("no answer", url=self.url)
        return position

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        self._look("reading")
        return super()._scan(start)

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        self._look("reading")
        return super()._scan_back()

    def _next_number(self) -> int:
        self._look("reading")
        return super()._next_number()

    def _claim(self) -> None:
        self._look("claiming")
        super()._claim()

    def _look(self, doing: str) -> Weather:
        weather = self._weather()
        self.calls[weather] += 1
        if weather is Weather.MIXED:
            weather = Weather.FAIR
            if doing == "appending":
                weather = self._chance.choice([Weather.FAIR, Weather.AWAY, Weather.APPLIED, Weather.LOST])
        if weather is Weather.HANGING:
            AwayHistory.hanging += 1
            while weather is Weather.HANGING:
                time.sleep(0.005)
                weather = self._weather()
            AwayHistory.hanging -= 1
            weather = Weather.AWAY
        if weather is Weather.AWAY:
            raise iterlog.UnavailableError(f"no route to the store while {doing}", url=self._weather_file.stem)
        return weather

    def _weather(self) -> Weather:
        try:
            return Weather(self._weather_file.read_text() or "fair")
        except FileNotFoundError:
            return Weather.FAIR


register_backend("away", AwayHistory)


class Place:
    """A spooled history whose store obeys, and what is behind it.

    Attributes:
        file: The store's file.
        url: The store's URL.
        spool: The spool's directory.
    """

    def __init__(self, directory: Path) -> None:
        self.file = directory / "history.jsonl"
        self.url = f"away://{self.file}"
        self.spool = directory / "spool"

    def open(self, **options: Any) -> Any:
        """Open the history with its spool."""
        history = iterlog.open_history(self.url, spool=self.spool, **options)
        assert isinstance(history, iterlog.SupportsSpool)
        return history

    def let(self, weather: Weather) -> None:
        """Change the weather, for every process."""
        new = self.file.with_name("weather.new")
        new.write_text(weather.value)
        new.rename(f"{self.file}.weather")

    def stored(self) -> list[int | None]:
        """Return the numbers in the store, read without the spool."""
        with iterlog.open_history(self.file) as history:
            return [record.iteration for record in history]

    def write(self, *numbers: int) -> None:
        """Append to the store as another program does, without the spool."""
        with iterlog.open_history(self.file) as history:
            for number in numbers:
                history.append(record(number))


def make_place(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Give a spooled history that does not exist yet, in fair weather; behind the test no thread hangs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
    monkeypatch.setattr(worker, "_LONGEST_PAUSE_S", 0.05)
    AwayHistory.calls.clear()
    place = Place(directory)
    yield place
    place.let(Weather.FAIR)


def record(number: int | None, code: str = "pass") -> iterlog.IterationRecord:
    """Make a record that teaches its number."""
    return iterlog.IterationRecord(number, code, {"sharpe_ratio": 1.5}, f"after {number}")


def numbers(history: iterlog.HistoryStore) -> list[int | None]:
    """Return the numbers that a handle reads."""
    return [found.iteration for found in history]
