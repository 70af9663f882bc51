"""The whole run: workers in processes of their own, one of them killed, and everything acknowledged still there."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import iterlog
from iterlog.demo import conductor
from iterlog.demo.conductor import run_demo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iterlog.demo.outcome import Outcome

SEED = 14
_Blow = conductor._Blow


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return a path where no history is yet."""
    return str(tmp_path / "demo.jsonl")


def aim(monkeypatch: pytest.MonkeyPatch, number: int, event: str, after_s: float = 0.0) -> None:
    """Have the blow fall at a moment of the test's choice."""
    monkeypatch.setattr(_Blow, "somewhere_in", lambda *_: _Blow(number, event, after_s))


def essence(path: str) -> list[dict[str, Any]]:
    """Return what must not depend on when a kill falls."""
    names = ("iteration", "code", "metrics", "feedback", "error", "status", "used_fallback", "extra")
    with iterlog.open_history(path) as history:
        return [{name: getattr(record, name) for name in names} for record in history]


def check(outcome: Outcome, path: str, numbers: range) -> None:
    """Assert that the run kept its word, by looking into the history anew."""
    with iterlog.open_history(path, create=False) as history:
        stored = [record for record in history if record.iteration in numbers]
        assert history.verify().ok
    assert [record.iteration for record in stored] == list(numbers)
    ids = [record.id for record in stored]
    assert list(outcome.acknowledged) == [name for name in ids if name in outcome.acknowledged]
    assert len(outcome.acknowledged) >= len(numbers) - (outcome.kill is not None)
    assert outcome.kept_its_word
    assert outcome.missing == ()


@pytest.mark.parametrize(
    ("event", "after_s"), [("begun", 0.0), ("begun", 0.02), ("appending", 0.0), ("appending", 0.0002)]
)
def test_a_kill_costs_nothing_acknowledged(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, after_s: float
) -> None:
    """Wherever the blow falls, numbers are dense, records in order, and the results those of a run without it."""
    aim(monkeypatch, 2, event, after_s)
    outcome = run_demo(path, seed=SEED, iterations=5)
    assert outcome.kill is not None
    assert outcome.kill.resumed_at in {2, 3, 4}
    check(outcome, path, range(5))
    undisturbed = str(tmp_path / "undisturbed.jsonl")
    run_demo(undisturbed, seed=SEED, iterations=5, kill=False)
    assert essence(path) == essence(undisturbed)


def test_a_kill_at_a_moment_of_chance(path: str) -> None:
    """The default blow falls in the middle third, and the next run on the same history goes on behind it."""
    first = run_demo(path, seed=SEED, iterations=6)
    assert first.kill is not None
    assert first.kill.in_flight in {None, 2, 3, 4}
    check(first, path, range(6))
    second = run_demo(path, seed=SEED, iterations=4)
    assert second.first == 6
    check(second, path, range(6, 10))
    assert second.curve[: len(first.curve)] == first.curve
    assert list(second.curve) == sorted(second.curve)


def test_going_on_gives_what_one_long_run_gives(path: str, tmp_path: Path) -> None:
    """Two runs of three iterations are one of six."""
    for _ in range(2):
        run_demo(path, seed=SEED, iterations=3, kill=False)
    whole = str(tmp_path / "whole.jsonl")
    run_demo(whole, seed=SEED, iterations=6, kill=False)
    assert essence(path) == essence(whole)


def test_torn_bytes_are_set_aside_and_counted(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a blow in the middle of the write leaves is found by the next worker and told with its size and place."""
    aim(monkeypatch, 2, "begun")
    torn = b'{"iteration":2,"timestamp":"2025-01-09T12:3'

    def tear(event: Mapping[str, Any]) -> None:
        if event["event"] == "killed":
            with Path(path).open("ab") as file:
                file.write(torn)

    outcome = run_demo(path, seed=SEED, iterations=4, watch=tear)
    assert outcome.kill is not None
    assert outcome.kill.torn_bytes == len(torn)
    assert Path(outcome.kill.torn[0]["kept_at"]).read_bytes() == torn
    assert (outcome.kill.in_flight, outcome.kill.resumed_at) == (2, 2)
    check(outcome, path, range(4))


def test_a_record_stored_but_not_acknowledged_is_kept_and_told(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kill falls between the append and its acknowledgement, the next worker goes on behind the record."""
    aim(monkeypatch, 1, "begun")

    def finish(event: Mapping[str, Any]) -> None:
        if event["event"] == "killed":
            with iterlog.open_history(path) as history:
                last = history.last()
                assert last is not None
                history.append(last.to_dict() | {"iteration": 1, "id": "0123456789abcdef"})

    outcome = run_demo(path, seed=SEED, iterations=3, watch=finish)
    assert outcome.kill is not None
    assert outcome.kill.stored_all_the_same
    assert outcome.kill.resumed_at == 2
    assert len(outcome.acknowledged) == 2
    check(outcome, path, range(3))


def test_a_lost_record_does_not_pass_for_kept(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the history had lost an acknowledged record, the demo would say so: here a test takes one out."""
    aim(monkeypatch, 2, "begun")

    def lose(event: Mapping[str, Any]) -> None:
        if event["event"] == "killed":
            lines = Path(path).read_bytes().splitlines(keepends=True)
            Path(path).write_bytes(b"".join(lines[:-1]))

    outcome = run_demo(path, seed=SEED, iterations=3, watch=lose)
    assert not outcome.kept_its_word
    assert outcome.missing == (outcome.acknowledged[1],)


def test_a_worker_that_ends_by_itself_too_early_is_an_error(path: str) -> None:
    """Any other end of a worker than the demo's own blow is raised, and the history can be gone on with."""
    pids: list[int] = []

    def strangle(event: Mapping[str, Any]) -> None:
        if event["event"] == "begun" and event["number"] == 1:
            with iterlog.open_history(path) as history, pytest.raises(iterlog.ConflictError) as conflict:
                history.resume()
            pids.append(int(str(conflict.value).split("process ")[1].split()[0]))
            os.kill(pids[0], signal.SIGTERM)

    with pytest.raises(iterlog.IterlogError, match="ended early"):
        run_demo(path, seed=SEED, iterations=3, kill=False, watch=strangle)
    assert pids
    outcome = run_demo(path, seed=SEED, iterations=2, kill=False)
    check(outcome, path, range(1, 3))


def test_the_worker_does_not_outlive_an_interrupted_parent(path: str) -> None:
    """When the parent is interrupted, the worker is killed and the claim is free again."""

    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "begun":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(path, seed=SEED, iterations=3, watch=interrupt)
    with iterlog.open_history(path) as history:
        assert history.resume().next_iteration == 0


def test_a_history_in_memory_is_refused() -> None:
    """Another process cannot see it."""
    with pytest.raises(iterlog.ConfigError, match="memory"):
        run_demo("memory://demo", seed=SEED, iterations=1)


def test_the_history_of_another_loop_is_refused_untouched(path: str) -> None:
    """The demo appends to nothing it did not begin, whatever ITERLOG_URL says."""
    with iterlog.open_history(path) as history:
        history.save(code="x = 1", metrics={}, feedback="precious")
    before = Path(path).read_bytes()
    with pytest.raises(iterlog.ConfigError, match="another loop"):
        run_demo(path, seed=SEED, iterations=1)
    assert Path(path).read_bytes() == before


def test_a_running_loop_is_not_disturbed(path: str) -> None:
    """A history that somebody has claimed is refused before anything is started."""
    with iterlog.open_history(path) as history:
        history.resume()
        with pytest.raises(iterlog.ConflictError):
            run_demo(path, seed=SEED, iterations=1)
