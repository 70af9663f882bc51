"""The names in the directory of a rotating set, and what a listing of them means.

    lock                                   the append lock, the note of the last writer, the claim
    000000000000-000000000999.jsonl.zst    sealed and compressed: lines 0…999
    000000001000.jsonl                     sealed, for a higher number exists; not compressed yet
    000000002000.jsonl                     active: the highest number
    torn-000000002000-<offset>-<utc>       set aside by a repair
    .<name>.tmp                            being written by who holds the keeper's lock; dead otherwise

Whatever matches none of these is not ours and is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from iterlog.segments.packing import Codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MOST_VANISHED = 100
"""After so many listings of which a file was gone when looked at, something else removes files."""

LOCK_NAME = "lock"
TORN_PREFIX = "torn-"

_DIGITS = 12

NUMBERS_END = 10**_DIGITS
"""No file's name says a number from here on: a file that did would not be known as one of the set."""

_PLAIN = re.compile(rf"(\d{{{_DIGITS}}})\.jsonl", re.ASCII)
_CODEC_OF = {codec.suffix: codec for codec in Codec}
_SUFFIX = "|".join(map(re.escape, _CODEC_OF))
_SEALED = re.compile(rf"(\d{{{_DIGITS}}})-(\d{{{_DIGITS}}})\.jsonl({_SUFFIX})", re.ASCII)
_TEMPORARY = re.compile(rf"\.\d{{{_DIGITS}}}-\d{{{_DIGITS}}}\.jsonl({_SUFFIX})\.tmp", re.ASCII)


_FIRST = itemgetter(0)


class Part(NamedTuple):
    """One file of a set.

    Attributes:
        first: The number of its first line.
        end: The number behind its last line; None for the active file, whose end is not in any name.
        name: Its file name.
        codec: How it is compressed; None when it is plain.
    """

    first: int
    end: int | None
    name: str
    codec: Codec | None = None

    def holds_all_of(self, other: Part) -> bool:
        """Whether every line of another sealed file has its number in this sealed one, too."""
        return self.end is not None and other.end is not None and self.first <= other.first and other.end <= self.end


@dataclass(frozen=True)
class Listing:
    """What a directory held at one moment.

    Attributes:
        parts: The files that make the history, in order, each line in exactly one of them; the last is active.
        redundant: Files whose lines stand in a part as well, left by who died between two steps.
        dead: Temporary files.
        broken: Damaged files in whose place whole ones with the same lines are parts; see `iterlog.rotation.twins`.
        misnamed: Parts that hold fewer lines than their names say, and end here where their lines do.
    """

    parts: tuple[Part, ...]
    redundant: tuple[Part, ...]
    dead: tuple[str, ...]
    broken: tuple[Part, ...] = ()
    misnamed: tuple[Part, ...] = ()

    @property
    def active(self) -> Part | None:
        """The file that is appended to; None when there is none yet."""
        return self.parts[-1] if self.parts and self.parts[-1].end is None else None

    @property
    def sealed(self) -> tuple[Part, ...]:
        """All parts but the active one."""
        return tuple(part for part in self.parts if part.end is not None)

    @property
    def ends_at(self) -> int:
        """The number of the active file's first line; without one, the number behind the last line."""
        return self.active.first if self.active else max((part.end or 0 for part in self.parts), default=0)

    @property
    def is_without_gaps(self) -> bool:
        """Whether every line from number 0 on is in a part."""
        return self.begins_at == 0 and all(one.end == other.first for one, other in pairwise(self.parts))

    @property
    def begins_at(self) -> int:
        """The number of the first line that is kept; more than 0 once older ones were removed."""
        return self.parts[0].first if self.parts else 0

    def with_ends(self, ends: Mapping[str, int]) -> Listing:
        """Choose anew among the same files, as if the names of some compressed ones said other ends.

        One that ends where it begins is no part.
        """
        names = [part.name for part in (*self.parts, *self.redundant)]
        chosen = listing_of([*names, *self.dead], ends)
        return replace(chosen, misnamed=tuple(part for part in chosen.parts if part.name in ends))

    def holding(self, number: int) -> int | None:
        """Return the index of the part that holds a line, or will; None when it is in none."""
        index = self._starting_at_most(number)
        return index if index >= 0 and _reaches_behind(self.parts[index], number) else None

    def first_behind(self, number: int) -> Part | None:
        """Return the part with the first line behind a number, or where it will be; None when there is none."""
        index = self._starting_at_most(number)
        if index < 0 or not _reaches_behind(self.parts[index], number):
            index += 1
        return self.parts[index] if index < len(self.parts) else None

    def _starting_at_most(self, number: int) -> int:
        return bisect_right(self.parts, number, key=_FIRST) - 1


def _reaches_behind(part: Part, number: int) -> bool:
    return part.end is None or number < part.end


def plain_name(first: int) -> str:
    """Return the name of a plain file."""
    return f"{first:0{_DIGITS}d}.jsonl"


def sealed_name(first: int, end: int, codec: Codec) -> str:
    """Return the name of a compressed file with the lines from ``first`` up to, and without, ``end``."""
    return f"{first:0{_DIGITS}d}-{end - 1:0{_DIGITS}d}.jsonl{codec.suffix}"


def temporary_name(name: str) -> str:
    """Return the name under which a file is written before it is verified."""
    return f".{name}.tmp"


def torn_prefix(first: int) -> str:
    """Return how the names of what is set aside from a plain file begin."""
    return f"{TORN_PREFIX}{first:0{_DIGITS}d}"


def is_set(path: str) -> bool:
    """Whether a directory is a rotating set: whether it holds one of our files."""
    return any(_PLAIN.fullmatch(name) or _SEALED.fullmatch(name) for name in os.listdir(path))


def bytes_in(path: str) -> int:
    """Return what the files that make a history take on the disk, those together that one listing names.

    Raises:
        OSError: The directory cannot be read; FileNotFoundError when there is none, or a file is gone again and again.
    """
    for _ in range(_MOST_VANISHED):
        with contextlib.suppress(FileNotFoundError):  # compressed or merged meanwhile
            return sum(os.stat(os.path.join(path, part.name)).st_size for part in read_listing(path).parts)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def no_plain_file(path: str) -> str | None:
    """Return the name of what stands where a file of the set would and is none: a directory or a link, say; or None."""
    with os.scandir(path) as entries:
        for entry in entries:
            ours = entry.name == LOCK_NAME or any(
                pattern.fullmatch(entry.name) for pattern in (_PLAIN, _SEALED, _TEMPORARY)
            )
            # What was listed may be gone by now, and is no file then.
            if ours and not entry.is_file(follow_symlinks=False) and os.path.lexists(entry.path):
                return entry.name
    return None


def read_listing(path: str) -> Listing:
    """List a directory and choose the files that make the history.

    Raises:
        OSError: The directory cannot be read; FileNotFoundError when there is none.
    """
    return listing_of(os.listdir(path))


def listing_of(names: Iterable[str], ends: Mapping[str, int] = MappingProxyType({})) -> Listing:
    """Choose the files that make the history among those of some names.

    Args:
        names: What the directory holds.
        ends: Where some compressed files end, whatever their names say.
    """
    plain: dict[int, str] = {}
    # Ordered by the first line; at the same line the widest compressed file first, the plain one last.
    candidates: list[tuple[int, int, str, Codec | None]] = []
    dead = []
    without_lines: list[Part] = []
    for name in names:
        if match := _SEALED.fullmatch(name):
            first, named_end, codec = int(match[1]), int(match[2]) + 1, _CODEC_OF[match[3]]
            end = ends[name] if name in ends else named_end  # noqa: SIM401 - a call per file, each time a set is listed
            if end > first or name not in ends:
                candidates.append((first, -end, name, codec))
            else:
                without_lines.append(Part(first, named_end, name, codec))
        elif match := _PLAIN.fullmatch(name):
            plain[int(match[1])] = name
        elif _TEMPORARY.fullmatch(name):
            dead.append(name)
    firsts = sorted({*plain, *(candidate[0] for candidate in candidates)})
    sealed_end = max((-candidate[1] for candidate in candidates), default=0)
    following = dict(pairwise([*firsts, sealed_end]))
    active = max(plain, default=None)
    if active is not None and active < sealed_end:
        active = None  # it was removed by hand, and what is left was sealed
    candidates += [(first, 0 if first == active else -following[first], name, None) for first, name in plain.items()]
    chosen = _chosen(sorted(candidates, key=_PRECEDENCE), active, tuple(sorted(dead)))
    return replace(chosen, redundant=tuple(sorted((*chosen.redundant, *without_lines)))) if without_lines else chosen


_PRECEDENCE = itemgetter(0, 1, 2)


def _chosen(candidates: list[tuple[int, int, str, Codec | None]], active: int | None, dead: tuple[str, ...]) -> Listing:
    """Walk along the numbers; where a line stands in several files, the widest compressed one counts.

    A compressed file gets its name only once it was verified, so it may stand for the plain ones it was made of.
    """
    parts: list[Part] = []
    redundant: list[Part] = []
    reached = 0
    for first, negative_end, name, codec in candidates:
        is_active = codec is None and first == active
        part = Part(first, None if is_active else -negative_end, name, codec)
        if first >= reached or not parts:
            parts.append(part)
            reached = first if is_active else -negative_end
        else:
            redundant.append(part)
    return Listing(tuple(parts), tuple(redundant), dead)
