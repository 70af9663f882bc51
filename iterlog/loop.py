"""The three functions of a loop that wants no handle: save, load the feedback, ask for the last number.

They work on the default history: what was assigned to ``iterlog.HISTORY_FILE``, else ``$ITERLOG_URL``, else
``iteration_history.jsonl``, looked up at each call. They keep one handle open, may be called from any thread and after
a fork, and no failing storage ends the loop. A history that other machines reach is opened behind a spool (see
`iterlog.spool`), so that nothing waits for the network, unless its URL says ``spool=false``; any other is with
``spool=true``. A record that the history, or its spool, cannot take is logged and kept in a local file (see
`iterlog.fallback`), from which the next call that succeeds merges it.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from iterlog.abilities import SupportsFence
from iterlog.errors import IterlogError, MissingDependencyError, RecordError
from iterlog.fallback import Fallback, without_known
from iterlog.reader import logger
from iterlog.record import IterationRecord
from iterlog.registry import check_options, find_backend, open_parsed
from iterlog.url import DEFAULT_HISTORY, HistoryURL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iterlog.store import HistoryStore


class _Unassigned(str):
    """The value of ``HISTORY_FILE`` that nobody assigned; equal to, but not the same as, what a user would write."""

    __slots__ = ()


HISTORY_FILE: str | os.PathLike[str] = _Unassigned(DEFAULT_HISTORY)
"""The default history; assign ``iterlog.HISTORY_FILE`` to change it."""


def save_iteration_result(
    iteration: int,
    code: str | None,
    metrics: Mapping[str, Any],
    feedback: str,
    used_fallback: bool = False,
    success: bool = True,
    error: str | None = None,
) -> None:
    """Append one iteration to the default history; a failing storage does not end the loop.

    Args:
        iteration: The iteration's number, from 0 on.
        code: The full source text, or None.
        metrics: Names and measured values.
        feedback: Text for the next iteration.
        used_fallback: Whether a known-good fallback was run in place of the new code.
        success: Whether it ran without an error.
        error: What went wrong, or None.

    Raises:
        RecordError: The values cannot be recorded.
        ConfigError: The default history's URL is wrong.
    """
    record = IterationRecord(iteration, code, metrics, feedback, used_fallback, success, error)  # type: ignore[arg-type]
    if record.iteration is None:  # a fallback file could only guess at the number
        raise RecordError("iteration is None; give the number, such as get_last_iteration_number() + 1")
    with _lock:
        _default().save(record)


def load_previous_feedback(successful_only: bool = False) -> str:
    """Return the feedback of the last readable record of the default history, ``""`` when there is none.

    A failed iteration's feedback was written for the next one, so it counts.

    Args:
        successful_only: Pass over failed iterations.

    Raises:
        ConfigError: The default history's URL is wrong.
    """
    with _lock:
        for record in _default().newest_first():
            if record.success or not successful_only:
                return record.feedback
    return ""


def get_last_iteration_number() -> int:
    """Return the number of the last readable record of the default history, -1 when there is none.

    Raises:
        ConfigError: The default history's URL is wrong.
    """
    with _lock:
        for record in _default().newest_first():
            return -1 if record.iteration is None else record.iteration
    return -1


class _DefaultHistory:
    """The default history as one URL, its handle, and what it is still owed."""

    def __init__(self, url: HistoryURL) -> None:
        # A wrong URL is the user's mistake, not a failing storage: say so at once.
        check_options(url)
        if url.scheme in {"file", "jsonl"}:
            url.local_path()
        if "spool" not in url.query and issubclass(find_backend(url), SupportsFence):
            url = replace(url, keywords={**url.keywords, "spool": True})
        self._url = url
        self._store: HistoryStore | None = None
        self._fallback = Fallback(url)
        self._owes = True  # an earlier process may have left something
        self.unsaved: list[IterationRecord] = []  # when not even a fallback file could be written

    def save(self, record: IterationRecord) -> None:
        """Append a record behind what is owed, or keep it for later."""
        try:
            store = self._opened()
            self._settle(store)
            store.append(record)
        except (RecordError, MissingDependencyError):
            raise
        except (IterlogError, OSError) as error:
            self._let_go()
            self.unsaved.append(record)
            self._keep_unsaved(error)

    def newest_first(self) -> Iterator[IterationRecord]:
        """Yield the records, what is still owed first; storage that fails is logged and ends the iteration."""
        store: HistoryStore | None = None
        try:
            store = self._opened()
            self._settle(store)
        except MissingDependencyError:
            raise
        except (IterlogError, OSError) as error:
            logger.error("%s: the history is not available: %s", self._url, error)
        yield from reversed(self.unsaved)
        if self._owes:
            yield from reversed(self._fallback.records())
        try:
            if store is not None:
                yield from reversed(store)
        except (IterlogError, OSError) as error:
            self._let_go()
            logger.error("%s: the history cannot be read: %s", self._url, error)

    def close(self) -> None:
        """Close the handle, having tried once more to store what is in memory only."""
        if self.unsaved:
            try:
                self._settle(self._opened())
            except (IterlogError, OSError) as error:
                self._keep_unsaved(error)
        self._let_go()

    def _opened(self) -> HistoryStore:
        if self._store is None:
            # Looked up again: a plain file may have been turned into a rotating set since.
            self._store = open_parsed(self._url)
        return self._store

    def _settle(self, store: HistoryStore) -> None:
        """Append what is owed."""
        if self._owes:
            merged = self._fallback.merge_into(store)
            self._owes = False
            if merged:
                logger.warning("%s: %d kept records were merged into the history", self._url, merged)
        if self.unsaved:
            store.extend(without_known(self.unsaved, store))
            self.unsaved = []

    def _keep_unsaved(self, reason: Exception) -> None:
        """Move what the history could not take, oldest first, from memory to the fallback file."""
        while self.unsaved:
            try:
                place = self._fallback.keep(self.unsaved[0])
            except IterlogError as error:
                logger.critical(
                    "%s: %d records are held in memory only; free the storage before this process ends: %s; %s",
                    self._url,
                    len(self.unsaved),
                    reason,
                    error,
                )
                return
            record = self.unsaved.pop(0)
            self._owes = True
            logger.error("%s: iteration %s is kept in %s: %s", self._url, record.iteration, place, reason)

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except (IterlogError, OSError) as error:
                logger.error("%s: %s", self._url, error)


_lock = threading.RLock()
_current: object = None
_histories: dict[object, _DefaultHistory] = {}
"""The default history of now, and those of before that still hold a record in memory."""


def _default() -> _DefaultHistory:
    """Return the default history as it is named now; a relative path is meant from the current directory."""
    global _current  # noqa: PLW0603 - the default history is one per process
    assigned = sys.modules["iterlog"].__dict__.get("HISTORY_FILE", HISTORY_FILE)
    url = HistoryURL.parse(None if isinstance(assigned, _Unassigned) else assigned)
    relative = url.scheme == "file" and not url.path.startswith("/")
    key = (url.scheme, url.host, url.path, str(url.query), _directory() if relative else "")
    if key != _current or key not in _histories:
        default = _histories.get(key) or _DefaultHistory(url)
        _close(_current)
        if _current is None:
            atexit.register(_close_all)
        _histories[key] = default
        _current = key
    return _histories[key]


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a third of the time, at each call
    except OSError:  # it was removed; what was open goes on, and a new history begins in its fallback file
        return _current[-1] if isinstance(_current, tuple) else ""


def _close(key: object) -> None:
    if key in _histories:
        _histories[key].close()
        if not _histories[key].unsaved:
            del _histories[key]


def _close_all() -> None:
    for key in list(_histories):
        _close(key)


def _begin_anew() -> None:
    """In a forked child: another thread may have held the lock, and what is in memory is the parent's to store."""
    global _lock  # noqa: PLW0603 - as above
    _lock = threading.RLock()
    for default in _histories.values():
        default.unsaved = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
