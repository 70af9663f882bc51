"""What makes an append durable: one sync behind the write, outside the lock, shared by all threads that wait for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers_at, record, records
from fault_shim import calls_noted, shimmed

from iterlog import open_history
from iterlog.backends.jsonl import JsonlHistory
from iterlog.files import durable

if TYPE_CHECKING:
    from pathlib import Path

NAME = "history.jsonl"
THREADS = 8


@shimmed
def test_one_write_one_sync(tmp_path: Path) -> None:
    """A durable append is one write and, once the lock is given back, one sync; a batch is no more than that."""
    with open_history(tmp_path / NAME) as history:
        history.append(record(0))
        for batch in (records([1]), records([2, 3, 4])):
            with calls_noted(tmp_path) as calls:
                history.extend(batch)
            assert [call for call in calls if call.split()[0] in {"write", "flock", "fsync", "fdatasync"}] == [
                f"flock {NAME}.lock",
                f"write {NAME}",
                f"flock {NAME}.lock",
                f"fdatasync {NAME}",
            ]


@shimmed
def test_flush_appends_sync_when_asked(tmp_path: Path) -> None:
    """With durability=flush no append waits for the disk; flush() and close() make up for it."""
    with open_history(tmp_path / NAME, durability="flush") as history:
        history.append(record(0))
        with calls_noted(tmp_path) as appending:
            history.append(record(1))
            history.extend(records([2, 3]))
        with calls_noted(tmp_path) as flushing:
            history.flush()
        history.append(record(4))
        with calls_noted(tmp_path) as closing:
            history.close()
    assert [call for call in appending if "sync" in call] == []
    assert [call for call in flushing if "sync" in call] == [f"fdatasync {NAME}"]
    assert [call for call in closing if "sync" in call] == [f"fdatasync {NAME}"]


def syncs_of_threads(path: Path) -> int:
    """Return how many syncs it takes to acknowledge an append of each of some threads that all have written."""
    history = open_history(path)
    assert isinstance(history, JsonlHistory)
    history.append(record(0))
    group = history._file._group
    assert group is not None
    syncs: list[int] = []

    def sync(descriptor: int) -> None:
        syncs.append(descriptor)
        deadline = time.monotonic() + 30
        # The first one to sync holds the others up until every thread has written.
        while len(syncs) == 1 and time.monotonic() < deadline:
            content = path.read_bytes()
            if content.count(b"\n") == THREADS + 1 and group.written == len(content):
                break
            time.sleep(0.001)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "sync_data", sync)
        threads = [threading.Thread(target=history.append, args=(record(None),)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    history.close()
    assert numbers_at(path) == list(range(THREADS + 1))
    return len(syncs)


def test_threads_share_their_syncs(tmp_path: Path) -> None:
    """While one thread syncs, others write; the next sync is for all of them."""
    assert syncs_of_threads(tmp_path / NAME) == 2


def test_a_sync_for_each_thread_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends that do not look whether another thread's sync was theirs too are caught."""

    def wait_alone(self: durable.SyncGroup, end: int) -> None:
        with self._leader:
            durable.sync_data(self.descriptor)
            self.synced = end

    monkeypatch.setattr(durable.SyncGroup, "wait_for", wait_alone)
    assert syncs_of_threads(tmp_path / NAME) == THREADS
