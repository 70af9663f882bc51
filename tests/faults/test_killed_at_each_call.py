"""A process is killed at each system call of its work in turn; the next one finds all that was acknowledged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, quick_directory, record, records, write_history
from fault_strace import count_calls, kill_at

from iterlog import HistoryStore, open_history
from iterlog.files.lockfile import LockFile, WriterNote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Scene:
    """What is there before the work that is interrupted, and the work.

    Attributes:
        kept: The numbers of the records acknowledged before.
        added: The numbers the work adds, by append.
        options: How the history is opened.
        warm: Whether the handle has already appended before.
    """

    kept: tuple[int, ...] = (0, 1)
    added: tuple[tuple[int, ...], ...] = ((2,),)
    options: dict[str, str] = {}  # noqa: RUF012 - one per class, never changed
    warm = False

    def build(self, path: Path) -> None:
        """Write the file as it is before."""
        write_history(path, records([0]), records([1]), **self.options)

    def work(self, history: HistoryStore, acknowledge: Callable[[], None]) -> None:
        """Do what is interrupted."""
        for batch in self.added:
            history.extend(records(batch))
            acknowledge()


class FirstAppend(Scene):
    """The file, its lock and two directories are made."""

    kept = ()
    added = ((0,), (1,))

    def build(self, path: Path) -> None:
        """Leave nothing."""
        shutil.rmtree(path.parent, ignore_errors=True)


class LaterAppends(Scene):
    """A handle that has appended before appends a single record and a batch."""

    added = ((3,), (4, 5, 6))
    kept = (0, 1, 2)
    warm = True


class HiddenNumber(Scene):
    """An append hides the highest number, which is noted first."""

    added = ((90, 5), (7,))


class Handover(Scene):
    """Another handle's first append and claim on an existing file."""

    def work(self, history: HistoryStore, acknowledge: Callable[[], None]) -> None:
        """Claim, then append."""
        assert history.resume().next_iteration == 2
        super().work(history, acknowledge)


class TornTail(Scene):
    """A torn record is set aside."""

    kept = (0,)

    def build(self, path: Path) -> None:
        """Cut the last record."""
        super().build(path)
        path.write_bytes(path.read_bytes()[:-30])


class TornBatch(TornTail):
    """A batch cut between two lines is set aside."""

    def build(self, path: Path) -> None:
        """Cut the last line of a batch, newline and all."""
        content = write_history(path, records([0]), records([1, 2]))
        path.write_bytes(b"".join(content.splitlines(keepends=True)[:2]))


class MissingNewline(Scene):
    """A whole record gets its newline."""

    def build(self, path: Path) -> None:
        """Take the last newline."""
        super().build(path)
        path.write_bytes(path.read_bytes()[:-1])


class AnotherBoot(Scene):
    """Every line is checked, and the boot is noted."""

    def build(self, path: Path) -> None:
        """Note another boot."""
        super().build(path)
        lock = LockFile(f"{path}.lock", "")
        lock.acquire()
        lock.write_note(WriterNote("another boot", 1))
        lock.close()


class ForeignFile(Scene):
    """The first append of ours to a file of another program."""

    def build(self, path: Path) -> None:
        """Write two lines as the original code did, without a newline at the end."""
        super().build(path)
        Path(f"{path}.lock").unlink()
        path.write_text(
            "\n".join(f'{{"iteration": {n}, "code": "", "metrics": {{}}, "feedback": ""}}' for n in self.kept)
        )


class Replace(Scene):
    """The whole file is written anew."""

    options = {"write": "replace"}  # noqa: RUF012 - as above
    added = ((2,), (3, 4))


SCENES = [
    FirstAppend,
    LaterAppends,
    HiddenNumber,
    Handover,
    TornTail,
    TornBatch,
    MissingNewline,
    AnotherBoot,
    ForeignFile,
    Replace,
]


@pytest.fixture
def path() -> Iterator[Path]:
    """A path in a directory, two levels down, that a test may take away."""
    with quick_directory() as directory:
        write_history(directory / "warm.jsonl", records([0]))  # what is imported on first use is now there
        yield directory / "a" / "b" / "history.jsonl"


def check_each_call(path: Path, scene: Scene) -> None:
    """Kill the work at each of its calls in turn and look at what is left."""

    def work(pipe: int) -> None:
        history = handles.pop() if handles else open_history(path, **scene.options)
        scene.work(history, lambda: done.append(os.write(pipe, b".")))

    handles: list[HistoryStore] = []
    done: list[int] = []

    def prepare() -> None:
        shutil.rmtree(path.parents[1], ignore_errors=True)
        path.parent.mkdir(parents=True)
        scene.build(path)
        if scene.warm:
            handles[:] = [open_history(path, **scene.options)]
            handles[0].append(record(2))

    prepare()
    calls = count_calls(work, path.parents[2] / "calls.log")
    assert calls["write"] >= len(scene.added)
    kills = 0
    for call, count in calls.items():
        for number in range(1, count + 1):
            prepare()
            said, killed = kill_at(work, call, number)
            kills += killed
            check_after_kill(path, scene, len(said))
    # A call that the last of the process's own ends, such as its pipe's, may not come again.
    assert kills >= sum(calls.values()) - 2


@pytest.mark.parametrize("kind", SCENES)
def test_kill_at_each_call(path: Path, kind: type[Scene]) -> None:
    """Wherever the work is cut off, the acknowledged records are there once, and the next process appends."""
    check_each_call(path, kind())


def check_after_kill(path: Path, scene: Scene, acknowledged: int) -> None:
    """Look, as the next process does, at what a killed one left."""
    stages = [list(scene.kept)]
    for batch in scene.added:
        stages.append([*stages[-1], *batch])
    with open_history(path, **scene.options) as history:
        before = numbers(history)
        point = history.resume()
        found = numbers(history)
        # What was acknowledged, and at most the one append that was in flight.
        assert found in stages[acknowledged : acknowledged + 2]
        assert before in (found, found[:-1])  # a newline may have been missing
        free = max((number for number in found if number is not None), default=-1) + 1
        assert point.next_iteration >= free
        history.append(record(None))
        stored = numbers(history)
        assert stored[:-1] == found
        assert stored[-1] == point.next_iteration
        assert history.verify().ok
    with open_history(path, **scene.options) as history:
        assert history.resume().dropped == ()
        assert numbers(history) == stored


# The checks above can fail.


class AcknowledgedEarly(Scene):
    """The work says that it is done before it is."""

    def work(self, history: HistoryStore, acknowledge: Callable[[], None]) -> None:
        """Acknowledge first."""
        acknowledge()
        history.append(record(2))


def test_acknowledging_early_is_noticed(path: Path) -> None:
    """An append that is acknowledged before it is stored is caught by some of the kills."""
    with pytest.raises(AssertionError):
        check_each_call(path, AcknowledgedEarly())
