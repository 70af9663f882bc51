"""``open_history(url, mirror=…)``: copies that follow a history while a loop appends to it.

A thread per copy reads the history as any reader does and appends the same lines to the copy, whole appends of them, in
order. The loop only wakes it. A copy that is away is logged once per outage, tried again with growing pauses, and never
raised into the loop; `iterlog.HistoryStore.mirrors` says how far each copy is. A handle that only reads starts nothing.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from iterlog.copying.chase import BackOff, Chase
from iterlog.copying.follower import lag_behind
from iterlog.errors import ConfigError
from iterlog.places import check_different, place_of
from iterlog.reader import logger
from iterlog.registry import check_options
from iterlog.reports import Lag, MirrorStatus
from iterlog.url import HistoryURL

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.store import HistoryStore

_SHORTEST_WAIT_S = 0.1
"""Between two rounds: a copy is made durable once per round, and its disk may be the history's."""

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
"""Until the next look at what other handles appended, while nothing wakes the thread."""

_CLOSE_WAIT_S = 5.0


def mirrored(open_store: Callable[[], HistoryStore], url: HistoryURL, given: object) -> HistoryStore:
    """Open a history and have copies follow it.

    Args:
        open_store: Opens it.
        url: Its URL.
        given: A path or URL, or several.

    Raises:
        ConfigError: One of them is wrong or named twice, or the history itself.
    """
    copies = [_parsed(each, url) for each in (given if isinstance(given, list | tuple) else [given])]
    for copy in copies:
        check_options(copy)
        check_different(url, copy)
    if len({place_of(copy) for copy in copies}) < len(copies):
        raise ConfigError("option 'mirror' names one place twice", url=str(url))
    store = open_store()
    store._attendants = (*store._attendants, *(Mirror(store, url, copy) for copy in copies))  # noqa: SLF001 - see there
    return store


def _parsed(given: object, url: HistoryURL) -> HistoryURL:
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"option 'mirror' takes a path or URL, or a list of them, not {given!r}", url=str(url))
    copy = HistoryURL.parse(given)
    # The loop may go to another directory before the thread opens it.
    return replace(copy, path=os.path.abspath(copy.path)) if copy.scheme == "file" else copy  # noqa: PTH100 - text


class Mirror:
    """One copy and its thread, which starts with the first append or resume.

    Args:
        store: The handle on the history.
        source: The history's URL.
        copy: The copy's.
    """

    _lock: threading.Lock
    _thread: threading.Thread | None
    _woken: threading.Event
    _ending: threading.Event
    _back_off: BackOff

    def __init__(self, store: HistoryStore, source: HistoryURL, copy: HistoryURL) -> None:
        # A running thread must not keep its handle open for ever.
        self._store = weakref.ref(store, lambda _gone: self._end())
        self._chase = Chase(source, copy)
        self._error: Exception | None = None
        self._deadline: float | None = None
        self._set_up()

    def wake(self) -> None:
        """Have the copy follow soon, in another thread."""
        if self._pid != os.getpid():
            self._set_up()
        if not self._woken.is_set():
            self._woken.set()
        if self._thread is None and not self._ending.is_set():
            self._start()

    def close(self) -> None:
        """Let the copy catch up, within seconds, unless it is away; then end the thread."""
        if self._pid != os.getpid():
            self._set_up()
        self._deadline = time.monotonic() + _CLOSE_WAIT_S
        self._end()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_WAIT_S)
            if thread.is_alive():
                logger.warning("%s: the copy was not reached in time; it is behind the history", self._chase.url)

    def status(self) -> MirrorStatus:
        """Return how far the copy is."""
        store = self._store()
        position = self._chase.position
        if store is None:  # a thread asks for what its user has dropped
            return MirrorStatus(self._chase.url, position, Lag(0, 0.0), self._error)
        return MirrorStatus(self._chase.url, position, lag_behind(store, position), self._error)

    def _set_up(self) -> None:
        """Begin anew, also in a forked child: a fork copies no thread, and locks in whatever state they are."""
        self._pid = os.getpid()
        self._lock, self._thread = threading.Lock(), None
        self._woken, self._ending = threading.Event(), threading.Event()
        self._back_off = BackOff()
        self._chase.forget()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="iterlog-mirror", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter is ending, or there are too many threads
                if self._error is None:
                    logger.warning("%s: the copy does not follow: %s", self._chase.url, error)
                self._error = error
            else:
                self._thread = thread

    def _end(self) -> None:
        if self._pid == os.getpid():
            self._ending.set()
            self._woken.set()

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        try:
            while not self._ending.is_set():
                self._woken.clear()
                wait_s = _FIRST_WAIT_S if self._round() else min(_LONGEST_WAIT_S, 2 * wait_s)
                if self._error is not None:
                    self._ending.wait(self._back_off.pause_s())
                elif not self._ending.wait(_SHORTEST_WAIT_S):
                    self._woken.wait(wait_s)
            if self._error is None:
                self._round()
        finally:
            self._chase.let_go()

    def _round(self) -> int:
        """Copy what there is; return how many lines it was."""
        store = self._store()
        if store is None:
            return 0
        try:
            copied = self._chase.catch_up(store, self._in_time)
        except Exception as error:  # noqa: BLE001 - whatever a copy fails with, the loop goes on
            if store.closed:
                return 0
            if self._error is None or type(error) is not type(self._error):
                logger.warning("%s: the copy is away, and follows when it is back: %s", self._chase.url, error)
            self._error = error
            return 0
        if self._error is not None:
            self._error = None
            logger.warning("%s: the copy is back", self._chase.url)
        return copied

    def _in_time(self) -> bool:
        return self._deadline is None or time.monotonic() < self._deadline
