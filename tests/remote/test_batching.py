"""Several appends in one commit: what waits is committed once, with the right numbers, or its caller is told."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from appended import record
from waiting import wait_until

from iterlog import ConflictError, RecordError, UnavailableError, WriteUncertainError, open_history
from iterlog.backends.remote import RemoteHistory
from iterlog.remote import batching, committing
from iterlog.remote.batching import Batch
from iterlog.remote.client import RefusedError, UndecidedError
from iterlog.remote.committing import Committer
from iterlog.remote.filesystem import FilesystemClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@pytest.fixture
def url() -> str:
    """A bucket in fsspec's memory."""
    return f"fsspec+memory://bucket-{uuid.uuid4().hex}/runs"


def batched(url: str, **options: Any) -> RemoteHistory:
    """Open a history whose appends wait for ten of them."""
    history = open_history(url, **{"batch_records": 10, **options})
    assert isinstance(history, RemoteHistory)
    return history


def found(url: str) -> list[tuple[int | None, str]]:
    """Return what is stored, as another handle reads it."""
    with open_history(url) as history:
        return [(each.iteration, each.feedback) for each in history]


def commits_in(url: str) -> int:
    """Return how many commits there are."""
    with open_history(url) as history:
        assert isinstance(history, RemoteHistory)
        return sum(1 for _ in history._reader.forward(0))


def test_appends_wait_until_there_are_enough(url: str) -> None:
    """Nine are nowhere yet, and with the tenth all ten are in one commit."""
    with batched(url) as history:
        for i in range(9):
            history.append(record(str(i)))
        assert found(url) == []
        history.append(record("9"))
        assert found(url) == [(i, str(i)) for i in range(10)]
    assert commits_in(url) == 1


@pytest.mark.parametrize(
    "settle",
    [RemoteHistory.flush, RemoteHistory.close, RemoteHistory.resume, len, list],
    ids=lambda each: each.__name__,
)
def test_what_waits_is_committed_by(settle: Callable[[RemoteHistory], object], url: str) -> None:
    """Whoever flushes, closes, takes over or reads through the handle finds it there."""
    history = batched(url)
    history.append(record("one"))
    history.extend([record("two"), record("three")])
    settle(history)
    assert found(url) == [(0, "one"), (1, "two"), (2, "three")]
    history.close()
    assert found(url) == [(0, "one"), (1, "two"), (2, "three")]


def test_time_commits_what_waits(url: str) -> None:
    """Without another call, once the oldest has waited so long."""
    with batched(url, batch_interval="50ms", batch_records=1000) as history:
        for i in range(2):
            history.append(record(str(i)))
            wait_until(lambda: len(found(url)) > i)  # noqa: B023 - called at once


def test_a_handle_that_is_dropped_still_commits_in_time(url: str) -> None:
    """What waits keeps the handle that has to commit it."""
    batched(url, batch_interval="50ms").append(record("kept"))
    gc.collect()
    wait_until(lambda: bool(found(url)))
    gc.collect()
    assert not batching._waiting


def test_numbers_are_those_of_the_moment_of_the_commit(url: str) -> None:
    """Another writer was there first: what waited goes on behind it, and no number is there twice."""
    with batched(url) as history, open_history(url) as other:
        history.append(record("waits"))
        other.append(record("first"))
        history.append(record("waits too"))
    assert found(url) == [(0, "first"), (1, "waits"), (2, "waits too")]


def test_a_number_that_is_told_is_final(url: str) -> None:
    """What save() returns is stored under that number, whatever others do."""
    with batched(url) as history, batched(url) as other:
        history.append(record("waits"))
        numbers = [
            each.save(code=None, metrics={}, feedback=text).iteration
            for each, text in ((history, "a"), (other, "b"), (history, "c"))
        ]
    assert numbers == [1, 2, 3]
    assert found(url) == [(0, "waits"), (1, "a"), (2, "b"), (3, "c")]


def test_a_number_told_too_early_is_caught(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settling, two writers are told the same number."""
    monkeypatch.setattr(RemoteHistory, "_settle_numbers", lambda _self: None)
    with pytest.raises(AssertionError):
        test_a_number_that_is_told_is_final(url)


def interrupt_a_flush(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just when what waits was committed; afterwards the handle is used on, and closed."""
    append = Committer.append

    def interrupted(committer: Committer, make: Callable[[int], Sequence[bytes]]) -> int:
        number = append(committer, make)
        monkeypatch.setattr(Committer, "append", append)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)  # the thread that waits is woken
        return number

    monkeypatch.setattr(Committer, "append", interrupted)
    with batched(url) as history:
        history.append(record("one"))
        with pytest.raises(KeyboardInterrupt):
            history.flush()
        history.append(record("two"))
    assert found(url) == [(0, "one"), (1, "two")]


def test_an_interrupted_commit_is_not_made_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed while Ctrl-C came does not wait any more."""
    interrupt_a_flush(url, monkeypatch)


def test_forgetting_too_late_is_caught(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the interrupted thread itself would take it out, it is committed twice."""

    def flush(batch: Batch) -> None:
        if batch._waiting:
            batch._commit(batch._made)
            batch._forget_waiting()

    monkeypatch.setattr(Batch, "flush", flush)
    with pytest.raises(AssertionError):
        interrupt_a_flush(url, monkeypatch)


def test_a_store_that_is_away_keeps_it_waiting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The append that cannot be taken is refused, what came before it waits on, and goes in when the store is back."""
    with batched(url, batch_records=3) as history:
        history.append(record("0"))
        history.append(record("1"))
        with monkeypatch.context() as away:
            away.setattr(FilesystemClient, "create", raising(RefusedError(UnavailableError("away"), again=False)))
            for _ in range(3):
                with pytest.raises(UnavailableError):
                    history.append(record("refused"))
            with pytest.raises(UnavailableError):
                history.flush()
            assert found(url) == []
        history.append(record("2"))
        assert found(url) == [(i, str(i)) for i in range(3)]


@pytest.mark.parametrize("kind", [WriteUncertainError, ConflictError])
def test_an_error_that_is_final_surfaces(kind: type[Exception], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that stayed undecided, or met a fence, in the background is told at the next call, and at the end."""
    monkeypatch.setattr(committing, "_LONGEST_PAUSE_S", 0.01)
    history = batched(url, batch_interval="30ms")
    if kind is ConflictError:
        history.resume()
        with open_history(url) as other:
            other.resume()
    else:
        history.flush()
        history._committer._deadline_s = 0.1
        monkeypatch.setattr(FilesystemClient, "create", raising(UndecidedError("no answer")))
        history._committer._checked = True
        committing._proven.add(history._client.identity)
    history.append(record("lost"))
    wait_until(lambda: history._batch is not None and history._batch._error is not None)
    with pytest.raises(kind):
        history.append(record("next"))
    with pytest.raises(kind):
        history.flush()
    with pytest.raises(kind):
        history.close()
    assert "lost" not in str(found(url))


def test_more_bytes_than_an_object_takes_are_several_commits(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large records do not wait for ten of them; one that never fits is refused, and the others stay."""
    monkeypatch.setattr(batching, "_MOST_BYTES", 10_000)
    with batched(url) as history:
        for i in range(5):
            history.append(record(f"{i}" + "x" * 4000))
        with pytest.raises(RecordError):
            history.append(record("x" * 10_000))
        with pytest.raises(RecordError):
            history.extend([record("x" * 6_000), record("x" * 6_000)])
    assert [(number, text[0]) for number, text in found(url)] == [(i, str(i)) for i in range(5)]
    assert commits_in(url) == 3


def test_threads_share_a_batch(url: str) -> None:
    """Eight threads, and time that commits: all is there once, each thread's in order, each under its own number."""
    with batched(url, batch_records=7, batch_interval="5ms") as history:
        threads = [
            threading.Thread(target=lambda name=name: [history.append(record(f"{name} {i}")) for i in range(40)])
            for name in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stored = found(url)
    assert [number for number, _ in stored] == list(range(320))
    for name in range(8):
        mine = [text for _, text in stored if text.startswith(f"{name} ")]
        assert mine == [f"{name} {i}" for i in range(40)]


def test_no_thread_is_left_when_it_is_closed(url: str) -> None:
    """The one that watches the time ends with its handle."""
    before = set(threading.enumerate())
    with batched(url, batch_interval="10ms") as history:
        history.append(record("one"))
        assert any(thread.name == "iterlog-batch" for thread in threading.enumerate())
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("iterlog")]


def raising(error: Exception) -> Callable[..., Any]:
    """Make a method that raises."""

    def method(*_args: object, **_kwargs: object) -> Any:
        raise error

    return method
