"""Writers, keepers and readers at once: nothing is lost, doubled or out of order, and readers see a growing prefix."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from fault_files import quick_directory
from fault_processes import Child
from rotation_files import entries, listing, open_set

from iterlog import CorruptionError, IterationRecord, Position
from iterlog.rotation.active import ActiveFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from iterlog.backends.rotating import RotatingHistory

WRITERS = 8
APPENDS = 40
FILE = 7


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place where syncing costs nothing, so that the processes meet often."""
    with quick_directory() as path:
        yield path / "set"


def write(directory: Path, writer: int, pipe: int) -> None:
    """Append single records and batches, now and then with a new handle; tell each append's last number."""
    choose = random.Random(writer)
    turn = 0
    while turn < APPENDS:
        with open_set(
            directory, max_records=FILE, durability="flush", compress=("background", "off")[writer % 2]
        ) as history:
            for _ in range(choose.randrange(5, 40)):
                if turn == APPENDS:
                    break
                if choose.random() < 0.05:
                    history.seal()
                size = choose.choice((1, 1, 1, 3))
                history.extend(IterationRecord(None, "x", {}, f"{writer} {turn} {i} {size}") for i in range(size))
                os.write(pipe, b".")
                turn += 1


def keep(directory: Path, end: Path, work: Callable[[RotatingHistory], object]) -> None:
    """Work on the sealed files again and again."""
    while not end.exists():
        with open_set(directory, max_records=5 * FILE) as history:
            work(history)
        time.sleep(0.01)


def compress(history: RotatingHistory) -> None:
    """Compress what is sealed."""
    list(history.compress())


def compact(history: RotatingHistory) -> None:
    """Merge small files."""
    list(history.compact())


def look(directory: Path, end: Path, *, pruned: bool) -> None:
    """Read in all ways while the others work: everything seen before is there, and what is new stands behind it."""
    seen: list[IterationRecord] = []
    first, position = None, Position()
    with open_set(directory, on_damage="raise") as history:
        while True:
            last_look = end.exists()
            for after, record in overtaken(history, position) if pruned else history.entries(position):
                number = after[0]
                first = number if first is None else first
                assert number == first + len(seen) if not pruned else number > (position[0] if position else 0)
                position = after
                seen.append(record)
            try:
                more = list(history.follow(position if seen else None, poll_s=0.001, idle_s=0.0))
            except CorruptionError:
                assert pruned
                more = []
            back = list(history.entries_back())
            kept = [(after, record) for after, record in back if after <= position][::-1]
            assert [record for _, record in kept] == seen[len(seen) - len(kept) :]
            assert pruned or len(kept) == len(seen)
            assert [record for after, record in back if after > position][::-1][: len(more)] == more
            if not pruned:
                assert len(history) >= len(seen) + len(more)
                for record in seen[:: len(seen) // 5 + 1]:
                    assert record.iteration is not None
                    assert history.get(record.iteration) == record
            ends = [after[0] + footer.count for after, footer in history.footers()]
            assert ends == sorted(set(ends))
            if last_look:
                return
            time.sleep(0.02)


def overtaken(history: RotatingHistory, position: Position) -> Iterator[tuple[Position, IterationRecord]]:
    """Read on behind a position, and where retention was faster, as often as it was."""
    while True:
        try:
            for after, record in history.entries(position):
                position = after
                yield after, record
        except CorruptionError as error:
            begins_at = error.position
        else:
            return
        assert begins_at is not None
        assert position < begins_at <= history.begins_at
        position = begins_at


def run(directory: Path, works: list[Callable[[RotatingHistory], object]], *, pruned: bool = False) -> list[int]:
    """Have all of them work at once; return how many appends each writer was told are stored."""
    end = directory.with_name("end")
    with open_set(directory, max_records=FILE) as history:
        history.append(IterationRecord(None, "x", {}, "first"))
    others = [Child(lambda _pipe, work=work: keep(directory, end, work)) for work in works]  # type: ignore[misc] # mypy infers no lambda with a default
    others += [Child(lambda _pipe: look(directory, end, pruned=pruned)) for _ in range(2)]
    writers = [Child(lambda pipe, writer=writer: write(directory, writer, pipe)) for writer in range(WRITERS)]  # type: ignore[misc] # as above
    stored = [len(writer.finish()) for writer in writers]
    end.touch()
    for other in others:
        other.finish()
    return stored


def check(found: list[IterationRecord], stored: list[int]) -> None:
    """Check that every append is there once, whole and in its writer's order, and every number once."""
    turns: Counter[int] = Counter()
    assert [record.iteration for record in found] == list(range(len(found)))
    rest = iter(found)
    assert next(rest).feedback == "first"
    for record in rest:
        writer, turn, i, size = map(int, record.feedback.split())
        assert (turn, i) == (turns[writer], 0)
        for k in range(1, size):
            assert next(rest).feedback == f"{writer} {turn} {k} {size}"
        turns[writer] += 1
    assert [turns[writer] for writer in range(WRITERS)] == stored


def test_writers_and_two_compressors(directory: Path) -> None:
    """Eight writers, two compressors and a merger at once lose, double and reorder nothing."""
    stored = run(directory, [compress, compress, compact])
    with open_set(directory) as history:
        list(history.compress())
        found = entries(history)
        report = history.verify()
    assert report.ok
    assert [position[0] for position, _ in found] == list(range(1, len(found) + 1))
    check([record for _, record in found], stored)
    assert stored == [APPENDS] * WRITERS


def test_writers_and_a_pruner(directory: Path) -> None:
    """With a pruner at work the newest records are there and in order; readers go on where the history begins."""
    keep_records = 40

    def prune(_history: RotatingHistory) -> None:
        with open_set(directory, keep_records=keep_records) as history:
            list(history.prune())

    stored = run(directory, [compress, prune], pruned=True)
    assert stored == [APPENDS] * WRITERS
    with open_set(directory) as history:
        found = entries(history)
        assert history.verify().ok
        assert history.begins_at > Position()
        assert len(found) >= keep_records
        numbers = [record.iteration for _, record in found]
        assert numbers == [position[0] - 1 for position, _ in found]
        assert numbers == list(range(listing(directory).begins_at, (numbers[-1] or 0) + 1))


def test_a_seal_tried_again_is_seen_by_other_handles(directory: Path) -> None:
    """A seal that died before the next file was there, and is done again at the same line, is missed by no writer."""
    with open_set(directory, max_records=100) as one, open_set(directory, max_records=100) as other:
        one.append(IterationRecord(None, "x", {}, ""))
        other.append(IterationRecord(None, "x", {}, ""))
        half_sealed(one._file)
        other.resume()  # looks at the note of the seal that was not finished
        with open_set(directory) as third:
            assert third.seal()
        position = other.append(IterationRecord(None, "x", {}, ""))
        assert position == Position.of(3)
        assert [record.iteration for _, record in entries(one)] == [0, 1, 2]
        assert [part.first for part in listing(directory).parts] == [0, 2]


def half_sealed(file: ActiveFile) -> None:
    """Do what a sealer does before it dies: note the turn, and no more."""
    file._acquire()
    file._prepare()
    file._turn = file._reserved = file._first + file._lines
    file._note(file._next - 1)
    file._lock.release()


def test_opening_while_another_handle_creates_the_directory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that appears while a handle looks for it is the set that it was to open, and no error."""
    look = os.stat

    def look_too_early(path: str, **options: Any) -> os.stat_result:
        try:
            return look(path, **options)
        except FileNotFoundError:
            if str(path) == str(directory):
                directory.mkdir()
            raise

    monkeypatch.setattr(os, "stat", look_too_early)
    with open_set(directory) as history:
        assert directory.is_dir()
        assert list(history) == []


# The checks above can fail.


def test_writers_that_miss_a_seal_are_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When handles do not look at the note, records are missing from what is read."""
    find = ActiveFile._find_active

    def once(self: ActiveFile) -> None:
        if self._group is None:
            find(self)

    monkeypatch.setattr(ActiveFile, "_find_active", once)
    with open_set(directory) as one, open_set(directory) as other:
        for history in (one, other, one, other):
            history.append(IterationRecord(None, "x", {}, ""))
        with pytest.raises(AssertionError):
            check([record for _, record in entries(one)], [4])
