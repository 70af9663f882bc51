"""What a segment may cost its reader. Stored bytes are hostile: every bound is checked before anything grows past it.

What would break a bound is never sealed (its plain file stays), so nothing of ours becomes unreadable by them. In other
programs' files they only meet what no loop writes: a record has a number, a time and a measure that no other has.
"""

from __future__ import annotations

import sys

from iterlog.errors import CorruptionError

MAX_WINDOW = 1 << 27
"""Bytes a zstd frame may make its decoder keep: what ``zstd --long`` writes and every zstd reads."""

MAX_LINE = 1 << 26
"""Bytes of one line."""

FREE_PLAIN = 1 << 26
MAX_RATIO = 500
"""A segment may expand to `FREE_PLAIN` bytes and `MAX_RATIO` more per byte it has; ordinary ratios are 4 to 200."""

FREE_LINES = 100_000
"""A segment may have so many lines, and one more for each byte it has."""

MAX_EMPTY_PARTS = 1_000
"""Frames or members in a row that hold no plain bytes."""

MAX_FOOTER = 1 << 24
MAX_PLAIN_FOOTER = 1 << 26
"""Bytes of an encoded footer, compressed and not: some 200,000 records with six metrics."""


class BeyondLimitsError(CorruptionError):
    """The bytes may be whole, but reading them could take all memory or all day."""


class Budget:
    """What one pass over a segment has read and made of it; raises as soon as that is too much.

    Attributes:
        packed: Compressed bytes read.
        plain: Plain bytes made of them.
        lines: Lines found in those.
    """

    def __init__(self, packed: int = 0) -> None:
        self.packed = packed
        self.plain = 0
        self.lines = 0

    @classmethod
    def of_plain_file(cls) -> Budget:
        """Return one for bytes that are not compressed: only the length of a line is bounded."""
        return cls(packed=sys.maxsize)

    def spend(self, packed: int, plain: int) -> None:
        """Count bytes read and made.

        Raises:
            BeyondLimitsError: The segment expands too much.
        """
        self.packed += packed
        self.plain += plain
        if self.plain > FREE_PLAIN + MAX_RATIO * self.packed:
            raise BeyondLimitsError(
                f"{self.packed:,} compressed bytes became {self.plain:,}, more than {MAX_RATIO}-fold: a decompression "
                "bomb, most likely; if you trust it, decompress it yourself and read the plain file"
            )

    def count_line(self, size: int, lines: int = 1) -> None:
        """Count a line, or several, of at most some bytes.

        Raises:
            BeyondLimitsError: It is too long, or one too many.
        """
        self.check_line(size)
        self.lines += lines
        if not self.has_room_for(0):
            raise BeyondLimitsError(
                f"{self.packed:,} compressed bytes hold {self.lines:,} lines; no records become so small"
            )

    def has_room_for(self, lines: int) -> bool:
        """Whether so many lines may come."""
        return self.lines + lines <= FREE_LINES + self.packed

    @staticmethod
    def check_line(size: int) -> None:
        """Raise BeyondLimitsError when a line, or what there is of it so far, is too long."""
        if size > MAX_LINE:
            raise BeyondLimitsError(f"a line is longer than {MAX_LINE:,} bytes; no record is")
