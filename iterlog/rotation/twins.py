"""Files of a set that hold the same lines: which of them is whole, and whether one really holds what the other does.

Whoever dies between two steps of compressing or merging leaves files beside the one that was made of them. That one was
proven before it got its name, so it counts; but where it was damaged since, the others still have its lines. And a file
that somebody gave a name that says too much stands in nobody's place but where its own lines are.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError

if TYPE_CHECKING:
    from iterlog.rotation.layout import Listing, Part
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
        self._known: dict[str, tuple[tuple[int, ...], int, bool]] = {}

    def chosen(self, listing: Listing) -> Listing:
        """Return a listing in which whole files stand in for damaged ones.

        Raises:
            OSError: A file is gone, or cannot be read.
        """
        ends: dict[str, int] = {}
        while listing.redundant:
            found = ((part.name, self._end_of(part, listing.redundant)) for part in listing.parts)
            too_far = {name: end for name, end in found if end is not None}
            if not too_far:
                return self._whole_ones(listing)
            ends |= too_far
            listing = listing.with_ends(ends)
        return listing

    def _whole_ones(self, listing: Listing) -> Listing:
        parts: list[Part] = []
        broken: list[Part] = []
        for part in listing.parts:
            instead = self._instead_of(part, listing.redundant)
            parts += instead or [part]
            broken += [part] if instead else []
        redundant = tuple(part for part in listing.redundant if part not in parts)
        return replace(listing, parts=tuple(parts), redundant=redundant, broken=tuple(broken))

    def is_whole(self, part: Part) -> bool:
        """Whether a sealed file holds as many lines as its name says, none of them beyond damage to the file."""
        count, damaged = self._read(part)
        return not damaged and part.first + count == part.end

    def stands_in(self, part: Part, other: Part) -> bool:
        """Whether every line of a file stands, at its number, in another one, which is whole."""
        if not self.is_whole(other):
            return False
        theirs = islice(self._reader.all_lines(other), part.first - other.first, None)
        try:
            return all(line == next(theirs, None) for line in self._reader.all_lines(part))
        except CorruptionError:
            return False

    def _end_of(self, part: Part, redundant: tuple[Part, ...]) -> int | None:
        """Return where a file's lines end, when its name says more and stands in the way of others; else None."""
        named_end = part.end or 0
        in_the_way = any(part.first <= other.first < named_end for other in redundant)
        if part.codec is None or not in_the_way or self.is_whole(part) or self._instead_of(part, redundant):
            return None
        end = part.first + self._read(part)[0]
        return end if end < named_end else None

    def _read(self, part: Part) -> tuple[int, bool]:
        """Return how many lines of a file can be read, and whether damage ends them."""
        status = os.stat(os.path.join(self._directory, part.name))
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if part.name not in self._known or self._known[part.name][0] != state:
            count, damaged = 0, False
            try:
                for _ in self._reader.all_lines(part):
                    count += 1
            except CorruptionError:
                damaged = True
            self._known[part.name] = state, count, damaged
        return self._known[part.name][1:]

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
