"""The contract about sharing: handles, threads and processes on one history (promise 7)."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.testing import worker
from iterlog.testing.contract.base import ContractBase, numbering
from iterlog.testing.samples import filled, numbers, sample

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

THREADS = 16
EACH = 8


class Sharing(ContractBase):
    """Tests of several writers; those with processes are skipped for stores that live in one process."""

    def test_two_handles_append_in_turn(self, url: str) -> None:
        """Two handles on one URL see each other's records at once and keep one order (promises 3 and 7)."""
        with iterlog.open_history(url) as one, iterlog.open_history(url) as two:
            for i in range(0, 8, 4):
                one.append(sample(i))
                two.extend([sample(i + 1), sample(i + 2)])
                one.append(sample(i + 3))
                assert list(one) == list(two)
            assert [record.iteration for record in one] == list(range(8))

    def test_two_handles_share_one_numbering(self, url: str) -> None:
        """Two handles on one URL never hand a number out twice, whatever they remember (promise 7)."""
        with iterlog.open_history(url) as one, iterlog.open_history(url) as two:
            numbering(one)
            for i in range(0, 6, 2):
                assert one.save(code=None, metrics={}, feedback="").iteration == i
                assert two.save(code=None, metrics={}, feedback="").iteration == i + 1
        assert numbers(url) == list(range(6))

    def test_threads_share_a_handle(self, url: str) -> None:
        """Sixteen threads on one handle lose nothing, and no number comes twice (promise 7)."""
        with iterlog.open_history(url) as history:
            _run_threads(lambda thread: _write(history, thread))
        _check_all_there(url)

    def test_threads_with_handles_of_their_own(self, url: str) -> None:
        """Sixteen threads, each with its own handle, lose nothing, and no number comes twice (promise 7)."""

        def run(thread: int) -> None:
            with iterlog.open_history(url) as history:
                _write(history, thread)

        _run_threads(run)
        _check_all_there(url)

    def test_reader_sees_a_growing_prefix(self, url: str) -> None:
        """Whoever reads while others write sees the history of a moment: every record up to some point (promise 3)."""
        done = threading.Event()

        def write() -> None:
            try:
                filled(url, 60)
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        looks = []
        with iterlog.open_history(url) as reader:
            while not done.is_set():
                looks.append([record.iteration for record in reader])
        writer.join()
        lengths = [len(look) for look in looks]
        assert lengths == sorted(lengths)
        for look in looks:
            assert look == list(range(len(look)))
        assert len(numbers(url)) == 60

    def test_append_survives_a_kill(self, url: str) -> None:
        """A record is there although its process was killed as soon as append returned (promise 1)."""
        self._need_processes()
        for i, durability in enumerate(iterlog.Durability):
            worker.finish(self._start("append_and_die", url, durability.value, i), killed=True)
            assert numbers(url) == list(range(i + 1))

    def test_processes_append_together(self, url: str) -> None:
        """Processes that append at the same time lose nothing, and no number comes twice (promise 7)."""
        self._need_processes()
        with iterlog.open_history(url) as history:
            numbered = isinstance(history, iterlog.SupportsNumbering)
        processes = [
            self._start("append_numbered", url, 10) if numbered else self._start("append_given", url, 10, 10 * i)
            for i in range(3)
        ]
        for process in processes:
            worker.finish(process)
        with iterlog.open_history(url) as history:
            found = [record.iteration or 0 for record in history]
            codes = {record.code for record in history}
        assert sorted(found) == list(range(30))
        assert len(codes) == 30
        assert not numbered or found == list(range(30))

    def test_claim_ends_with_its_process(self, url: str) -> None:
        """The claim of a loop that was killed is free for the next one (promise 7)."""
        self._need_processes()
        worker.finish(self._start("claim_and_die", url), killed=True)
        with iterlog.open_history(url) as history:
            assert history.resume().next_iteration == 0

    def test_handle_survives_a_fork(self, url: str) -> None:
        """After a fork parent and child go on with the same handle and lose nothing (promise 7)."""
        self._need_processes()
        if not hasattr(os, "fork"):
            pytest.skip("the platform cannot fork")
        with iterlog.open_history(url) as history:
            history.append(sample(0))
            child = os.fork()
            if not child:
                _append_and_exit(history, sample(1))
            assert os.waitpid(child, 0)[1] == 0
            history.append(sample(2))
            assert [record.iteration for record in history] == [0, 1, 2]
        assert numbers(url) == [0, 1, 2]

    def _need_processes(self) -> None:
        if not self.shared_between_processes:
            pytest.skip("the store lives in one process")

    def _start(self, task: str, url: str, *arguments: object) -> subprocess.Popen[str]:
        return worker.start(task, url, self.import_in_processes, *arguments)


def _append_and_exit(history: iterlog.HistoryStore, record: iterlog.IterationRecord) -> None:
    """Append in a forked child and leave at once: nothing of the test run may be ended a second time."""
    code = 1
    try:
        history.append(record)
        code = 0
    finally:
        os._exit(code)


def _run_threads(run: Callable[[int], None]) -> None:
    """Run a function in all threads, and raise what any of them raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(run, range(THREADS)):
            pass


def _write(history: iterlog.HistoryStore, thread: int) -> None:
    """Append this thread's records, numbered by the store where it can."""
    own = isinstance(history, iterlog.SupportsNumbering)
    for i in range(EACH):
        number = None if own else thread * EACH + i
        saved = history.save(code=f"thread {thread}, {i}", metrics={"i": i}, feedback="", iteration=number)
        found = history.get(saved.iteration or 0)
        assert found == saved


def _check_all_there(url: str) -> None:
    with iterlog.open_history(url) as history:
        records = list(history)
    codes = {f"thread {thread}, {i}" for thread in range(THREADS) for i in range(EACH)}
    assert {record.code for record in records} == codes
    assert sorted(record.iteration or 0 for record in records) == list(range(THREADS * EACH))
    for thread in range(THREADS):
        own = [record.metrics["i"] for record in records if (record.code or "").startswith(f"thread {thread},")]
        assert own == list(range(EACH))
