"""A process is killed at each system call of sealing, compressing, merging and removing; the next one goes on."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_files import quick_directory, record
from fault_strace import count_calls, kill_at
from rotation_files import SIZE, finish, listing, open_set, write_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.backends.rotating import RotatingHistory


class Scene:
    """What is there before the work that is interrupted, and the work.

    Attributes:
        count: How many records there are before.
        compressed: Whether their files are.
        options: How the set is opened for the work.
        may_lose: How many of the oldest records the work may remove.
    """

    count = 2 * SIZE
    compressed = False
    options: dict[str, object] = {}  # noqa: RUF012 - one per class, never changed
    may_lose = 0

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:
        """Do what is interrupted, acknowledging each append."""
        raise NotImplementedError


class SealByAppend(Scene):
    """Appends of which the first fills a file."""

    count = 2 * SIZE - 1

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:
        """Append."""
        for _ in range(2):
            history.append(record(None))
            acknowledge()


class SealByHand(Scene):
    """A file is sealed before it is full."""

    count = SIZE + 1

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:
        """Seal, then append."""
        history.seal()
        history.append(record(None))
        acknowledge()


class CompressInline(Scene):
    """An append that seals and compresses before it returns."""

    count = 2 * SIZE - 1
    options = {"compress": "inline"}  # noqa: RUF012

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:
        """Append."""
        history.append(record(None))
        acknowledge()


class CompressByHand(Scene):
    """Files are compressed with gzip."""

    options = {"codec": "gzip"}  # noqa: RUF012

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:  # noqa: ARG002
        """Compress."""
        list(history.compress())


class Merge(Scene):
    """Three files become one."""

    count = 3 * SIZE
    compressed = True
    options = {"max_records": 3 * SIZE}  # noqa: RUF012

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:  # noqa: ARG002
        """Merge."""
        assert len(list(history.compact())) == 1


class Recompress(Scene):
    """A file is written anew with another codec."""

    count = SIZE
    compressed = True
    options = {"codec": "gzip"}  # noqa: RUF012

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:  # noqa: ARG002
        """Write it anew."""
        assert len(list(history.compact(recompress=True))) == 1


class Prune(Scene):
    """The two oldest files are removed, one of which stands there plain as well."""

    count = 3 * SIZE + 1
    options = {"keep_records": SIZE}  # noqa: RUF012
    may_lose = 2 * SIZE

    def work(self, history: RotatingHistory, acknowledge: Callable[[], None]) -> None:  # noqa: ARG002
        """Remove."""
        assert len(list(history.prune())) == 2


SCENES = [SealByAppend, SealByHand, CompressInline, CompressByHand, Merge, Recompress, Prune]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place where syncing costs nothing."""
    with quick_directory() as path:
        write_set(path / "warm", SIZE, compressed=True)  # what is imported on first use is now there
        yield path / "work" / "set"


def check_each_call(directory: Path, scene: Scene) -> int:
    """Kill the work at each of its calls in turn, have the next process go on, and return how often it was killed."""

    def work(pipe: int) -> None:
        with open_set(directory, **scene.options) as history:
            scene.work(history, lambda: done.append(os.write(pipe, b".")))

    done: list[int] = []
    before = directory.with_name("before")
    write_set(before, scene.count, compressed=scene.compressed)
    prepare(before, directory)
    calls = count_calls(work, directory.with_name("calls.log"))
    kills = 0
    for call, count in calls.items():
        for number in range(1, count + 1):
            prepare(before, directory)
            said, killed = kill_at(work, call, number)
            kills += killed
            found = finish(directory)
            removed = scene.count + len(said) - len(found)
            assert found == list(range(found[0] or 0, scene.count + len(said) + (removed < 0)))
            assert (found[0] or 0) in range(0, scene.may_lose + 1, SIZE)
    assert kills >= sum(calls.values()) - 2
    return kills


def prepare(before: Path, directory: Path) -> None:
    """Put the set as it was before into place."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(before, directory)


@pytest.mark.parametrize("kind", SCENES)
def test_kill_at_each_call(directory: Path, kind: type[Scene]) -> None:
    """Wherever the work is cut off, all that was acknowledged is there once, and the next process finishes it."""
    assert check_each_call(directory, kind()) > 10


def test_what_was_not_finished_is_found_by_name(directory: Path) -> None:
    """A keeper killed before and behind the rename leaves a temporary file, or two files with the same lines."""
    write_set(directory, 2 * SIZE)

    def work(_pipe: int) -> None:
        with open_set(directory) as history:
            list(history.compress())

    kill_at(work, "rename", 1)
    assert len(listing(directory).dead) == 1
    kill_at(work, "unlink", 2)  # the first clears the temporary file away
    left = listing(directory)
    assert not left.dead
    assert [part.name for part in left.redundant] == ["000000000000.jsonl"]
    assert all(one.end == other.first for one, other in pairwise(left.parts))


# The checks above can fail.


def test_unlinking_before_the_rename_is_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that removes the plain file first is caught by one of the kills."""
    rename = os.rename

    def careless(source: str, target: str) -> None:
        plain = Path(target).with_name(f"{Path(target).name[:12]}.jsonl")
        plain.unlink()
        rename(source, target)
        plain.touch()  # for the keeper to unlink

    class Careless(CompressByHand):
        count = SIZE
        options = {}  # noqa: RUF012

    monkeypatch.setattr("os.rename", careless)
    with pytest.raises((AssertionError, IndexError)):
        check_each_call(directory, Careless())
