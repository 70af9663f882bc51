"""The store behind a spool, as one handle that may be away.

It is opened on first use and again when it has to be; whether it can be reached is noted here, logged once when it goes
and once when it is back.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, TypeVar

from iterlog.abilities import SupportsClaim, SupportsFence
from iterlog.errors import ConflictError, HistoryClosedError, HistoryNotFoundError, IterlogError, UnavailableError
from iterlog.reader import logger
from iterlog.reports import SpoolState

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.reports import Dropped
    from iterlog.spool.files import SpoolFiles
    from iterlog.store import HistoryStore

_T = TypeVar("_T")


class Target:
    """The store of one spooled history.

    Args:
        open_store: Opens it.
        files: The spool, which is told when the store has become another.
        url: How logs name the history.
        on_away: Called when the store goes away, so that somebody tries it until it is back.
    """

    def __init__(
        self, open_store: Callable[[], HistoryStore], files: SpoolFiles, url: str, on_away: Callable[[], None]
    ) -> None:
        self._open_store = open_store
        self._on_away = on_away
        self._files = files
        self._url = url
        self._lock = threading.RLock()
        self._store: HistoryStore | None = None
        self._closed = False
        self.in_charge = False
        """Whether this handle runs the loop."""
        self._is_charged = False  # and the store knows
        self._told = 0  # how many of the store's dropped bytes were told
        self.state = SpoolState.THROUGH
        self.since = dt.datetime.now(dt.UTC)
        self.error: Exception | None = None
        self.reopened = False
        """Whether the handle was let go since the store last took something."""

    @property
    def reachable(self) -> bool:
        """Whether nothing is known to be wrong with it."""
        return self.state is SpoolState.THROUGH

    def opened(self) -> HistoryStore:
        """Return the open store.

        Raises:
            UnavailableError: It cannot be reached. Else what opening it raises.
        """
        with self._lock:
            if self._store is None:
                if self._closed:
                    raise HistoryClosedError("this history was closed; open it again", url=self._url)
                store = self._open_store()
                try:
                    self._files.adopt(type(store).__name__)
                except BaseException:
                    store.close()
                    raise
                self._store, self._told, self._is_charged = store, 0, False
            return self._store

    def be_in_charge(self) -> None:
        """Claim the store or take it over, or, while it is away, have that done when it is back.

        Raises:
            ConflictError: Another loop runs on it.
        """
        self.in_charge = True
        if not self.reachable:
            return
        try:
            self._take_charge(self.opened())
        except OSError as error:
            self.failed(error)
        except BaseException:
            self.in_charge = False
            raise

    def settle_charge(self, store: HistoryStore, is_unchanged: Callable[[], bool]) -> None:
        """Claim the store, or take it over, if this handle runs the loop and could not do so yet.

        Args:
            store: The open store.
            is_unchanged: Says whether nobody has appended to it behind this loop's back: then nobody is overrun who
                took it over while it was away from here.

        Raises:
            ConflictError: Another loop runs on it.
        """
        if not self.in_charge or self._is_charged:
            return
        if isinstance(store, SupportsFence) and not is_unchanged():
            raise ConflictError(
                "others have appended to the store while it was away from here, so this loop may have been replaced; "
                "if it was not, open the history again",
                url=self._url,
            )
        self._take_charge(store)

    def _take_charge(self, store: HistoryStore) -> None:
        with self._lock:
            if isinstance(store, SupportsClaim):
                store._claim()  # noqa: SLF001 - a spool stands where the users' half of the interface does
            if isinstance(store, SupportsFence):
                store._take_over()  # noqa: SLF001 - as above
            self._is_charged = True

    def asked(self, question: Callable[[HistoryStore], _T]) -> _T:
        """Ask the store something, and note whether it answered.

        Raises:
            UnavailableError: It did not.
        """
        try:
            answer = question(self.opened())
        except IterlogError as error:
            if isinstance(error, UnavailableError):
                self.failed(error)
            raise
        except OSError as error:
            self.failed(error)
            raise UnavailableError(f"the store cannot be read: {error}", url=self._url, errno=error.errno) from error
        if self.state is SpoolState.AWAY:
            self.worked()
        return answer

    def dropped(self) -> list[Dropped]:
        """Return what the store has set aside since this was asked last."""
        with self._lock:
            dropped = self._store._dropped[self._told :] if self._store else []  # noqa: SLF001 - as above
            self._told += len(dropped)
        return dropped

    def failed(self, error: Exception) -> None:
        """Note that the store is away, or refuses for ever; the first time it is logged."""
        away = isinstance(error, OSError) and not isinstance(error, HistoryNotFoundError)
        state = SpoolState.AWAY if away else SpoolState.STUCK
        with self._lock:
            self.error = error
            if self.state is state:
                return
            self.state, self.since = state, dt.datetime.now(dt.UTC)
        if state is SpoolState.AWAY:
            logger.warning(
                "%s: the store is away, records are kept in the spool %s until it is back: %s",
                self._url,
                self._files.path,
                error,
            )
            self._on_away()
        else:
            logger.error(
                "%s: the store refuses what waits in the spool %s, and waiting will not mend it; nothing is lost: %s",
                self._url,
                self._files.path,
                error,
            )

    def worked(self) -> None:
        """Note that the store took what waited."""
        with self._lock:
            self.reopened = False
            before, self.error = self.state, None
            if before is SpoolState.THROUGH:
                return
            away = dt.datetime.now(dt.UTC) - self.since
            self.state, self.since = SpoolState.THROUGH, dt.datetime.now(dt.UTC)
        logger.warning("%s: the store is back after %.0f s", self._url, away.total_seconds())

    def let_go(self) -> None:
        """Close the handle, which may be of no more use; the next question opens another one."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except (IterlogError, OSError) as error:
                logger.warning("%s: closing the store: %s", self._url, error)

    def close(self) -> None:
        """Close the store for good."""
        self._closed = True
        self.let_go()

    def forget(self) -> None:
        """Start anew in a forked child."""
        self._lock = threading.RLock()
