"""Which history the three functions work on, from where they may be called, and what they refuse."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import iterlog
from iterlog import ConfigError, MissingDependencyError, RecordError, loop, open_history, register_backend, registry
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog import HistoryURL


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty directory, and forget the default history afterwards."""
    monkeypatch.delenv("ITERLOG_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(registry, "_registered", {})
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    os.chdir("/")
    loop._close_all()


def save(iteration: int, feedback: str = "f") -> None:
    """Save an iteration of which only the number and the feedback matter."""
    iterlog.save_iteration_result(iteration, "x", {}, feedback)


def numbers(url: str | Path) -> list[int | None]:
    """Return the numbers in a history."""
    with open_history(url) as history:
        return [record.iteration for record in history]


def test_the_name_of_the_default() -> None:
    """``HISTORY_FILE`` reads as the file's name until it is assigned."""
    assert iterlog.HISTORY_FILE == "iteration_history.jsonl"
    save(0)
    assert Path(iterlog.HISTORY_FILE).exists()


def test_history_file_is_honoured_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assigned between two calls it counts from the next one on; taken back, the default counts again."""
    with monkeypatch.context() as patch:
        patch.setattr(iterlog, "HISTORY_FILE", "a.jsonl")
        save(0)
        patch.setattr("iterlog.HISTORY_FILE", Path("b?c=d.jsonl"))
        save(1)
        assert iterlog.get_last_iteration_number() == 1
        patch.setattr(iterlog, "HISTORY_FILE", "a.jsonl?durability=flush")
        save(2)
        assert iterlog.get_last_iteration_number() == 2
    assert iterlog.get_last_iteration_number() == -1
    save(3)
    assert [numbers(Path(name)) for name in ("a.jsonl", "b?c=d.jsonl", "iteration_history.jsonl")] == [[0, 2], [1], [3]]


def test_history_file_of_the_module_with_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assigned where the functions live, it counts as well."""
    monkeypatch.setattr(loop, "HISTORY_FILE", "c.jsonl")
    save(0)
    assert numbers("c.jsonl") == [0]


def test_a_relative_path_follows_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """After chdir, the file of that name in the new directory is meant."""
    save(0)
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    assert iterlog.get_last_iteration_number() == -1
    save(5)
    assert (numbers("iteration_history.jsonl"), numbers("../iteration_history.jsonl")) == ([5], [0])


def test_iterlog_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the default history, but not over an assignment."""
    name = f"memory://{uuid.uuid4().hex}"
    monkeypatch.setenv("ITERLOG_URL", name)
    save(0)
    assert numbers(name) == [0]
    monkeypatch.setattr(iterlog, "HISTORY_FILE", "assigned.jsonl")
    save(1)
    assert (numbers(name), numbers("assigned.jsonl")) == ([0], [1])


@pytest.mark.parametrize(
    "wrong",
    ["nope://x", "run.jsonl?durabilty=flush", "run.jsonl?durability=x", "jsonl://run.jsonl", "s3://K:S@b", "", b"x", 5],
)
def test_a_wrong_name_is_raised(monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    """A wrong URL or option is the user's to fix: it ends the loop at its first call instead of losing records."""
    monkeypatch.setattr(iterlog, "HISTORY_FILE", wrong)
    for call in (lambda: save(0), iterlog.load_previous_feedback, iterlog.get_last_iteration_number):
        with pytest.raises(ConfigError):
            call()
    monkeypatch.setattr(iterlog, "HISTORY_FILE", "right.jsonl")
    save(0)
    assert numbers("right.jsonl") == [0]


class NeedsPackage(MemoryHistory):
    """A backend whose package is not installed."""

    @classmethod
    def from_url(cls, url: HistoryURL) -> NeedsPackage:
        """Say what is missing."""
        raise MissingDependencyError("pip install it", url=str(url))


def test_a_missing_package_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting installs a package: the loop is told."""
    register_backend("needs", NeedsPackage)
    monkeypatch.setattr(iterlog, "HISTORY_FILE", "needs://x")
    for call in (lambda: save(0), iterlog.load_previous_feedback):
        with pytest.raises(MissingDependencyError):
            call()


@pytest.mark.parametrize("wrong", [{"metrics": {"f": len}}, {"feedback": None}, {"iteration": -1}, {"iteration": None}])
def test_an_invalid_record_is_raised(wrong: dict[str, Any]) -> None:
    """What cannot be recorded is the loop's to fix, a number left out included."""
    given = {"iteration": 0, "code": "x", "metrics": {}, "feedback": "", **wrong}
    with pytest.raises(RecordError):
        iterlog.save_iteration_result(**given)
    assert not Path("iteration_history.jsonl").exists()
    assert list(Path().iterdir()) == []


def test_threads() -> None:
    """Any thread may save; nothing is lost, and each sees a feedback that was saved."""

    def run(thread: int) -> None:
        for i in range(10):
            save(thread * 10 + i, feedback=f"{thread}")
            assert iterlog.load_previous_feedback() in set("0123")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert sorted(number or 0 for number in numbers("iteration_history.jsonl")) == list(range(40))


def _save_in_child(iteration: int) -> None:
    save(iteration)
    assert iterlog.get_last_iteration_number() >= 0


def test_forked_children_go_on() -> None:
    """With the handle open, forked children save to the same history, each under a lock of its own."""
    save(0)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_save_in_child, args=(i,)) for i in range(1, 4)]
    with loop._lock:
        for child in children:
            child.start()
    for child in children:
        child.join(30)
    save(4)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert sorted(number or 0 for number in numbers("iteration_history.jsonl")) == [0, 1, 2, 3, 4]
    assert numbers("iteration_history.jsonl")[-1] == 4


def test_the_handle_stays_open() -> None:
    """Calls share one handle, and do not claim the history: a loop of another process may run on it."""
    save(0)
    store = next(iter(loop._histories.values()))._store
    save(1)
    assert next(iter(loop._histories.values()))._store is store
    with open_history("iteration_history.jsonl") as other:
        assert other.resume().next_iteration == 2


def test_a_completely_corrupted_file(caplog: pytest.LogCaptureFixture) -> None:
    """Without one readable record there is no feedback and no number, and a warning; saving destroys nothing."""
    path = Path("iteration_history.jsonl")
    junk = b'not json\n\x00\x00\x00\n{"half": \n\xff\xfe\n'
    path.write_bytes(junk)
    with caplog.at_level(logging.WARNING, "iterlog"):
        assert (iterlog.load_previous_feedback(), iterlog.get_last_iteration_number()) == ("", -1)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    save(0, "first")
    assert path.read_bytes().startswith(junk)
    assert (iterlog.load_previous_feedback(), iterlog.get_last_iteration_number()) == ("first", 0)


def test_a_directory_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the current directory is removed under the loop, nothing raises and no record is lost."""
    save(0)
    shutil.rmtree(tmp_path / "work")
    save(1, "after")
    assert iterlog.load_previous_feedback() == "after"
    loop._close_all()
    loop._current = None
    save(2, "anew")
    assert iterlog.get_last_iteration_number() == 2
    assert "kept in" in caplog.text
