"""Handles that are forked, doubled, reached by two names, or whose files are taken away under them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, record, records, write_history
from fault_processes import Child, in_child

from iterlog import ConflictError, CorruptionError, HistoryStore, open_history
from iterlog.files.logfile import LogFile

if TYPE_CHECKING:
    from pathlib import Path

# From Python 3.12 on, forking with threads warns; that it works all the same is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a history may be written."""
    return tmp_path / "history.jsonl"


def append_some(history: HistoryStore, count: int) -> None:
    """Append records that take the next numbers."""
    for _ in range(count):
        history.append(record(None))


def test_fork_with_an_open_handle(path: Path) -> None:
    """Parent and child append through the same handle at once, and nothing is lost or numbered twice."""
    with open_history(path) as history:
        history.append(record(None))
        children = [Child(lambda _pipe: append_some(history, 30)) for _ in range(3)]
        append_some(history, 30)
        for child in children:
            child.finish()
        history.append(record(None))
        assert numbers(history) == list(range(122))
        assert history.verify().ok


def test_multiprocessing_fork_with_an_open_handle(path: Path) -> None:
    """The same with multiprocessing, whose children run exit handlers."""
    fork = multiprocessing.get_context("fork")
    with open_history(path) as history:
        history.resume()
        children = [fork.Process(target=append_some, args=(history, 20)) for _ in range(3)]
        for child in children:
            child.start()
        append_some(history, 20)
        for child in children:
            child.join()
            assert child.exitcode == 0
        assert numbers(history) == list(range(80))


@pytest.mark.parametrize("end", ["exit", "close", "both"])
def test_a_child_leaves_the_parents_lock_and_claim_alone(path: Path, end: str) -> None:
    """Neither the child's closing the handle nor its exit frees the parent's claim; the parent's close does."""
    history = open_history(path)
    history.resume()
    history.append(record(None))

    def use(_pipe: int) -> None:
        with pytest.raises(ConflictError):
            history.resume()
        if end != "close":
            history.append(record(None))
        if end != "exit":
            history.close()

    Child(use).finish()
    with open_history(path) as other, pytest.raises(ConflictError) as caught:
        other.resume()
    assert str(os.getpid()) in str(caught.value)
    history.append(record(None))
    history.close()
    with open_history(path) as other:
        other.resume()


def test_a_child_that_outlives_its_parents_handle_holds_no_claim(path: Path) -> None:
    """A forked child that merely lives on does not keep the history claimed."""
    history = open_history(path)
    history.resume()
    gate, opener = os.pipe()

    def wait(_pipe: int) -> None:
        os.close(opener)
        os.read(gate, 1)

    child = Child(wait)
    history.close()
    with open_history(path) as other:
        other.resume()
    os.close(gate)
    os.close(opener)
    child.finish()


def test_fork_during_an_append_of_another_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child forked while another thread holds every lock of the handle appends as soon as that thread is done."""
    history = open_history(path)
    history.append(record(None))
    writing, go_on = threading.Event(), threading.Event()
    real = LogFile._write

    def write(self: LogFile, descriptor: int, data: bytes, start: int) -> None:
        writing.set()
        go_on.wait()
        real(self, descriptor, data, start)

    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "_write", write)
        thread = threading.Thread(target=history.append, args=(record(None),))
        thread.start()
        writing.wait()

        def append(_pipe: int) -> None:
            monkeypatch.setattr(LogFile, "_write", real)
            append_some(history, 3)
            with history.iteration() as attempt:
                attempt.code = ""

        child = Child(append)
        # The child waits for the lock: the parent's thread is in the middle of its append.
        assert numbers(history) == [0]
        go_on.set()
        thread.join()
    child.finish()
    assert numbers(history) == list(range(6))
    history.close()


def test_fork_while_another_thread_enters_an_iteration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child forked while another thread is about to claim the history runs an iteration of its own."""
    history = open_history(path)
    claiming, go_on = threading.Event(), threading.Event()
    real = LogFile.claim

    def claim(self: LogFile) -> None:
        claiming.set()
        go_on.wait()
        real(self)

    def iterate() -> None:
        with history.iteration() as attempt:
            attempt.code = ""

    def iterate_in_child(_pipe: int) -> None:
        monkeypatch.setattr(LogFile, "claim", real)
        iterate()

    monkeypatch.setattr(LogFile, "claim", claim)
    thread = threading.Thread(target=iterate)
    thread.start()
    claiming.wait()
    Child(iterate_in_child).finish()
    go_on.set()
    thread.join()
    assert numbers(history) == [0, 1]
    history.close()


def test_two_handles_in_one_process(path: Path) -> None:
    """Two handles on one path take turns, see each other's records, and exclude each other's claim."""
    with open_history(path) as one, open_history(path) as two:
        for _ in range(3):
            append_some(one, 1)
            append_some(two, 2)
        assert numbers(one) == numbers(two) == list(range(9))
        one.resume()
        one.resume()
        with pytest.raises(ConflictError) as caught:
            two.resume()
        assert "this one" in str(caught.value)
        append_some(two, 1)
        one.close()
        assert two.resume().next_iteration == 10


def test_two_names_of_one_file(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, the path itself, a relative one and one through a linked directory share file, lock and claim."""
    (tmp_path / "link.jsonl").symlink_to(path)
    (tmp_path / "there").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: list[str | Path] = ["link.jsonl", path, "history.jsonl", tmp_path / "there" / "link.jsonl", f"file://{path}"]
    handles = [open_history(name) for name in names]
    handles[0].resume()
    for handle in handles:
        append_some(handle, 1)
    for handle in handles[1:]:
        with pytest.raises(ConflictError):
            handle.resume()
    for handle in handles:
        assert numbers(handle) == [0, 1, 2, 3, 4]
        handle.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "history.jsonl",
        "history.jsonl.lock",
        "link.jsonl",
        "there",
    ]


def test_relative_path_and_chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means where it pointed when the history was opened."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with open_history("history.jsonl") as history:
        history.append(record(None))
        monkeypatch.chdir(tmp_path / "elsewhere")
        history.append(record(None))
        assert numbers(history) == [0, 1]
        in_child(lambda: append_some(history, 1))
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert numbers_at(tmp_path / "history.jsonl") == [0, 1, 2]


@pytest.mark.parametrize("durability", ["sync", "flush"])
def test_file_removed_under_a_handle(path: Path, durability: str) -> None:
    """A handle whose file was removed begins a new one, and old positions are known to be gone."""
    with open_history(path, durability=durability) as history:
        append_some(history, 2)
        position = history.append(record(70))
        history.append(record(3))
        path.unlink()
        assert numbers(history) == []
        with pytest.raises(CorruptionError):
            list(history.read(position))
        append_some(history, 2)
        assert numbers(history) == [0, 1]
        with open_history(path) as other:
            append_some(other, 1)
        assert numbers(history) == [0, 1, 2]


def test_file_replaced_under_a_handle(tmp_path: Path, path: Path) -> None:
    """A handle whose file was replaced by another goes on behind what that one holds."""
    with open_history(path) as history:
        append_some(history, 2)
        write_history(tmp_path / "other.jsonl", records([10]), records([11]))
        (tmp_path / "other.jsonl").replace(path)
        append_some(history, 1)
        assert numbers(history) == [10, 11, 12]


def test_file_cut_under_a_handle(path: Path) -> None:
    """A handle whose file another program cut short in the middle of a line repairs it and goes on."""
    with open_history(path) as history:
        append_some(history, 3)
        os.truncate(path, path.stat().st_size - 30)
        append_some(history, 1)
        assert numbers(history) == [0, 1, 2]
        assert history.verify().ok
        os.truncate(path, 0)
        append_some(history, 1)
        assert numbers(history) == [0]


def test_foreign_bytes_at_the_end(path: Path) -> None:
    """What another program appends, torn or whole, is never merged with the next record."""
    with open_history(path) as history:
        append_some(history, 1)
        with path.open("ab") as file:
            file.write(b'{"iteration": 5, "code": "", "metrics": {}, "feedback": ""}\n')
        append_some(history, 1)
        with path.open("ab") as file:
            file.write(b'{"iteration": 7, "co')
        append_some(history, 1)
        assert numbers(history) == [0, 5, 6, 7]
        assert len(history.repair()) == 1
