"""Reading a sealed segment, whoever made it."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from iterlog.errors import ConfigError, CorruptionError
from iterlog.files.lines_of import say_nothing, whole_appends
from iterlog.segments.build import build_footer
from iterlog.segments.footer import read_footer, read_head
from iterlog.segments.limits import Budget
from iterlog.segments.packing import unpacked
from iterlog.segments.splitting import split_blocks, split_lines, whole_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.segments.footer import SegmentFooter
    from iterlog.segments.source import Source
    from iterlog.segments.splitting import LineBlock

WINDOW_BACK = 1 << 26
"""How many bytes of lines are kept in memory while reading backwards; a longer segment is decoded once per window."""

_LINE_OVERHEAD = 100


class SealedSegment:
    """The lines of a segment, as the plain file had them: the same lines at the same offsets.

    Nothing here needs a footer, so every zstd or gzip file of lines reads. Where the bytes are damaged, the lines
    before the damage come first, then a CorruptionError. Until the end of a frame its checksum proves nothing: a line
    that comes before is as good as its own checksum.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def footer(self) -> SegmentFooter | None:
        """Read the footer; see `iterlog.segments.footer.read_footer`."""
        return read_footer(self._source)

    def begins_at(self) -> int | None:
        """Return the number that the footer gives the first line; None when none says, or it is damaged."""
        head = read_head(self._source)  # footers that say it have one
        return None if head is None else head.begins_at

    def footer_of_lines(self) -> SegmentFooter:
        """Make the footer that this segment should have of its lines: for foreign and damaged ones.

        Raises:
            CorruptionError: The lines are damaged too.
        """
        budget = Budget()
        return build_footer(unpacked(self._source, budget), budget)

    def chunks(self) -> Iterator[bytes]:
        """Yield the plain bytes in chunks of at most 16 MiB.

        Raises:
            CorruptionError: The segment is damaged, or reading it would cost too much.
        """
        return unpacked(self._source, Budget())

    def lines(
        self, start: int = 0, on_unfinished: Callable[[int, int], None] = say_nothing
    ) -> Iterator[tuple[int, bytes]]:
        """Yield each line behind an offset in the plain bytes, oldest first, with the offset after it.

        Args:
            start: 0, or an offset that came with a line.
            on_unfinished: Called with the offset behind an append that is not whole and the number of its lines.

        Raises:
            ConfigError: No line ends at ``start``.
            CorruptionError: The segment is damaged, ends before ``start``, or would cost too much.
        """
        if start:
            return whole_appends(self._lines_from(start), on_unfinished)
        return chain.from_iterable(zip(block.stops, block.lines, strict=True) for block in self.blocks(on_unfinished))

    def blocks(self, on_unfinished: Callable[[int, int], None] = say_nothing) -> Iterator[LineBlock]:
        """Yield what `lines` yields, many lines at a time: several times as fast; raises what `lines` raises."""
        budget = Budget()
        return whole_blocks(split_blocks(unpacked(self._source, budget), budget), on_unfinished)

    def lines_back(self, on_damage: Callable[[CorruptionError], None] | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield what `lines` yields, newest first.

        Args:
            on_damage: Called with what `lines` would raise, before the lines that can be read; None: raise.

        Raises:
            CorruptionError: The segment is damaged, and ``on_damage`` is None.
        """
        end: int | None = None
        while True:
            held: deque[tuple[int, bytes]] = deque()
            size = 0
            try:
                for stop, line in self.lines():
                    if end is not None and stop >= end:
                        break
                    held.append((stop, line))
                    size += len(line) + _LINE_OVERHEAD
                    while size > WINDOW_BACK and len(held) > 1:
                        size -= len(held.popleft()[1]) + _LINE_OVERHEAD
            except CorruptionError as error:
                if on_damage is None:
                    raise
                if end is None:
                    on_damage(error)
            if not held:
                return
            yield from reversed(held)
            end = held[0][0]

    def line(self, number: int) -> bytes:
        """Return one of the lines that `lines` yields, counted from 0, proven by the frame's checksum.

        Raises:
            IndexError: There are not so many.
            CorruptionError: The segment is damaged.
        """
        found, before = None, 0
        for block in self.blocks():  # to the end: the checksum stands there
            if before <= number < before + len(block.lines):
                found = block.lines[number - before]
            before += len(block.lines)
        if found is None:
            raise IndexError(f"the segment has no line {number}")
        return found

    def _lines_from(self, start: int) -> Iterator[tuple[int, bytes]]:
        budget = Budget()
        lines = split_lines(unpacked(self._source, budget), budget)
        stop = 0
        for stop, line in lines:
            if stop > start:
                if stop - len(line) - 1 < start:
                    raise ConfigError(f"position {start} is not one of this history: no line ends there")
                yield stop, line
                yield from lines
                return
        if start > max(stop, budget.plain):
            raise CorruptionError(f"the segment ends at {budget.plain:,}, before position {start:,}")
