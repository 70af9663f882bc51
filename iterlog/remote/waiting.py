"""Waiting for a request to be decided, Ctrl-C or not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def decided(work: Callable[[], _T]) -> _T:
    """Do some work and let a Ctrl-C, or whatever else a signal raises, wait until it is done; a second one gives up.

    Left at once, the request would go on alone, and its object appear seconds after the KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()  # no other thread gets a signal
    job = _Job(work)
    worker = threading.Thread(target=job.run, name="iterlog-commit", daemon=True)
    try:
        try:
            worker.start()
        except RuntimeError:  # the interpreter ends, and starts no more threads
            job.run()
        job.ended.wait()
    except BaseException:
        job.end()
        raise
    return job.result()


class _Job(Generic[_T]):
    """Work that is done by whoever begins it first, or by nobody once it was called off."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._begun = threading.Lock()
        self._results: list[_T] = []
        self._errors: list[BaseException] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Do the work, unless it was called off."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._errors.append(error)
        finally:
            self.ended.set()

    def end(self) -> None:
        """Call the work off; where it has begun, wait for its end."""
        if not self._begun.acquire(blocking=False):
            self.ended.wait()

    def result(self) -> _T:
        """Return what came of it, or raise that."""
        if self._errors:
            raise self._errors[0]
        return self._results[0]
