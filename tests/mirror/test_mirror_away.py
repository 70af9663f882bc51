"""A copy that is away, hangs, or is not what it should be never disturbs the history, and follows when it can."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from mirror_helpers import AwayHistory, come_back, go_away, hang, lines_of, mirror_threads, save
from waiting import wait_until

import iterlog
from iterlog import mirror
from iterlog.copying import chase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _back_in_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Try again soon, and leave no hanging thread behind."""
    monkeypatch.setattr(chase, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(chase, "_LONGEST_PAUSE_S", 0.05)
    come_back()
    yield
    come_back()
    wait_until(lambda: not mirror_threads())


@pytest.fixture
def copy() -> str:
    """A copy that can go away."""
    return f"fickle://{uuid.uuid4().hex}"


FAILURES = [
    iterlog.UnavailableError("away"),
    iterlog.WriteUncertainError("nobody knows"),
    iterlog.ConflictError("somebody else"),
    iterlog.CorruptionError("damaged"),
    OSError(5, "the disk"),
    RuntimeError("a fault of the backend"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_an_outage_is_survived(tmp_path: Path, copy: str, caplog: pytest.LogCaptureFixture, failure: Exception) -> None:
    """Appends go on, the outage is told once and shown in the status, and afterwards nothing is missing or doubled."""
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        save(history, *range(5))
        wait_until(lambda: len(lines_of(copy)) == 5)
        go_away(failure)
        tried = AwayHistory.tried
        save(history, *range(5, 15))
        wait_until(lambda: AwayHistory.tried > tried + 5)
        (status,) = history.mirrors
        assert (status.lag.records, status.error) == (10, failure)
        assert status.lag.seconds >= 0.0
        assert len(history) == 15
        come_back()
        wait_until(lambda: history.mirrors[0].error is None)
        wait_until(lambda: history.mirrors[0].lag.records == 0)
    assert lines_of(copy) == lines_of(tmp_path / "run.jsonl")
    said = [record.getMessage() for record in caplog.records]
    assert [sum(word in line for line in said) for word in ("copy is away", "copy is back")] == [1, 1]


def test_away_from_the_beginning_to_the_end(tmp_path: Path, copy: str) -> None:
    """A copy that was never reached costs the loop nothing and close() no wait; the next run catches up."""
    go_away()
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        save(history, *range(5))
        wait_until(lambda: history.mirrors[0].error is not None)
        assert (history.mirrors[0].position, history.mirrors[0].lag.records) == (iterlog.START, 5)
    come_back()
    assert lines_of(copy) == []
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        history.resume()
    assert lines_of(copy) == lines_of(tmp_path / "run.jsonl")


def test_a_place_that_cannot_be_yet(tmp_path: Path) -> None:
    """A copy below what is no directory follows once it is one."""
    (tmp_path / "disk").write_text("not mounted")
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=tmp_path / "disk" / "copy.jsonl") as history:
        save(history, *range(5))
        wait_until(lambda: history.mirrors[0].error is not None)
        (tmp_path / "disk").unlink()
        (tmp_path / "disk").mkdir()
        wait_until(lambda: history.mirrors[0].lag.records == 0)
    assert len(lines_of(tmp_path / "disk" / "copy.jsonl")) == 5


def test_a_copy_that_hangs(tmp_path: Path, copy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither append() nor close() waits for it longer than was promised."""
    monkeypatch.setattr(mirror, "_CLOSE_WAIT_S", 0.05)
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        hang()
        save(history, *range(5))
        wait_until(lambda: bool(mirror_threads()))
    assert history.closed
    assert len(lines_of(tmp_path / "run.jsonl")) == 5


_HANGING = """
import sys, threading
import iterlog
from iterlog.backends.memory import MemoryHistory
class Hanging(MemoryHistory):
    def _append(self, lines, durability):
        print("hangs", flush=True)
        threading.Event().wait()
iterlog.register_backend("hanging", Hanging)
history = iterlog.open_history(sys.argv[1], mirror="hanging://x")
history.save(code=None, metrics={}, feedback="")
import time
time.sleep(1)
"""


def test_the_interpreter_ends(tmp_path: Path) -> None:
    """A program that never closes its history ends all the same, with a copy that hangs."""
    done = subprocess.run(
        [sys.executable, "-c", _HANGING, str(tmp_path / "run.jsonl")], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hangs\n", b"")


def test_a_copy_that_differs_is_left_alone(tmp_path: Path) -> None:
    """A history on a new disk, whose copy holds the old one: nothing is written there, and the status says why."""
    with iterlog.open_history(tmp_path / "copy.jsonl") as other:
        save(other, *range(100, 110))
    before = (tmp_path / "copy.jsonl").read_bytes()
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=tmp_path / "copy.jsonl") as history:
        save(history, 0, 1)
        wait_until(lambda: isinstance(history.mirrors[0].error, iterlog.ConflictError))
        save(history, 2)
    assert (tmp_path / "copy.jsonl").read_bytes() == before
    assert len(lines_of(tmp_path / "run.jsonl")) == 3


def test_a_copy_that_was_set_back(tmp_path: Path) -> None:
    """A copy that loses its end while it is followed gets it again; the bookmark's word is not taken for it."""
    copy = tmp_path / "copy.jsonl"
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        save(history, *range(10))
    copy.write_bytes(b"".join(copy.read_bytes().splitlines(keepends=True)[:4]))
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        save(history, 10)
    assert copy.read_bytes() == (tmp_path / "run.jsonl").read_bytes()


def test_a_source_that_was_replaced(tmp_path: Path) -> None:
    """A history whose file another one takes the place of is not continued in the copy as if it were the same."""
    copy, path = tmp_path / "copy.jsonl", tmp_path / "run.jsonl"
    line = b'{"iteration": %d, "code": null, "metrics": {}, "feedback": "%b"}\n'
    path.write_bytes(b"".join(line % (100 + i, b"old") for i in range(5)))
    with iterlog.open_history(path, mirror=copy) as history:
        history.resume()
        wait_until(lambda: len(lines_of(copy)) == 5)
        before = copy.read_bytes()
        other = tmp_path / "other.jsonl"
        other.write_bytes(b"".join(line % (100 + i, b"new") for i in range(9)))
        other.replace(path)
        save(history, 200)
        wait_until(lambda: isinstance(history.mirrors[0].error, iterlog.ConflictError))
    assert copy.read_bytes() == before


def test_pauses_grow_and_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it keeps failing the pauses double up to a limit; after a good while they begin anew."""
    monkeypatch.setattr(chase, "_SHORTEST_PAUSE_S", 1.0)
    monkeypatch.setattr(chase, "_LONGEST_PAUSE_S", 10.0)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    back_off = chase.BackOff()
    pauses = []
    for _ in range(6):
        pauses.append(back_off.pause_s())
        now[0] += pauses[-1]
    now[0] += 100
    assert [*pauses, back_off.pause_s()] == [1, 2, 4, 8, 10, 10, 1]
