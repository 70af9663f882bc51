"""What some stores can do beyond appending and reading, found by ``isinstance``.

The abilities that appending and resuming need, `iterlog.SupportsNumbering` and `iterlog.SupportsClaim`, stand beside
`iterlog.HistoryStore`; these here are for whole-history work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog.position import Position
    from iterlog.rotation.keeping import Kept
    from iterlog.segments.footer import SegmentFooter

__all__ = ["SupportsRotation"]


class SupportsRotation(ABC):
    """A store made of sealed parts and one that is appended to.

    What these methods do changes no record's position. A part is a step: what was yielded is done, whatever becomes of
    the rest, and whoever comes next goes on from there.
    """

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
    def seal(self) -> bool:
        """Seal the part that is appended to now; return whether it held anything.

        Raises:
            UnavailableError: The storage refused; the next append goes on as before.
        """

    @abstractmethod
    def compress(self) -> Iterator[Kept]:
        """Compress the sealed parts that are plain; yield each when it is done.

        Raises:
            UnavailableError: The storage refused; the plain part is still there.
        """

    @abstractmethod
    def prune(self, *, dry_run: bool = False) -> Iterator[Kept]:
        """Remove the oldest sealed parts beyond what the history's options say is to be kept; yield each.

        Args:
            dry_run: Only say what would be removed.
        """

    @abstractmethod
    def compact(self, *, recompress: bool = False, dry_run: bool = False) -> Iterator[Kept]:
        """Merge small sealed parts, and give footers to those without; yield each new part when it is done.

        Args:
            recompress: Rewrite every sealed part at this history's codec and level.
            dry_run: Only say what would be done.

        Raises:
            UnsupportedOperationError: Another process is at it.
        """
