"""Several keepers of one set: who asks by hand waits, appends do not, and nothing is left undone."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from fault_files import quick_directory, record
from fault_processes import Child
from rotation_files import SIZE, entries, listing, open_set, write_set

from iterlog import ConflictError
from iterlog.files.keeperlock import KeeperLock
from iterlog.rotation import keeping
from iterlog.rotation.rewriting import Rewriter
from iterlog.segments.packing import Codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from iterlog.backends.rotating import RotatingHistory
    from iterlog.reports import FileChange
    from iterlog.rotation.layout import Part

KEEP = 2 * SIZE


@pytest.fixture
def directory() -> Iterator[Path]:
    """A set of five sealed plain files, where syncing costs nothing."""
    with quick_directory() as path:
        write_set(path / "set", 5 * SIZE + 1)
        yield path / "set"


@pytest.fixture
def other(directory: Path) -> Iterator[KeeperLock]:
    """Another keeper, at work."""
    lock = KeeperLock(str(directory / "lock"))
    assert lock.try_acquire()
    yield lock
    lock.release()


def test_an_append_survives_that_no_thread_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end of the interpreter it is acknowledged all the same, and the work is done when it next can be."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with open_set(tmp_path / "set", compress="background") as history:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            for i in range(2 * SIZE):
                history.append(record(i))
        assert "can't start new thread" in caplog.text
        for i in range(2 * SIZE, 3 * SIZE):
            history.append(record(i))
        assert [entry.iteration for entry in history] == list(range(3 * SIZE))
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "set").glob("*.zst"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(list((tmp_path / "set").glob("*.zst"))) == 3


WORKS: dict[str, Callable[[RotatingHistory], object]] = {
    "compress": lambda history: list(history.compress()),
    "prune": lambda history: list(history.prune()),
    "compact": lambda history: list(history.compact(recompress=True)),
}


@pytest.mark.parametrize("work", WORKS)
def test_work_asked_for_waits_for_another_keeper(directory: Path, other: KeeperLock, work: str) -> None:
    """A call by hand is not done before the other keeper is, and then does what it was asked to."""
    before = directory_names(directory)
    with open_set(directory, keep_records=KEEP) as history:
        thread = threading.Thread(target=WORKS[work], args=(history,))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        assert directory_names(directory) == before
        other.release()
        thread.join(60)
        assert not thread.is_alive()
        assert directory_names(directory) != before
        assert (
            len(listing(directory).parts) == 3 if work == "prune" else all(p.codec for p in listing(directory).sealed)
        )


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("work", WORKS)
def test_work_asked_for_is_refused_when_the_other_never_ends(
    directory: Path, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that cannot be done in time raises: nothing is silently left undone."""
    monkeypatch.setattr(keeping, "PATIENCE_S", 0.05)
    before = directory_names(directory)
    with open_set(directory, keep_records=KEEP) as history, pytest.raises(ConflictError):
        WORKS[work](history)
    assert directory_names(directory) == before


def test_an_append_does_not_wait_and_the_next_one_catches_up(directory: Path, other: KeeperLock) -> None:
    """Appends that find another keeper at work leave theirs undone, and the first one after it does it all."""
    with open_set(directory, compress="inline", keep_records=KEEP) as history:
        for number in range(5 * SIZE + 1, 7 * SIZE + 1):
            history.append(record(number))
        assert len(listing(directory).sealed) == 7
        other.release()
        history.append(record(7 * SIZE + 1))
        assert [part.codec for part in listing(directory).sealed] == [Codec.ZSTD, Codec.ZSTD]


def test_the_background_waits_for_another_keeper(directory: Path, other: KeeperLock) -> None:
    """A background keeper that finds another one at work does its own when that one is done, without a new append."""
    with open_set(directory, compress="background", keep_records=KEEP) as history:
        history.append(record(5 * SIZE + 1))
        other.release()
        deadline = time.monotonic() + 60
        while len(listing(directory).sealed) > 2 or not all(part.codec for part in listing(directory).sealed):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.usefixtures("other")
def test_closing_ends_the_waiting(directory: Path) -> None:
    """A handle closes while its background keeper waits for one that never ends."""
    with open_set(directory, compress="background") as history:
        history.append(record(5 * SIZE + 1))
    assert not [thread for thread in threading.enumerate() if thread.name == "iterlog-keeper"]


def test_a_keeper_looks_again_after_its_end(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sealed while the lock was still held, and left to its holder, is compressed by that one."""
    release = KeeperLock.release
    late = iter([True])

    def seal_just_before(lock: KeeperLock) -> None:
        if next(late, False):
            with open_set(directory, compress="inline") as history:
                for number in range(5 * SIZE + 1, 6 * SIZE + 1):
                    history.append(record(number))
        release(lock)

    monkeypatch.setattr(KeeperLock, "release", seal_just_before)
    with open_set(directory) as history:
        list(history.compress())
    assert len(listing(directory).sealed) == 6
    assert all(part.codec for part in listing(directory).sealed)


def test_a_keeper_comes_to_its_end_when_a_file_stays_plain(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be compressed is tried once, not for ever."""
    tried: list[str] = []

    def refuse(_rewriter: Rewriter, parts: Sequence[Part]) -> FileChange | None:
        tried.extend(part.name for part in parts)
        return None

    monkeypatch.setattr(Rewriter, "rewrite", refuse)
    with open_set(directory) as history:
        list(history.compress())
    assert len(tried) == len(set(tried)) == 5


def test_several_pruners_leave_what_is_to_be_kept(directory: Path) -> None:
    """However many handles compress and prune at once, each explicit prune leaves no more than was asked for."""

    def work(worker: int) -> None:
        with open_set(
            directory, compress=("background", "inline", "off")[worker % 3], keep_records=KEEP, durability="flush"
        ) as history:
            for _ in range(30 * SIZE):
                history.save(code=None, metrics={}, feedback="")
            list(history.prune())

    children = [Child(lambda _pipe, worker=worker: work(worker)) for worker in range(4)]  # type: ignore[misc] # mypy infers no lambda with a default
    for child in children:
        child.finish()
    with open_set(directory, keep_records=KEEP) as history:
        list(history.prune())
        found = entries(history)
        assert KEEP <= len(found) <= KEEP + 2 * SIZE
        assert found[-1][1].iteration == 5 * SIZE + 4 * 30 * SIZE
        assert history.verify().ok


def directory_names(directory: Path) -> list[str]:
    """Return the names in a directory."""
    return sorted(path.name for path in directory.iterdir())
