"""The thread that drains: woken by appends, patient while the store is away, gone with its handle.

It is a daemon and holds its handle weakly, so that neither a process nor a handle that nobody closed waits for it.
"""

from __future__ import annotations

import enum
import os
import random
import threading
import time
import weakref
from typing import TYPE_CHECKING

from iterlog.errors import IterlogError
from iterlog.reader import logger

if TYPE_CHECKING:
    from collections.abc import Callable

_LINGER_S = 2.0
"""How long the thread waits for more before it ends."""
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 10.0
_BUSY_PAUSE_S = 0.01


class Outcome(enum.Enum):
    """What came of one piece of work."""

    DONE = "done"
    BUSY = "busy"
    """Another handle is at it."""
    FAILED = "failed"
    """To be tried again after a pause, each longer than the one before."""
    REFUSED = "refused"
    """Not to be tried again by itself."""


class Worker:
    """Does one piece of work whenever it is woken.

    Args:
        work: A method, called with a function that says whether to keep on.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], Outcome]) -> None:
        self._work = weakref.WeakMethod(work)
        self._then: Callable[[], None] | None = None
        self._begin()
        _live.add(self)

    def wake(self) -> None:
        """Have the work done soon, in another thread; while the store is away, when its pause is over."""
        with self._changed:
            self._wanted = True
            if self._closing:
                return
            if self._thread is None:
                self._start()
            elif self._waits_for_more:
                self._changed.notify()

    def close(self, wait_s: float, *, once_more: bool) -> None:
        """Have the work done once more, if there is any, and wait for it for so many seconds at most."""
        with self._changed:
            self._wanted = once_more
            self._closing, self._deadline = True, time.monotonic() + wait_s
            if self._thread is None and self._wanted:
                self._start()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(wait_s)

    def finish(self, then: Callable[[], None]) -> None:
        """Call a function when the thread has ended: here, or, when the store has not answered it yet, in it."""
        with self._changed:
            if self._thread is not None:
                self._then = then
                return
        then()

    def forget(self) -> None:
        """Start anew in a forked child, which has no copy of the thread."""
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._then = None
        self._wanted = False
        self._waits_for_more = False
        self._closing = False
        self._deadline = 0.0

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="iterlog-spool", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is ending: what waits is durable, and drained by the next one
            logger.debug("the spool is not drained any more: %s", error)
        else:
            self._thread = thread

    def _run(self) -> None:
        pause, failures, tried_last = 0.0, 0, False
        while self._wait(pause, tried_last=tried_last):
            tried_last = self._closing
            outcome = self._do()
            failures = failures + 1 if outcome is Outcome.FAILED else 0
            if outcome is Outcome.BUSY or outcome is Outcome.FAILED:
                self._wanted = True
                tried_last = tried_last and outcome is Outcome.FAILED
            pause = _pause(outcome, failures)

    def _wait(self, pause: float, *, tried_last: bool) -> bool:
        """Wait for something to do; return False, and be no thread any more, when there is nothing."""
        with self._changed:
            if pause:
                self._changed.wait(min(pause, _BUSY_PAUSE_S) if self._closing else pause)
            if not self._wanted and not self._closing:
                self._waits_for_more = True
                self._changed.wait(_LINGER_S)
                self._waits_for_more = False
            late = self._closing and (tried_last or time.monotonic() >= self._deadline)
            if self._wanted and not late:
                self._wanted = False
                return True
            self._thread = None
            then, self._then = self._then, None
        if then is not None:
            try:
                then()
            except (IterlogError, OSError) as error:
                logger.warning("closing a spooled history: %s", error)
        return False

    def _do(self) -> Outcome:
        work = self._work()
        if work is None:
            return Outcome.REFUSED
        return work(lambda: not self._closing or time.monotonic() < self._deadline)


def _pause(outcome: Outcome, failures: int) -> float:
    if outcome is Outcome.BUSY:
        return _BUSY_PAUSE_S
    if outcome is Outcome.FAILED:
        longest = min(_FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), _LONGEST_PAUSE_S)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - keeps loops from knocking in step; no secret
    return 0.0


_live: weakref.WeakSet[Worker] = weakref.WeakSet()


def _forget_all() -> None:
    for worker in list(_live):
        worker.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
