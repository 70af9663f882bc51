"""What some stores can do beyond appending and reading, found by ``isinstance``.

Numbering, claim, fence and spool are for loops that append and resume; segments and rotation for whole-history work;
request counts for who pays for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.position import Durability, Position
    from iterlog.reports import FileChange, Requests, SpoolStatus
    from iterlog.segments.footer import SegmentFooter

__all__ = [
    "SupportsClaim",
    "SupportsFence",
    "SupportsNumbering",
    "SupportsRequestCounts",
    "SupportsRotation",
    "SupportsSegments",
    "SupportsSpool",
]


class SupportsNumbering(ABC):
    """A store that can hand out iteration numbers, to any number of writers, none of them twice."""

    @abstractmethod
    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        """Append ``make(n)``, ``n`` being the first free number, with no other append coming between.

        ``make`` may be called again with another number until the append succeeds.
        """


class SupportsClaim(ABC):
    """A store that can be claimed by one running loop at a time."""

    @abstractmethod
    def _claim(self) -> None:
        """Claim the history for this handle until it is closed or its process ends; again by the same handle is fine.

        Raises:
            ConflictError: Another handle holds the claim; the message names the process, the host and since when.
        """


class SupportsFence(ABC):
    """A store where a loop takes the history over from the one before it, which may still run on another machine."""

    @abstractmethod
    def _take_over(self) -> None:
        """Make sure that no handle that took the history over before this one stores anything more.

        An append of such a handle raises ConflictError from now on. Again by the same handle is fine. Appends of
        handles that never took it over go on.

        Raises:
            ConflictError: Another handle took it over since this one did.
        """


class SupportsRequestCounts(ABC):
    """A store that is asked over a network, request by request, and counts them."""

    @abstractmethod
    def stats(self) -> Requests:
        """Return what this handle asked of its store so far: requests, bytes, objects."""


class SupportsSegments(ABC):
    """A store whose older records stand in sealed segments, each with an index of its metrics."""

    @property
    @abstractmethod
    def begins_at(self) -> Position:
        """The position before the first record that is kept; later than the beginning once retention removed some."""

    @abstractmethod
    def footers(self) -> Iterator[tuple[Position, SegmentFooter]]:
        """Yield each sealed part's footer, its metric index, oldest first, with the position before the part.

        Raises:
            CorruptionError: A part without a footer is damaged, so that none can be made.
        """

    @abstractmethod
    def compact(self, *, recompress: bool = False, dry_run: bool = False) -> Iterator[FileChange]:
        """Merge small sealed parts, and give footers to those without; yield each new part when it is done.

        Args:
            recompress: Rewrite every sealed part at this history's codec and level.
            dry_run: Only say what would be done.

        Raises:
            ConflictError: Another process is at it and did not come to its end within a minute.
            UnavailableError: The storage refused; the parts that were not yielded are still there.
            UnsupportedOperationError: ``recompress``, where a sealed part is never changed.
        """


class SupportsRotation(SupportsSegments):
    """A store made of sealed parts and one that is appended to.

    What these methods do changes no record's position. A part is a step: what was yielded is done, whatever becomes of
    the rest, and whoever comes next goes on from there.
    """

    @abstractmethod
    def seal(self) -> bool:
        """Seal the part that is appended to now; return whether it held anything.

        Raises:
            UnavailableError: The storage refused; the next append goes on as before.
        """

    @abstractmethod
    def compress(self) -> Iterator[FileChange]:
        """Compress the sealed parts that are plain; yield each when it is done.

        Raises:
            ConflictError: Another process is at it and did not come to its end within a minute.
            UnavailableError: The storage refused; the plain part is still there.
        """

    @abstractmethod
    def prune(self, *, dry_run: bool = False) -> Iterator[FileChange]:
        """Remove the oldest sealed parts beyond what the history's options say is to be kept; yield each.

        Readers that have not come so far are told: see `iterlog.HistoryStore.read`.

        Args:
            dry_run: Only say what would be removed.

        Raises:
            ConflictError: As `compress`.
            UnavailableError: The storage refused; what was not yielded is still there.
        """


class SupportsSpool(ABC):
    """A store behind a local spool: opened with ``spool=``."""

    @property
    @abstractmethod
    def spool(self) -> SpoolStatus:
        """How the spool stands: what waits, since when, and why."""

    @abstractmethod
    def drain(self, on_drained: Callable[[int], None] = lambda _lines: None) -> SpoolStatus:
        """Bring everything that waits into the store, now and in this thread; return how the spool stands then.

        Args:
            on_drained: Told the number of lines of each append that is through.

        Raises:
            UnavailableError: The store is away; what waits goes on waiting. Else what the store refuses with.
        """
