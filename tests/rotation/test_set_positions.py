"""Positions and numbers never change: not by sealing, compressing or merging, damage and blank lines included."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest
from back_doors import BEGINNING
from fault_files import numbers, quick_directory, record, records
from fault_processes import Child, in_child
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rotation_files import entries, listing, names, open_set, write_set

from iterlog import ConflictError, IterationRecord
from iterlog.files.lockfile import LockFile, WriterNote
from iterlog.lines import encode_body, finish_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place where syncing costs nothing."""
    with quick_directory() as path:
        yield path / "set"


BETWEEN = {
    "blank": b"\n  \n",
    "garbage": b"not a record\n",
    "damaged": BEGINNING + b"\n",
    "torn": BEGINNING,
    "cancelled": BEGINNING + b"\x18\n",
    "nul": bytes(100) + b"\n",
}

steps = st.lists(
    st.one_of(
        st.integers(1, 5),
        st.sampled_from([*BETWEEN, "unfinished", "seal", "compress", "compact", "reopen"]),
    ),
    max_size=14,
)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_positions_never_change(done: list[int | str]) -> None:
    """Whatever stands between records, and whatever is done to their files, an append's position stays the same."""
    # A damaged line inside an append that was cancelled is passed over forwards and shown backwards.
    assume(not {"unfinished", "cancelled"} <= set(done))
    with quick_directory() as directory:
        check_positions(directory / "set", done)


def check_positions(directory: Path, done: list[int | str]) -> None:
    """Do some steps and compare the positions, as append returned them, after each."""
    write_set(directory, 1)
    history = open_set(directory, max_records=4, durability="flush")
    known = {entries(history)[0][0]: 0}
    try:
        for step in [*done, "seal", "compress", "compact"]:
            if isinstance(step, int):
                position = history.extend(records([None] * step))
                known[position] = history.last().iteration or 0  # type: ignore[union-attr] # one was just appended
            elif step == "seal":
                history.seal()
            elif step == "compress":
                list(history.compress())
            elif step == "compact":
                with open_set(directory, max_records=40) as other:
                    list(other.compact())
            elif step == "reopen":
                history.close()
                history = open_set(directory, max_records=4, durability="flush")
            else:
                active = listing(directory).active
                if active is not None:
                    following = 1 + max(number or 0 for number in numbers(history))
                    unfinished = finish_line(following, encode_body(record(following)), 2) + b"\n"
                    with (directory / active.name).open("ab") as file:
                        file.write(BETWEEN.get(step, unfinished))
            found = {position: found.iteration for position, found in history.entries()}
            assert {position: found.iteration for position, found in history.entries_back()} == found
            assert {position: found[position] for position in known} == known
            assert len(set(found.values())) == len(found)
            assert len(history) == len(found)
    finally:
        history.close()


def test_a_batch_is_never_split(directory: Path) -> None:
    """A batch longer than a file's limit stays in one file, and the next one is sealed behind it."""
    with open_set(directory, max_records=3) as history:
        assert history.extend(records(range(2)))[0] == 2
        assert history.extend(records(range(2, 12)))[0] == 12
        history.append(record(12))
        assert [(part.first, part.end) for part in listing(directory).parts] == [(0, 12), (12, None)]
        list(history.compress())
        assert [found.iteration for _, found in entries(history)] == list(range(13))


def test_a_file_is_sealed_by_age(directory: Path) -> None:
    """An append to a file whose first record is older than max_age seals it, whoever wrote that one."""
    old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    with open_set(directory, max_records=100, max_age="1d") as history:
        history.append(IterationRecord(0, "", {}, "", timestamp=old))
        history.append(record(1))
        assert names(directory) == ["000000000000.jsonl"]
    with open_set(directory, max_records=100, max_age="30m") as history:
        history.append(record(2))
        history.append(record(3))
        assert names(directory) == ["000000000000.jsonl", "000000000003.jsonl"]


def test_a_file_is_sealed_by_size(directory: Path) -> None:
    """An append that makes a file larger than max_bytes seals it."""
    with open_set(directory, max_records=100, max_bytes=1000) as history:
        for number in range(12):
            history.append(record(number))
        sizes = [(directory / name).stat().st_size for name in names(directory)[:-1]]
        assert len(sizes) > 1
        assert all(1000 <= size < 2000 for size in sizes)
        assert [found.iteration for _, found in entries(history)] == list(range(12))


def test_a_removed_lock_file_costs_nothing(directory: Path) -> None:
    """With the lock file gone, open handles and new ones go on with the right numbers and files."""
    with open_set(directory) as one, open_set(directory) as other:
        for number in (90, 5, 6, 7):
            one.append(record(number))
        (directory / "lock").unlink()
        other.append(record(None))
        (directory / "lock").unlink()
        with open_set(directory) as third:
            third.append(record(None))
        for _ in range(4):
            one.append(record(None))
            other.append(record(None))
        assert [found.iteration for _, found in entries(one)] == [90, 5, 6, 7, *range(91, 101)]
        assert one.verify().ok


@pytest.mark.parametrize("lines", [b"", b"not a record\n"])
def test_another_boot(directory: Path, lines: bytes) -> None:
    """After another boot all numbers of all files count, and damaged lines are reported by position once."""
    with open_set(directory) as history:
        for number in (90, 5, 6, 70, 7):
            history.append(record(number))
        list(history.compress())
    with (directory / names(directory)[-1]).open("ab") as file:
        file.write(lines)
    lock = LockFile(str(directory / "lock"), "")
    lock.acquire()
    lock.write_note(WriterNote("another boot", -1))
    lock.close()
    with open_set(directory) as history:
        point = history.resume()
        assert point.next_iteration == 91
        assert [dropped.position[0] for dropped in point.dropped] == ([5] if lines else [])
        history.append(record(None))
        assert history.last() == next(reversed(history))
    with open_set(directory) as history:
        assert history.resume().dropped == ()


def test_two_loops_on_one_set(directory: Path) -> None:
    """A set is claimed by one loop at a time, also when it has moved on to another file since."""
    with open_set(directory) as one, open_set(directory) as other:
        one.resume()
        for number in range(7):
            one.append(record(number))
        with pytest.raises(ConflictError):
            other.resume()
        other.append(record(None))
    with open_set(directory) as history:
        assert history.resume().next_iteration == 8


def test_fork_while_the_keeper_works(directory: Path) -> None:
    """A child goes on with an open handle whose keeper is at work, and its own keeper finishes what is left."""
    with open_set(directory, compress="background") as history:
        for number in range(10):
            history.append(record(number))

            def append() -> int:
                for _ in range(4):
                    history.append(record(None))
                history.close()
                return os.getpid()

            assert in_child(append) != os.getpid()
        found = [found.iteration for _, found in entries(history)]
    assert len(found) == 50
    with open_set(directory) as history:
        list(history.compress())
        assert [found.iteration for _, found in entries(history)] == found
        assert history.verify().ok


def test_a_child_does_not_keep_the_keepers_lock(directory: Path) -> None:
    """A process forked while the keeper works does not keep others from compressing once the parent is done."""
    write_set(directory, 10)
    gate, opener = os.pipe()
    with open_set(directory) as history:
        steps = history.compress()
        next(steps)

        def live_on(pipe: int) -> None:
            os.close(opener)
            os.write(pipe, b"!")
            os.read(gate, 1)

        child = Child(live_on)
        os.read(child.pipe, 1)
        history._keeper._lock.forget()  # as the parent's death would
        with open_set(directory) as other:
            assert list(other.compress())
        os.close(opener)
        os.close(gate)
        child.finish()


def test_closing_while_the_keeper_works(directory: Path) -> None:
    """Close waits for the file that is being compressed and leaves nothing half done."""
    with open_set(directory, compress="background", max_records=50) as history:
        history.extend(records(range(50), code="x = 1\n" * 2000))
        history.append(record(50))
    left = listing(directory)
    assert not left.dead
    assert not left.redundant
    with open_set(directory) as history:
        assert len(entries(history)) == 51
