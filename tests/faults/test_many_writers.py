"""Processes and threads append to one file at once: nothing is lost, doubled or torn, and readers see whole appends."""

from __future__ import annotations

import fcntl
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, quick_directory, record, records, write_history
from fault_processes import Child

from iterlog import IterationRecord, Position, open_history
from iterlog.files import logfile
from iterlog.files.lockfile import LockFile
from iterlog.files.logfile import LogFile
from iterlog.files.tail import put_in_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROCESSES, APPENDS = 8, 200


@pytest.fixture
def path() -> Iterator[Path]:
    """A path where processes spend their time on appending instead of waiting for a disk."""
    with quick_directory() as directory:
        yield directory / "history.jsonl"


def marked(writer: int, turn: int, size: int, number: int | None) -> list[IterationRecord]:
    """Make the records of one append, which tell who wrote them and how many there are."""
    return [
        IterationRecord(None if number is None else number + i, "é" * 20, {}, f"{writer} {turn} {i} {size}")
        for i in range(size)
    ]


def check_appends(found: list[IterationRecord]) -> Counter[int]:
    """Check that appends are whole and each writer's are in order; return how many each writer has there."""
    turns: Counter[int] = Counter()
    rest = iter(found)
    for first in rest:
        writer, turn, i, size = map(int, first.feedback.split())
        assert (turn, i) == (turns[writer], 0)
        for k in range(1, size):
            assert next(rest).feedback == f"{writer} {turn} {k} {size}"
        turns[writer] += 1
    return turns


def append_many(path: Path, writer: int, pipe: int, *, numbered: bool) -> None:
    """Append singles and batches; every third append is one of three records."""
    with open_history(path) as history:
        number = writer * 10_000
        for turn in range(APPENDS):
            size = 3 if turn % 3 == 2 else 1
            history.extend(marked(writer, turn, size, number if numbered else None))
            number += size
        os.write(pipe, b"done")


def read_all_the_time(path: Path, end: Path, pipe: int) -> None:
    """Read again and again, whole and from the last position, and check that each look continues the one before."""
    history = open_history(path)
    seen: list[bytes] = []
    position = Position()
    looks = 0
    while True:
        last_look = end.exists()
        for after, line in history.lines(position):
            position = after
            seen.append(line)
        if looks % 10 == 0:
            assert [line for _, line in history.lines()][: len(seen)] == seen
            check_appends(list(history))
        looks += 1
        if last_look:
            break
    assert [line for _, line in history.lines()] == seen
    os.write(pipe, str(len(seen)).encode())


@pytest.mark.parametrize("numbered", [False, True], ids=["numbers handed out", "numbers given"])
def test_processes_append_while_others_read(path: Path, numbered: bool) -> None:
    """Eight writers and two readers: all is there once, in each writer's order, and readers see a growing prefix."""
    end = path.with_name("end")
    readers = [Child(lambda pipe: read_all_the_time(path, end, pipe)) for _ in range(2)]
    writers = [
        Child(lambda pipe, writer=writer: append_many(path, writer, pipe, numbered=numbered))  # type: ignore[misc] # mypy infers no lambda with a default
        for writer in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.finish() == b"done"
    end.touch()
    with open_history(path) as history:
        found = list(history)
        assert history.verify().ok
    assert check_appends(found) == dict.fromkeys(range(PROCESSES), APPENDS)
    if not numbered:
        assert [one.iteration for one in found] == list(range(len(found)))
    assert len({one.iteration for one in found}) == len({one.id for one in found}) == len(found)
    assert [reader.finish() for reader in readers] == [str(len(found)).encode()] * 2


@pytest.mark.parametrize("handles", [1, 2])
def test_threads_share_a_handle(tmp_path: Path, handles: int) -> None:
    """Sixteen threads: every acknowledged append stands at the position it was given, its number is its own."""
    path = tmp_path / "history.jsonl"
    opened = [open_history(path) for _ in range(handles)]
    given: dict[Position, IterationRecord] = {}

    def append(writer: int) -> None:
        history = opened[writer % handles]
        last = Position()
        for turn in range(15):
            batch = marked(writer, turn, 1 + turn % 2, None)
            position = history.extend(batch)
            assert position > last
            last = position
            given[position] = batch[-1]

    threads = [threading.Thread(target=append, args=(writer,)) for writer in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_history(path) as history:
        entries = dict(history.entries())
        assert check_appends(list(entries.values())) == dict.fromkeys(range(16), 15)
        assert {position: entries[position].id for position in given} == {at: one.id for at, one in given.items()}
        assert numbers(history) == list(range(len(entries)))
    for handle in opened:
        handle.close()


def test_threads_resume_and_read_meanwhile(tmp_path: Path) -> None:
    """Threads that read, verify and resume through the handle others append with disturb nobody."""
    history = open_history(tmp_path / "history.jsonl", durability="flush")
    stop = threading.Event()
    failures: list[BaseException] = []

    def look() -> None:
        try:
            seen = 0
            while not stop.is_set():
                found = numbers(history)
                assert found == list(range(len(found)))
                assert len(found) >= seen
                seen = len(found)
                assert history.resume().next_iteration >= seen
                assert history.verify().ok
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            failures.append(error)

    def append() -> None:
        for _ in range(100):
            history.append(record(None))

    lookers = [threading.Thread(target=look) for _ in range(2)]
    writers = [threading.Thread(target=append) for _ in range(4)]
    for thread in [*lookers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in lookers:
        thread.join()
    assert failures == []
    assert numbers(history) == list(range(400))
    history.close()


def check_readers_during_a_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file, as a reader does, after every byte of a batch that is being written."""
    write_history(path, records([0]))
    real = os.write
    with open_history(path) as history, open_history(path) as reader:
        history.repair()

        def write_slowly(descriptor: int, data: bytes) -> int:
            assert numbers(reader) == [0]
            assert len(reader) == 1
            return real(descriptor, data[:1])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_slowly)
            history.extend(records([1, 2, 3]))
        assert numbers(reader) == [0, 1, 2, 3]


def test_readers_see_nothing_of_an_append_in_flight(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of a batch has been written, a reader sees none of it before all of it."""
    check_readers_during_a_write(path, monkeypatch)


def check_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """See whether another process could take the lock while an append writes and while it repairs."""
    content = write_history(path, records([0]), records([1]))
    path.write_bytes(content[:-9])
    looked = []

    def held() -> None:
        with path.with_name(f"{path.name}.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                looked.append(True)
            else:
                looked.append(False)

    real_write, real_repair = LogFile._write, put_in_order

    def write(self: LogFile, descriptor: int, data: bytes, start: int) -> None:
        held()
        real_write(self, descriptor, data, start)

    def repair(*arguments: object) -> int:
        held()
        return real_repair(*arguments)  # type: ignore[arg-type] # passed on as they came

    with monkeypatch.context() as patch, open_history(path) as history:
        patch.setattr(LogFile, "_write", write)
        patch.setattr(logfile, "put_in_order", repair)
        history.append(record(1))
        history.extend(records([2, 3]))
    assert looked == [True, True, True]
    held()
    assert looked[-1] is False


def test_the_lock_is_held_while_writing_and_repairing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process can come between looking at the end of the file and writing there."""
    check_lock(path, monkeypatch)


# The checks above can fail.


def test_appending_without_a_lock_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that opens the lock file and does not lock it is caught."""
    real = LockFile.acquire

    def acquire(self: LockFile) -> bool:
        new = real(self)
        self.release()
        return new

    monkeypatch.setattr(LockFile, "acquire", acquire)
    with pytest.raises(AssertionError):
        check_lock(path, monkeypatch)


def test_a_batch_without_marks_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose lines do not say that more follow is caught by the reader in the middle of it."""
    monkeypatch.setattr("iterlog.files.lines_of.lines_to_follow", lambda _line: 0)
    with pytest.raises(AssertionError):
        check_readers_during_a_write(path, monkeypatch)
