"""Writes and syncs that are refused, end half-way or lie: an append says truly whether it was stored."""

from __future__ import annotations

import contextlib
import errno
import threading
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, record, records, torn_files, write_history
from fault_shim import fault, shimmed

from iterlog import Durability, UnavailableError, WriteUncertainError, open_history
from iterlog.files.durable import SyncGroup, write_all
from iterlog.files.logfile import LogFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "history.jsonl"


@contextlib.contextmanager
def torn_for_good(size: int) -> Iterator[None]:
    """Let a write end after some bytes, with an error, and let nobody take them back."""
    with (
        fault("write", NAME, short=size, count=1),
        fault("write", NAME, errno=errno.ENOSPC, first=2),
        fault("ftruncate", NAME, errno=errno.EIO),
    ):
        yield


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@shimmed
def test_refused_write(tmp_path: Path, code: int) -> None:
    """A refused write leaves the file as it was, says so, and the same handle appends once the fault has passed."""
    path = tmp_path / NAME
    before = write_history(path, records([0]))
    with open_history(path) as history:
        for size in (1, 2):
            with fault("write", NAME, errno=code), pytest.raises(UnavailableError) as caught:
                history.extend([record(None)] * size)
            assert caught.value.errno == code
            assert "nothing was written" in str(caught.value)
            assert path.read_bytes() == before
        assert history.save(code="", metrics={}, feedback="").iteration == 1
        assert history.repair() == ()
    assert numbers_at(path) == [0, 1]


def check_half_way(path: Path, code: int) -> None:
    """Let writes end half-way and look at the file's bytes."""
    before = write_history(path, records([0]))
    with open_history(path, durability="flush") as history:
        size = len(before)
        for short in (1, 100, size - 1, size, size + 1, 2 * size):
            with (
                fault("write", NAME, short=short, count=1),
                fault("write", NAME, errno=code, first=2),
                pytest.raises(UnavailableError) as caught,
            ):
                history.extend(records([1, 2, 3]))
            assert caught.value.errno == code
            assert path.read_bytes() == before
        history.append(record(4))
        assert numbers(history) == [0, 4]
    assert torn_files(path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@shimmed
def test_write_that_ends_half_way(tmp_path: Path, code: int) -> None:
    """A short write followed by an error is taken back at once, byte for byte, single or batch."""
    check_half_way(tmp_path / NAME, code)


@pytest.mark.parametrize("size", [1, 7, 100])
@shimmed
def test_short_writes_without_an_error(tmp_path: Path, size: int) -> None:
    """A write that takes a few bytes at a time is continued until the record is whole."""
    path = tmp_path / NAME
    with open_history(path) as history:
        with fault("write", NAME, short=size):
            history.append(record(0))
            history.extend(records([1, 2]))
        history.append(record(3))
        assert numbers(history) == [0, 1, 2, 3]
        assert history.verify().ok


@shimmed
def test_torn_write_that_cannot_be_taken_back(tmp_path: Path) -> None:
    """Where truncating fails as well, readers do not see the torn bytes and the next append sets them aside."""
    path = tmp_path / NAME
    before = write_history(path, records([0]))
    with open_history(path) as history:
        with torn_for_good(40), pytest.raises(UnavailableError):
            history.append(record(1))
        assert len(path.read_bytes()) == len(before) + 40
        assert numbers(history) == [0]
        history.append(record(2))
        assert numbers(history) == [0, 2]
        assert history.verify().ok
    assert [len(torn.read_bytes()) for torn in torn_files(path)] == [40]


@shimmed
def test_whole_record_that_cannot_be_taken_back(tmp_path: Path) -> None:
    """When all but the newline was written and cannot be taken back, the append is not called unwritten."""
    path = tmp_path / NAME
    before = write_history(path, records([0]))
    found = record(1)
    again = write_history(tmp_path / "other.jsonl", [found])
    with open_history(path) as history:
        with torn_for_good(len(again) - 1), pytest.raises(WriteUncertainError):
            history.append(found)
        history.append(record(2))
        assert numbers(history) == [0, 1, 2]
    assert path.read_bytes().startswith(before + again)


@shimmed
def test_write_that_fails_after_it_was_done(tmp_path: Path) -> None:
    """A write that stored everything and then reports an error leaves an uncertain append, not an unwritten one."""
    path = tmp_path / NAME
    with open_history(path) as history:
        history.append(record(0))
        with fault("write", NAME, after=errno.EIO), pytest.raises(WriteUncertainError) as caught:
            history.append(record(1))
        assert caught.value.errno == errno.EIO
        assert numbers(history) == [0, 1]
        history.append(record(None))
        assert numbers(history) == [0, 1, 2]


def check_poison(path: Path) -> None:
    """Let one sync fail and look what the handle does from then on."""
    history = open_history(path)
    history.append(record(0))
    with fault("fdatasync", NAME, errno=errno.EIO, count=1), pytest.raises(WriteUncertainError) as caught:
        history.append(record(1))
    assert caught.value.errno == errno.EIO
    size = path.stat().st_size
    for refused in (
        lambda: history.append(record(2)),
        lambda: history.extend(records([2, 3])),
        lambda: history.append(record(2), durability=Durability.FLUSH),
        history.flush,
        history.repair,
        history.resume,
    ):
        with pytest.raises(WriteUncertainError):
            refused()
    assert path.stat().st_size == size
    with pytest.raises(WriteUncertainError):
        history.close()
    assert history.closed
    history.close()
    with open_history(path) as fresh:
        assert fresh.resume().next_iteration == 2
        fresh.append(record(2))
        assert numbers(fresh) == [0, 1, 2]


@shimmed
def test_failed_sync_poisons_the_handle(tmp_path: Path) -> None:
    """After a failed fdatasync the handle acknowledges nothing any more; a new handle works."""
    check_poison(tmp_path / NAME)


@shimmed
def test_failed_sync_fails_the_whole_group(tmp_path: Path) -> None:
    """Threads that share a failing sync all learn of it: none of them is acknowledged."""
    path = tmp_path / NAME
    history = open_history(path)
    history.append(record(0))
    outcomes: list[str] = []

    def append() -> None:
        try:
            history.append(record(None))
        except WriteUncertainError:
            outcomes.append("uncertain")
        else:
            outcomes.append("acknowledged")

    with fault("fdatasync", NAME, delay=errno.EIO, count=1):
        threads = [threading.Thread(target=append) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == ["uncertain"] * 8
    with pytest.raises(WriteUncertainError):
        history.close()


@shimmed
def test_failed_flush(tmp_path: Path) -> None:
    """A failing flush and a failing close say that what was not yet durable may be lost."""
    path = tmp_path / NAME
    history = open_history(path, durability="flush")
    history.append(record(0))
    with fault("fdatasync", NAME, errno=errno.EIO), pytest.raises(WriteUncertainError):
        history.flush()
    other = open_history(path, durability="flush")
    other.append(record(1))
    with fault("fdatasync", NAME, errno=errno.EIO), pytest.raises(WriteUncertainError):
        other.close()
    assert other.closed
    with pytest.raises(WriteUncertainError):
        history.close()


# The checks above can fail.


@shimmed
def test_leaving_half_a_write_is_noticed(tmp_path: Path) -> None:
    """A writer that does not take back what it wrote in part is caught."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogFile, "_write", lambda _self, descriptor, data, _start: write_all(descriptor, data))
        with pytest.raises(AssertionError):
            check_half_way(tmp_path / NAME, errno.ENOSPC)


@shimmed
def test_syncing_again_after_a_failure_is_noticed(tmp_path: Path) -> None:
    """A handle that forgets a failed sync is caught."""
    real = SyncGroup.check

    def forget(self: SyncGroup) -> None:
        try:
            real(self)
        finally:
            self._failed = None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyncGroup, "check", forget)
        with pytest.raises(pytest.fail.Exception):
            check_poison(tmp_path / NAME)
