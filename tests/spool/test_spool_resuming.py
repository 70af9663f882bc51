"""Resuming through a spool while what waits goes into the store."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.backends.remote import RemoteHistory
from iterlog.spool.reading import SpooledReader
from iterlog.spool.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def resume_while_it_drains(spool: Path, monkeypatch: pytest.MonkeyPatch, *, records: int = 3) -> None:
    """Resume, and have what waits drained by another thread once the store's end was looked at."""
    monkeypatch.setattr(Worker, "wake", lambda _worker: None)  # nothing is drained before
    with iterlog.open_history(f"fsspec+memory://bucket-{uuid.uuid4().hex}/runs", spool=spool) as history:
        assert isinstance(history, iterlog.SupportsSpool)
        monkeypatch.setattr(RemoteHistory, "_one_look", looking_before(history.drain))
        for number in range(records):
            history.save(code=None, metrics={}, feedback=f"after {number}")
        point = history.resume()
        assert history.spool.records == 0
        assert (point.next_iteration, point.feedback) == (records, f"after {records - 1}")
        assert [record.iteration for record in history] == list(range(records))


def looking_before(drain: Callable[[], object]) -> Callable[[RemoteHistory], contextlib.AbstractContextManager[None]]:
    """Make a look at a store behind which another thread drains."""
    look = RemoteHistory._one_look

    @contextlib.contextmanager
    def looked(store: RemoteHistory) -> Iterator[None]:
        with look(store):
            draining = threading.Thread(target=drain)
            draining.start()
            draining.join()
            yield

    return looked


def test_what_is_drained_while_a_loop_resumes_is_its_feedback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest record is told wherever it stands by then: nothing falls between the store's end and the backlog."""
    resume_while_it_drains(tmp_path / "spool", monkeypatch)


def test_a_record_that_falls_between_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken variant: who looks at the store first and at what it has by then afterwards passes the record over."""
    monkeypatch.setattr(SpooledReader, "as_of_now", contextlib.nullcontext)
    with pytest.raises(AssertionError, match="after"):
        resume_while_it_drains(tmp_path / "spool", monkeypatch)
