"""Several appends of a busy loop in one commit: a request for all of them instead of one for each.

What waits here is in memory only: it is durable once it was committed, which the next of these does: as many records as
asked for, more bytes than an object takes, a time, `flush`, `close`, reading through the same handle, the interpreter's
end. Until then nobody can know the numbers that the records will have.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

from iterlog.errors import IterlogError, RecordError, UnavailableError, WriteUncertainError
from iterlog.lines import iteration_of
from iterlog.reader import logger
from iterlog.remote.client import MAX_OBJECT
from iterlog.remote.waiting import decided

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Make = Callable[[int], Sequence[bytes]]

_MOST_BYTES = MAX_OBJECT - (1 << 10)
"""Bytes of lines in one commit; a control line may stand before them."""

_waiting: set[Batch] = set()
"""Those with something to commit: a handle that was dropped without being closed is kept until it has."""


class Batch:
    """The appends of one handle that are not in a commit yet.

    Args:
        commit: Commits ``make(n)``, ``n`` being the next iteration number.
        next_number: Returns the next iteration number behind what is committed.
        records: Commit when so many records wait.
        interval_s: Commit when the oldest has waited so long; None: do not.
    """

    def __init__(
        self, commit: Callable[[Make], int], next_number: Callable[[], int], records: int, interval_s: float | None
    ) -> None:
        self._commit = commit
        self._next_number = next_number
        self._records = records
        self._interval_s = interval_s
        self._lock = threading.RLock()
        self._waiting: list[Make] = []
        self._count = self._bytes = 0
        self._next = 0
        self._began_at = 0.0
        self._timer: threading.Thread | None = None
        self._wake = threading.Event()
        self._error: IterlogError | None = None

    def add(self, make: Make) -> int | None:
        """Add an append; commit all when there are enough, and return the number of that commit.

        Raises:
            IterlogError: Committing failed. What this call brought is taken out again; what came before it waits on.
        """
        with self._lock:
            self._raise_error()
            lines, size = self._looked_through(make)
            if self._waiting and self._bytes + size > _MOST_BYTES:
                self.flush()
                lines, size = self._looked_through(make)
            before = self._count, self._bytes, self._next
            self._waiting.append(make)
            _waiting.add(self)
            self._count += len(lines)
            self._bytes += size
            self._next = _behind(lines, self._next)
            if self._count < self._records:
                self._start_timer()
                return None
            try:
                return self.flush()
            except WriteUncertainError:
                raise
            except IterlogError:
                self._waiting.pop()
                self._count, self._bytes, self._next = before
                raise

    def flush(self) -> int | None:
        """Commit what waits; return the number of the commit, None when nothing waited.

        Raises:
            IterlogError: Committing failed; UnavailableError: it waits on.
        """
        with self._lock:
            self._raise_error()
            return decided(self._commit_all) if self._waiting else None

    def close(self) -> None:
        """End the thread that watches the time; what could not be committed is nobody's any more."""
        _waiting.discard(self)
        timer, self._timer = self._timer, None
        self._wake.set()
        if timer is not None and timer is not threading.current_thread():
            timer.join()

    def forget(self) -> None:
        """Start anew in a forked child: what waits is the parent's."""
        self._lock, self._wake, self._timer = threading.RLock(), threading.Event(), None
        self._forget_waiting()

    def _looked_through(self, make: Make) -> tuple[Sequence[bytes], int]:
        """Return an append's lines behind what waits, and how many bytes they are."""
        if not self._waiting:
            self._next = self._next_number()
            self._began_at = time.monotonic()
        lines = make(self._next)
        size = sum(map(len, lines)) + len(lines)
        if size > _MOST_BYTES:
            raise RecordError(f"an append of {size:,} bytes is too long for one object, {_MOST_BYTES:,}")
        return lines, size

    def _commit_all(self) -> int:
        number = self._commit(self._made)
        self._forget_waiting()  # here, where no Ctrl-C comes between: it would be committed once more
        return number

    def _forget_waiting(self) -> None:
        self._waiting, self._count, self._bytes = [], 0, 0
        _waiting.discard(self)

    def _made(self, number: int) -> list[bytes]:
        lines: list[bytes] = []
        for make in self._waiting:
            made = make(number)
            number = _behind(made, number)
            lines += made
        return lines

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _start_timer(self) -> None:
        if self._interval_s is not None and self._timer is None:
            self._timer = threading.Thread(
                target=_watch, args=(weakref.ref(self), self._wake, self._interval_s), name="iterlog-batch", daemon=True
            )
            self._timer.start()

    def flush_in_time(self) -> float:
        """Commit what has waited long enough; return the seconds until that may be so again."""
        interval = self._interval_s or 0.0
        with self._lock:
            waited = time.monotonic() - self._began_at
            if not self._waiting or waited < interval:
                return interval - waited if self._waiting else interval
            try:
                self.flush()
            except UnavailableError as error:
                logger.warning("a batch waits on: %s", error)
            except IterlogError as error:
                self._error = error  # the next call tells
            return interval


def _watch(batch: weakref.ref[Batch], wake: threading.Event, pause: float) -> None:
    """Commit in time, as long as the batch is used: a running thread must not keep its handle open for ever."""
    while not wake.wait(pause):
        watched = batch()
        if watched is None:
            return
        pause = max(0.01, watched.flush_in_time())
        del watched


def _behind(lines: Sequence[bytes], number: int) -> int:
    return max(number, *(iteration_of(line) + 1 for line in lines))
