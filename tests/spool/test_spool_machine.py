"""Appends, outages, crashes, other writers and reopening in any order, against a plain list."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from away_history import Place, Weather, numbers, record
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from iterlog.spool import files
from iterlog.spool.drained import DrainedMap

if TYPE_CHECKING:
    from iterlog import Position

ANY_WEATHER = st.sampled_from([Weather.FAIR, Weather.AWAY, Weather.APPLIED, Weather.LOST])


class CrashError(BaseException):
    """The process dies here."""


class SpoolMachine(RuleBasedStateMachine):
    """Two handles on one spool, drained by rules only, so that each example is the same each time."""

    @initialize()
    def begin(self) -> None:
        """Open two handles in fair weather."""
        self.home = Path(tempfile.mkdtemp(prefix="spool-machine-"))
        self.place = Place(self.home)
        self.weather = Weather.FAIR
        self.spooled: list[int] = []
        self.others: list[int] = []
        self.positions: dict[int, Position] = {}
        self.handles: list[Any] = [self.place.open(durability="flush"), self.place.open(durability="flush")]
        self.handles[0].resume()

    def teardown(self) -> None:
        """In the end the store has everything, in order and once."""
        if not hasattr(self, "home"):
            return
        self.place.let(Weather.FAIR)
        self.handles[0].drain()
        stored = [number or 0 for number in self.place.stored()]
        assert [number for number in stored if number < 1000] == self.spooled
        assert [number for number in stored if number >= 1000] == self.others
        for handle in self.handles:
            handle.close()
        shutil.rmtree(self.home)

    @rule(handle=st.integers(0, 1), size=st.integers(1, 4))
    def append(self, handle: int, size: int) -> None:
        """Append one record, or a batch; a position is given for the last."""
        batch = list(range(len(self.spooled), len(self.spooled) + size))
        self.positions[batch[-1]] = self.handles[handle].extend([record(number) for number in batch])
        self.spooled += batch

    @precondition(lambda self: self.weather is Weather.FAIR)
    @rule()
    def append_elsewhere(self) -> None:
        """Another program appends to the store."""
        self.others.append(1000 + len(self.others))
        self.place.write(self.others[-1])

    @rule(weather=ANY_WEATHER)
    def let(self, weather: Weather) -> None:
        """Change the weather."""
        self.weather = weather
        self.place.let(weather)

    @rule(handle=st.integers(0, 1))
    def drain(self, handle: int) -> None:
        """Drain as far as the weather allows."""
        try:
            self.handles[handle].drain()
        except OSError:
            assert self.weather is not Weather.FAIR

    @rule(handle=st.integers(0, 1))
    def crash(self, handle: int) -> None:
        """Die between the store's acknowledgement and its entry, and start again."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DrainedMap, "add", _die)
            with contextlib.suppress(OSError, CrashError):
                self.handles[handle].drain()
        self.reopen(handle)

    @rule(handle=st.integers(0, 1))
    def reopen(self, handle: int) -> None:
        """Close a handle and open another."""
        self.handles[handle].close()
        self.handles[handle] = self.place.open(durability="flush")

    @invariant()
    def everything_is_read_once(self) -> None:
        """What the store and the backlog hold is read in order, from both ends, and on from each position."""
        if not hasattr(self, "handles"):
            return
        for handle in self.handles:
            if self.weather is Weather.AWAY:
                if self.spooled or self.others:
                    assert handle.last() is None or handle.last().iteration in (*self.spooled, *self.others)
                continue
            found = [number or 0 for number in numbers(handle)]
            assert [number for number in found if number < 1000] == self.spooled
            assert [number for number in found if number >= 1000] == self.others
            assert [one.iteration for one in reversed(handle)] == found[::-1]
            for number, position in self.positions.items():
                behind = [one.iteration for one in handle.read(position)]
                assert [later for later in behind if later < 1000] == self.spooled[number + 1 :]


def _die(*_: object) -> None:
    raise CrashError


def test_any_sequence_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens in whatever order, nothing is lost, nothing comes twice, and positions stay."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(files, "_FILE_RECORDS", 4)
    monkeypatch.setattr("iterlog.spool.worker.Worker._start", lambda _self: None)
    run_state_machine_as_test(
        SpoolMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_machine_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: without the note of an attempt the machine finds a record stored twice."""
    monkeypatch.setattr(DrainedMap, "attempt", lambda _self, _end: None)
    with pytest.raises(AssertionError):
        test_any_sequence_of_calls(tmp_path, monkeypatch)
