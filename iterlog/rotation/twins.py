"""Files of a set that hold the same lines: which of them is whole, and whether one really holds what the other does.

Whoever dies between two steps of compressing or merging leaves files beside the one that was made of them. That one was
proven before it got its name, so it counts; but where it was damaged since, the others still have its lines.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError
from iterlog.rotation.layout import Listing, Part

if TYPE_CHECKING:
    from iterlog.rotation.parts import PartReader


class Twins:
    """Compares files that hold the same lines; what was found whole is remembered while it does not change.

    Args:
        directory: The set's.
        reader: Reads its files.
    """

    def __init__(self, directory: str, reader: PartReader) -> None:
        self._directory = directory
        self._reader = reader
        self._known: dict[str, tuple[tuple[int, ...], bool]] = {}

    def chosen(self, listing: Listing) -> Listing:
        """Return a listing in which whole files stand in for damaged ones.

        Raises:
            OSError: A file is gone, or cannot be read.
        """
        if not listing.redundant:
            return listing
        parts: list[Part] = []
        broken: list[Part] = []
        for part in listing.parts:
            instead = self._instead_of(part, listing.redundant)
            parts += instead or [part]
            broken += [part] if instead else []
        redundant = tuple(part for part in listing.redundant if part not in parts)
        return Listing(tuple(parts), redundant, listing.dead, tuple(broken))

    def is_whole(self, part: Part) -> bool:
        """Whether a sealed file holds as many lines as its name says, none of them beyond damage to the file."""
        status = os.stat(os.path.join(self._directory, part.name))
        state = (part.first, part.end or 0, status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._known.get(part.name)
        if known is None or known[0] != state:
            try:
                known = state, part.first + sum(1 for _ in self._reader.all_lines(part)) == part.end
            except CorruptionError:
                known = state, False
            self._known[part.name] = known
        return known[1]

    def stands_in(self, part: Part, other: Part) -> bool:
        """Whether every line of a file stands, at its number, in another one, which is whole."""
        if not self.is_whole(other):
            return False
        theirs = islice(self._reader.all_lines(other), part.first - other.first, None)
        try:
            return all(line == next(theirs, None) for line in self._reader.all_lines(part))
        except CorruptionError:
            return False

    def _instead_of(self, part: Part, redundant: tuple[Part, ...]) -> list[Part]:
        """Return the whole files that have all lines of a damaged one; none when it is whole, or some are missing."""
        others = [other for other in redundant if part.holds_all_of(other)]
        if not others or self.is_whole(part):
            return []
        instead: list[Part] = []
        reached = part.first
        for other in others:
            if other.first == reached and other.end is not None and self.is_whole(other):
                instead.append(other)
                reached = other.end
        return instead if reached == part.end else []
