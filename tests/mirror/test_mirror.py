"""Copies that follow a history while a loop appends to it."""

from __future__ import annotations

import gc
import os
import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from mirror_helpers import lines_of, mirror_threads, save
from waiting import wait_until

import iterlog
from iterlog.jobs.sync import sync

if TYPE_CHECKING:
    from pathlib import Path

PLACES = {
    "file": "jsonl://{}.jsonl",
    "set": "rotating://{}?max_records=7",
    "compressed set": "rotating://{}?max_records=7&compress=inline",
    "memory": "memory://{}",
    "object store": "fsspec+memory://bucket{}",
}
"""URLs by name; one more kind of place is one more line here."""


@pytest.mark.parametrize("to_kind", PLACES)
@pytest.mark.parametrize("from_kind", PLACES)
def test_a_copy_follows(tmp_path: Path, from_kind: str, to_kind: str) -> None:
    """Whatever is appended stands in the copy soon, the same bytes in the same order, and nothing is behind."""
    url, copy = PLACES[from_kind].format(tmp_path / "run"), PLACES[to_kind].format(tmp_path / "copy")
    with iterlog.open_history(url, mirror=copy) as history:
        save(history, *range(20))
        wait_until(lambda: len(lines_of(copy)) == 20)
        history.extend({"code": "b", "metrics": {}, "feedback": ""} for _ in range(9))
        wait_until(lambda: history.mirrors[0].lag.records == 0)
        assert lines_of(copy) == [line for _, line in history.lines()]
        (status,) = history.mirrors
        assert (status.url, status.lag.seconds, status.error) == (copy.partition("?")[0], 0.0, None)
        assert list(history.lines(status.position)) == []
    assert not mirror_threads()


def test_closing_catches_up(tmp_path: Path) -> None:
    """What was appended just before the end stands in the copy behind close()."""
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=tmp_path / "copy.jsonl") as history:
        save(history, *range(500))
    assert (tmp_path / "copy.jsonl").read_bytes() == (tmp_path / "run.jsonl").read_bytes()
    assert not mirror_threads()


def test_several_copies(tmp_path: Path) -> None:
    """A list names several, each with its own state."""
    copies = [tmp_path / "one.jsonl", f"rotating://{tmp_path}/two", f"memory://{tmp_path}/three"]
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copies) as history:
        save(history, *range(5))
        assert len(history.mirrors) == 3
    assert [len(lines_of(copy)) for copy in copies] == [5, 5, 5]


def test_the_query_names_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any option; a relative path means the directory of the moment it was opened in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with iterlog.open_history("run.jsonl?mirror=copy.jsonl&durability=flush") as history:
        monkeypatch.chdir(tmp_path / "elsewhere")
        save(history, 0, 1)
    assert len(lines_of(tmp_path / "copy.jsonl")) == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_three_functions_are_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default history with a copy in $ITERLOG_URL needs no line of code."""
    monkeypatch.setenv("ITERLOG_URL", f"{tmp_path}/run.jsonl?mirror={tmp_path}/copy.jsonl")
    iterlog.save_iteration_result(0, "x", {}, "first")
    wait_until(lambda: len(lines_of(tmp_path / "copy.jsonl")) == 1)
    monkeypatch.setenv("ITERLOG_URL", str(tmp_path / "other.jsonl"))
    iterlog.get_last_iteration_number()  # lets go of the first history


def test_none_asks_for_no_copy(tmp_path: Path) -> None:
    """A caller that has no copy to name may pass None."""
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=None) as history:
        save(history, 0)
        assert history.mirrors == ()


@pytest.mark.parametrize("wrong", [7, b"x", ["a.jsonl", 7], "", "gopher://x", "x.jsonl?durabilty=flush"])
def test_a_wrong_copy_is_refused_at_once(tmp_path: Path, wrong: object) -> None:
    """A mistake in the copy's URL is told when the history is opened, and nothing is opened."""
    with pytest.raises(iterlog.ConfigError):
        iterlog.open_history(tmp_path / "run.jsonl", mirror=wrong)


def test_a_history_is_not_its_own_copy(tmp_path: Path) -> None:
    """Nor is one copy named twice."""
    with pytest.raises(iterlog.ConfigError, match="same"):
        iterlog.open_history(tmp_path / "run.jsonl", mirror=f"jsonl://{tmp_path}/run.jsonl")
    with pytest.raises(iterlog.ConfigError, match="twice"):
        iterlog.open_history(tmp_path / "run.jsonl", mirror=[tmp_path / "a.jsonl", tmp_path / "." / "a.jsonl"])


def test_reading_starts_nothing(tmp_path: Path) -> None:
    """A handle that only reads has no thread and writes no copy, yet says how far the copy is."""
    with iterlog.open_history(tmp_path / "run.jsonl") as history:
        save(history, *range(5))
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=tmp_path / "copy.jsonl") as history:
        assert len(list(history)) == len(history) == 5
        assert history.verify().ok
        (status,) = history.mirrors
        assert (status.position, status.lag.records, status.error) == (iterlog.START, 5, None)
        assert not mirror_threads()
    assert not (tmp_path / "copy.jsonl").exists()


def test_resuming_catches_up(tmp_path: Path) -> None:
    """What an earlier run left behind is copied as soon as a loop begins, before it appends."""
    with iterlog.open_history(tmp_path / "run.jsonl") as history:
        save(history, *range(5))
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=tmp_path / "copy.jsonl") as history:
        history.resume()
        wait_until(lambda: len(lines_of(tmp_path / "copy.jsonl")) == 5)


def test_what_others_append_is_copied(tmp_path: Path) -> None:
    """Records of other handles and processes follow as well, without a word from them."""
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=tmp_path / "copy.jsonl") as history:
        save(history, 0)
        with iterlog.open_history(tmp_path / "run.jsonl") as other:
            save(other, 1, 2)
        wait_until(lambda: len(lines_of(tmp_path / "copy.jsonl")) == 3)


@pytest.mark.parametrize("to_kind", PLACES)
def test_three_handles_with_one_copy(tmp_path: Path, to_kind: str) -> None:
    """They take turns, by a claim or by taking over, and each line stands in the copy once."""
    copy = PLACES[to_kind].format(tmp_path / "copy")
    handles = [iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) for _ in range(3)]
    threads = [threading.Thread(target=save, args=(handle, *range(i, 300, 3))) for i, handle in enumerate(handles)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for handle in handles:
        handle.close()
    sync(tmp_path / "run.jsonl", copy, verify=True)
    assert len(lines_of(copy)) == 300


def test_a_forked_child_goes_on(tmp_path: Path) -> None:
    """A child's records are copied, by its own thread or its parent's, and neither disturbs the other."""
    copy = tmp_path / "copy.jsonl"
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=copy) as history:
        save(history, 0)
        wait_until(lambda: len(lines_of(copy)) == 1)
        child = os.fork()
        if not child:
            try:
                save(history, 1, 2)
                history.close()
            finally:
                os._exit(0 if history.closed else 1)
        assert os.waitpid(child, 0)[1] == 0
        save(history, 3)
        wait_until(lambda: len(lines_of(copy)) == 4)
    assert copy.read_bytes() == (tmp_path / "run.jsonl").read_bytes()


def test_a_forked_child_alone_with_its_copy(tmp_path: Path) -> None:
    """A child of a parent that never appended starts a thread of its own and ends it."""
    copy = tmp_path / "copy.jsonl"
    history = iterlog.open_history(tmp_path / "run.jsonl", mirror=copy)
    child = os.fork()
    if not child:
        try:
            save(history, 1, 2)
            history.close()
        finally:
            os._exit(0 if len(lines_of(copy)) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    history.close()


def test_a_forked_child_outlives_its_parents_thread(tmp_path: Path) -> None:
    """A child forked while the parent's thread ran has one of its own, which copies when the parent has let go."""
    copy = tmp_path / "copy.jsonl"
    history = iterlog.open_history(tmp_path / "run.jsonl", mirror=copy)
    save(history, 0)
    wait_until(lambda: len(lines_of(copy)) == 1)
    waiting, go_on = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.read(waiting, 1)
            save(history, 1, 2)
            history.close()
        finally:
            os._exit(0 if len(lines_of(copy)) == 3 else 1)
    history.close()
    os.write(go_on, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(waiting)
    os.close(go_on)


def test_behind_a_spool(tmp_path: Path) -> None:
    """A history with a spool has copies as any other: of what stands in the store, and of what waits."""
    options = {"spool": tmp_path / "spool", "mirror": tmp_path / "copy.jsonl"}
    for first in (0, 5):
        with iterlog.open_history(f"rotating://{tmp_path}/set", **options) as history:
            save(history, *range(first, first + 5))
    assert lines_of(tmp_path / "copy.jsonl") == lines_of(tmp_path / "set")
    assert sync(tmp_path / "set", tmp_path / "copy.jsonl", verify=True).copied == 0


def test_a_dropped_handle_ends_its_thread() -> None:
    """Without close(), as in a notebook's cell, nothing keeps running and the copy is free."""
    copy = f"memory://{uuid.uuid4().hex}"
    history = iterlog.open_history(f"memory://{uuid.uuid4().hex}", mirror=copy)
    save(history, 0)
    wait_until(lambda: len(lines_of(copy)) == 1)
    del history

    def is_over() -> bool:
        gc.collect()
        return not mirror_threads()

    wait_until(is_over)
    with iterlog.open_history(copy) as free:
        assert free.resume().next_iteration == 1


def test_abilities_are_those_of_the_history(tmp_path: Path) -> None:
    """A mirrored history is of the same class, with the same abilities."""
    for url in (f"rotating://{tmp_path}/set", f"memory://{tmp_path}/m"):
        with iterlog.open_history(url) as bare, iterlog.open_history(url, mirror=tmp_path / "c.jsonl") as history:
            assert type(history) is type(bare)


def test_a_copy_of_a_copy(tmp_path: Path) -> None:
    """A copy's URL may name a copy of its own."""
    second = f"{tmp_path}/second.jsonl?mirror={tmp_path}/third.jsonl"
    with iterlog.open_history(tmp_path / "run.jsonl", mirror=second) as history:
        save(history, *range(5))
    assert len(lines_of(tmp_path / "third.jsonl")) == 5
