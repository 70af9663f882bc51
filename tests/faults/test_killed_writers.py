"""Writers are killed at any moment: whatever they had acknowledged is there, in order and once."""

from __future__ import annotations

import itertools
import os
import random
import time
from typing import TYPE_CHECKING

import pytest
from fault_files import beside, numbers, quick_directory, record, records, write_history
from fault_processes import Child
from fault_shim import fault, shimmed

from iterlog import IterationRecord, Position, open_history
from iterlog.files import logfile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLS = 200
LONGEST_LIFE_S = 0.01


@pytest.fixture
def path() -> Iterator[Path]:
    """A path where a writer spends its short life on writing, so that kills hit it there."""
    with quick_directory() as directory:
        yield directory / "history.jsonl"


def live(path: Path, life: int, pipe: int) -> None:
    """Append, and acknowledge each append through a pipe once it has returned, until killed."""
    code = "é" * (10, 3000, 30_000)[life % 3]
    size = (1, 3)[life // 3 % 2]
    with open_history(path, durability="flush" if life % 4 else "sync") as history:
        if life % 5 == 0:
            history.resume()  # never refused: the claim of a killed process is free
        for turn in itertools.count():
            history.extend(IterationRecord(None, code, {}, f"{life} {turn} {i} {size}") for i in range(size))
            os.write(pipe, b".")


def check_whole(found: list[IterationRecord]) -> dict[int, int]:
    """Check that appends are whole, lives follow each other and each one's turns are in order; count the turns."""
    turns: dict[int, int] = {}
    rest = iter(found)
    for first in rest:
        life, turn, i, size = map(int, first.feedback.split())
        assert life >= max(turns, default=0)
        assert (turn, i) == (turns.get(life, 0), 0)
        for k in range(1, size):
            assert next(rest).feedback == f"{life} {turn} {k} {size}"
        turns[life] = turn + 1
    return turns


def read_on(path: Path, end: Path, pipe: int) -> None:
    """Read what is new again and again: no append in part, no line that is damaged, nothing twice."""
    found: list[IterationRecord] = []
    position = Position()
    with open_history(path, on_damage="raise") as history:
        last_look = False
        while not last_look:
            last_look = end.exists()
            before = len(found)
            for after, one in history.entries(position):
                position = after
                found.append(one)
            if len(found) > before:
                check_whole(found)
            last = next(reversed(history), None)
            assert last is None or last.iteration is not None
            time.sleep(0.002)
    os.write(pipe, str(len(found)).encode())


def kill_writers(path: Path, kills: int) -> dict[int, int]:
    """Let writers live and die one after the other; return how many appends each had acknowledged."""
    moments = random.Random(20250109)  # the moments differ all the same, as the machine's load does
    acknowledged = {}
    for life in range(kills):
        child = Child(lambda pipe, life=life: live(path, life, pipe))  # type: ignore[misc] # mypy infers no lambda with a default
        # Most die once they have begun to append, every fifth perhaps while it opens the history.
        first = os.read(child.pipe, 1) if life % 5 else b""
        time.sleep(moments.uniform(0, LONGEST_LIFE_S))
        acknowledged[life] = len(first + child.kill())
    return acknowledged


def check_kills(path: Path, acknowledged: dict[int, int]) -> None:
    """Compare a history with what its killed writers had acknowledged."""
    with open_history(path) as history:
        history.resume()
        found = list(history)
        report = history.verify()
    assert report.ok
    assert report.records == len(found)
    assert [one.iteration for one in found] == list(range(len(found)))
    turns = check_whole(found)
    for life, count in acknowledged.items():
        # One append more may have been stored than the writer lived to acknowledge.
        assert turns.get(life, 0) - count in {0, 1}


def test_kill_writers_in_a_loop(path: Path) -> None:
    """Two hundred writers are killed at random moments: nothing acknowledged is lost, doubled or out of order."""
    end = path.with_name("end")
    readers = [Child(lambda pipe: read_on(path, end, pipe)) for _ in range(2)]
    acknowledged = kill_writers(path, KILLS)
    assert sum(acknowledged.values()) > KILLS
    check_kills(path, acknowledged)
    end.touch()
    with open_history(path) as history:
        count = len(history)
    assert [reader.finish() for reader in readers] == [str(count).encode()] * 2


@pytest.mark.parametrize("write", ["append", "replace"])
@shimmed
def test_kill_in_the_middle_of_a_write(tmp_path: Path, write: str) -> None:
    """A process that dies with any part of its append written leaves that part to be set aside, and nothing else."""
    path = tmp_path / "history.jsonl"
    line = len(write_history(tmp_path / "other.jsonl", records([1, 2]), write=write))
    content = write_history(path, records([0]), write=write)
    where = "history.jsonl" if write == "append" else ".tmp"

    def append(written: int) -> None:
        with open_history(path, write=write) as history, fault("write", where, kill=written, first=_last_write(write)):
            history.extend(records([1, 2]))

    for written in (0, 1, line // 2 - 1, line // 2, line // 2 + 1, line - 2, line - 1, line):
        path.write_bytes(content)
        child = Child(lambda _pipe, written=written: append(written))  # type: ignore[misc] # mypy infers no lambda with a default
        _, status = os.waitpid(child.pid, 0)
        os.close(child.pipe)
        assert os.WIFSIGNALED(status)
        with open_history(path, write=write) as history:
            whole = write == "append" and written >= line - 1
            history.append(record(None))
            assert numbers(history) == ([0, 1, 2, 3] if whole else [0, 1])
            assert history.verify().ok
    if write == "replace":
        assert not [name for name in beside(path) if ".torn-" in name]


def _last_write(write: str) -> int:
    """Return which write of an append carries its records."""
    return 1 if write == "append" else 2  # the old content comes first


# The checks above can fail.


def test_writers_that_do_not_repair_are_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the next writer goes on behind a torn record, the loop above notices."""
    monkeypatch.setattr(logfile, "put_in_order", lambda _fd, _path, size, _report: size)
    content = write_history(path, *([IterationRecord(None, "", {}, f"0 {turn} 0 1")] for turn in range(3)))
    path.write_bytes(content[:-20])
    with open_history(path) as history:
        history.append(IterationRecord(None, "", {}, "1 0 0 1"))
    with pytest.raises(AssertionError):
        check_kills(path, {0: 2, 1: 1})


def test_a_lost_acknowledged_record_is_noticed(path: Path) -> None:
    """When a record that was acknowledged is not there, the loop above notices."""
    write_history(path, *([IterationRecord(None, "", {}, f"0 {turn} 0 1")] for turn in range(3)))
    check_kills(path, {0: 3})
    check_kills(path, {0: 2})
    for acknowledged in (4, 1):
        with pytest.raises(AssertionError):
            check_kills(path, {0: acknowledged})
