"""A copy kept up through outages: opened when there is something to do, let go of after a failure, opened again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from iterlog.copying.bookmarks import BookmarkFile
from iterlog.copying.follower import Follower
from iterlog.errors import IterlogError
from iterlog.places import place_of
from iterlog.position import START, Position
from iterlog.reader import logger
from iterlog.registry import open_parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.store import HistoryStore
    from iterlog.url import HistoryURL

_SHORTEST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0


class Chase:
    """Follows one source with one destination.

    Attributes:
        url: The destination's URL, for messages.
        follower: The one at work; None before the destination was reached and after a failure.

    Args:
        source: The source's URL, without symbolic links or as it was given.
        destination: The destination's.
        on_copied: As of `Follower`.
    """

    def __init__(
        self, source: HistoryURL, destination: HistoryURL, on_copied: Callable[[int], None] = lambda _lines: None
    ) -> None:
        self.url = str(destination)
        self.follower: Follower | None = None
        self._destination_url = destination
        self._store: HistoryStore | None = None
        self._bookmarks = BookmarkFile(place_of(source), place_of(destination))
        self._on_copied = on_copied

    @property
    def position(self) -> Position:
        """The position in the source up to which the destination is known to hold everything."""
        if self.follower is not None:
            return self.follower.position
        noted = self._bookmarks.read()
        return noted.position if noted is not None else START

    def catch_up(self, source: HistoryStore, keep_on: Callable[[], bool] = lambda: True) -> int:
        """Copy what stands behind; return how many lines it was.

        Whatever is raised, the destination was let go of, and the next call opens it again and looks where it stands.
        """
        try:
            if self._store is None:
                self._store = open_parsed(self._destination_url)
            if self.follower is None:
                self.follower = Follower(source, self._store, self._bookmarks, self._on_copied)
            return self.follower.catch_up(source, keep_on)
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        """Close the destination; what fails there was made durable before or is copied again."""
        store, self._store, self.follower = self._store, None, None
        if store is not None:
            try:
                store.close()
            except (IterlogError, OSError) as error:
                logger.debug("%s: closing failed: %s", self.url, error)

    def forget(self) -> None:
        """In a forked child: leave the destination to the parent, and begin anew."""
        self._store, self.follower = None, None


class BackOff:
    """How long to wait after a failure: longer each time, until it works for a while."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._failed_at = 0.0

    def pause_s(self) -> float:
        """Return how many seconds to wait after the failure that has just happened."""
        now = time.monotonic()
        lasting = now - self._failed_at <= 2 * self._pause_s
        self._failed_at = now
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2) if lasting else _SHORTEST_PAUSE_S
        return self._pause_s
