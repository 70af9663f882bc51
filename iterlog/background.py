"""Work in idle time: one thread that runs when there is something to do, and ends with its handle."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from iterlog.errors import IterlogError
from iterlog.reader import logger

if TYPE_CHECKING:
    from collections.abc import Callable

_LOW_PRIORITY = 10
_PUT_OFF = "compressing and removing is put off: %s"


class Background:
    """Runs one piece of work again and again, whenever it is woken.

    Args:
        work: Called with a function that says whether to keep on; what it raises is logged, never raised.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], None]) -> None:
        self._work = weakref.WeakMethod(work)  # a running thread must not keep its handle open for ever
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = False
        self._closed = False
        self._pid = os.getpid()

    def wake(self) -> None:
        """Have the work done soon, in another thread; where none can be started, when it is woken again."""
        if self._pid != os.getpid():  # a fork copies no thread
            self._pid, self._lock, self._thread = os.getpid(), threading.Lock(), None
        with self._lock:
            self._again = True
            if (self._thread is None or not self._thread.is_alive()) and not self._closed:
                self._start()

    def run_here(self) -> None:
        """Do the work now, in this thread."""
        self._do()

    def close(self) -> None:
        """Let the step that is being done end, and do no other."""
        self._closed = True
        thread = self._thread if self._pid == os.getpid() else None
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="iterlog-keeper", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is ending, or there are too many threads
            logger.warning(_PUT_OFF, error)
        else:
            self._thread = thread

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            try:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
            except OSError as error:
                logger.debug("the keeper runs at normal priority: %s", error)
        while True:
            with self._lock:
                if not self._again or self._closed:
                    self._thread = None
                    return
                self._again = False
            self._do()

    def _do(self) -> None:
        work = self._work()
        if work is None:
            return
        try:
            work(lambda: not self._closed)
        except (IterlogError, OSError) as error:
            logger.warning(_PUT_OFF, error)
