"""Killed anywhere, a spooled loop loses nothing that was acknowledged, and the next one stores nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from away_history import Place, Weather, make_place, numbers, record
from fault_files import quick_directory
from fault_processes import Child
from fault_strace import count_calls, kill_at
from waiting import wait_until

from iterlog import SpoolState
from iterlog.spool import files, worker
from iterlog.spool.draining import Drain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.spool.history import SpooledHistory


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A spooled history where syncing costs nothing; what is imported on first use is there."""
    with quick_directory() as directory:
        for found in make_place(directory, monkeypatch):
            with found.open() as history:
                history.append(record(0))
                list(history)
            shutil.rmtree(found.spool)
            found.file.unlink()
            yield found


class Scene:
    """What is there before the work that is interrupted, and the work.

    Attributes:
        waiting: How many records wait before, the store being away.
    """

    waiting = 0

    def work(self, history: SpooledHistory, acknowledge: Callable[[], None]) -> None:
        """Do what is interrupted, acknowledging each record."""
        history.append(record(None))
        acknowledge()
        history.extend([record(None), record(None)])
        acknowledge()
        acknowledge()
        history.drain()
        history.append(record(None))
        acknowledge()
        history.drain()


class Waiting(Scene):
    """Records of an earlier loop are drained while others come."""

    waiting = 3


class Removing(Waiting):
    """So many were drained that files of the backlog are removed."""

    waiting = 7


def prepare(place: Place, scene: Scene) -> None:
    """Leave the place as it is before the work."""
    for path in place.file.parent.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if scene.waiting:
        with place.open() as history:
            history.resume()
            place.let(Weather.AWAY)
            for _ in range(scene.waiting):
                history.append(record(None))
        place.let(Weather.FAIR)
        assert not place.file.exists()


def check_each_call(place: Place, scene: Scene) -> None:
    """Kill the work, its draining included, at each of its calls in turn, and look at what the next process finds."""

    def work(pipe: int) -> None:
        worker.Worker._start = lambda _self: None  # type: ignore[assignment,method-assign] # calls are counted
        with place.open() as history:
            scene.work(history, lambda: done.append(os.write(pipe, b".")))

    done: list[int] = []
    prepare(place, scene)
    calls = count_calls(work, place.file.with_name("calls.log"))
    kills = 0
    for call, count in calls.items():
        for number in range(1, count + 1):
            prepare(place, scene)
            said, killed = kill_at(work, call, number)
            kills += killed
            check_after_kill(place, scene.waiting + len(said))
    assert kills >= sum(calls.values()) - 2
    assert kills > 100


def check_after_kill(place: Place, acknowledged: int) -> None:
    """Look, as the next process does, at what a killed one left."""
    with place.open() as history:
        found = numbers(history)
        assert found == list(range(len(found)))
        assert [one.iteration for one in reversed(history)] == found[::-1]
        assert len(found) in range(acknowledged, acknowledged + 3)
        positions = [position for position, _ in history.lines()]
        assert history.save(code=None, metrics={}, feedback="").iteration == len(found)
        assert history.drain().state is SpoolState.THROUGH
        assert [position for position, _ in history.lines()][:-1] == positions
        assert numbers(history) == [*found, len(found)]
    assert place.stored() == [*found, len(found)]


@pytest.mark.parametrize("kind", [Scene, Waiting, Removing])
def test_kill_at_each_call(place: Place, kind: type[Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a spooled loop is killed, each acknowledged record is in the store once when the next one is done."""
    monkeypatch.setattr(files, "_FILE_RECORDS", 3)
    check_each_call(place, kind())


def test_draining_without_looking_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: who does not look for what a killed process had stored stores it twice."""
    settle = Drain._settle

    def careless(self: Drain, *arguments: object) -> None:
        self._files.map.exists()
        self._files.map.attempt(0)
        settle(self, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(Drain, "_settle", careless)
    with pytest.raises(AssertionError):
        check_each_call(place, Waiting())


def append_until_killed(place: Place, pipe: int) -> None:
    """Append for ever, in changing weather, and say so each time."""
    chance = random.Random(os.getpid())
    with place.open() as history:
        while True:
            if chance.random() < 0.05:
                place.let(chance.choice([Weather.FAIR, Weather.FAIR, Weather.AWAY, Weather.MIXED]))
            history.append(record(None))
            os.write(pipe, b".")


def test_kills_at_random(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loop after loop is killed at any moment, in any weather: in the end all that was acknowledged is there once."""
    monkeypatch.setattr(worker, "_LONGEST_PAUSE_S", 0.01)
    with place.open() as history:
        history.resume()
        history.append(record(None))
    chance = random.Random(11)
    acknowledged = 1
    for _ in range(25):
        child = Child(lambda pipe: append_until_killed(place, pipe))
        time.sleep(chance.uniform(0.005, 0.12))
        acknowledged += len(child.kill())
        place.let(Weather.FAIR)
    with place.open() as history:
        history.drain()
        found = numbers(history)
    assert found == list(range(len(found)))
    assert len(found) >= acknowledged
    assert place.stored() == found
    assert acknowledged > 25


def test_processes_share_a_spool(place: Place) -> None:
    """Loops in several processes with one spool lose nothing, share one numbering, and drain in turn."""

    def work(pipe: int) -> None:
        with place.open() as history:
            for _ in range(60):
                history.save(code=None, metrics={}, feedback="")
                os.write(pipe, b".")

    with place.open() as history:
        history.save(code=None, metrics={}, feedback="")
    children = [Child(work) for _ in range(3)]
    for weather in (Weather.MIXED, Weather.AWAY, Weather.MIXED, Weather.FAIR):
        place.let(weather)
        time.sleep(0.05)
    assert [len(child.finish()) for child in children] == [60] * 3
    with place.open() as history:
        history.drain()
        assert numbers(history) == list(range(181))
        assert [one.iteration for one in reversed(history)] == list(range(181))[::-1]
    assert place.stored() == list(range(181))


def test_processes_with_a_spool_each(place: Place) -> None:
    """Two spools on one store keep their own order, and nothing is lost or doubled."""

    def work(first: int) -> Callable[[int], None]:
        def append(_pipe: int) -> None:
            mine = Place(place.file.parent)
            mine.spool = place.file.parent / f"spool-{first}"
            with mine.open() as history:
                for i in range(40):
                    history.append(record(first + i))
                wait_until(lambda: bool(history.spool.state is SpoolState.THROUGH))

        return append

    place.let(Weather.MIXED)
    for child in [Child(work(0)), Child(work(100))]:
        child.finish()
    place.let(Weather.FAIR)
    stored = [number or 0 for number in place.stored()]
    assert [number for number in stored if number < 100] == list(range(40))
    assert [number for number in stored if number >= 100] == list(range(100, 140))


def test_a_forked_child_appends_too(place: Place) -> None:
    """A handle that waits for its store survives a fork: parent and child append and lose nothing."""
    with place.open() as history:
        history.resume()
        place.let(Weather.AWAY)
        history.append(record(0))

        def work(_pipe: int) -> None:
            history.append(record(1))
            history.close()

        Child(work).finish()
        history.append(record(2))
        place.let(Weather.FAIR)
        history.drain()
        assert numbers(history) == [0, 1, 2]
    assert place.stored() == [0, 1, 2]


UNCLOSED = """
import pathlib, sys
from away_history import AwayHistory, Place, Weather, record
from waiting import wait_until
place = Place(pathlib.Path(sys.argv[1]))
history = place.open()
place.let(Weather.HANGING)
history.append(record(0))
wait_until(lambda: AwayHistory.hanging == 1)
"""


def test_the_interpreter_ends_without_close(place: Place) -> None:
    """A process that ends without closing, its store hanging, neither hangs nor loses; the next one drains."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", UNCLOSED, str(place.file.parent)]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONPATH": path})
    place.let(Weather.FAIR)
    with place.open() as history:
        history.drain()
    assert place.stored() == [0]
