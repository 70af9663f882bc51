"""Reading one file of a set: plain or compressed, forwards or backwards, and its footer."""

from __future__ import annotations

import contextlib
import os
from itertools import chain
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError
from iterlog.files.durable import READ_FLAGS
from iterlog.files.lines_of import count_lines, last_append, lines_back, lines_forward
from iterlog.position import Position
from iterlog.segments.build import build_footer
from iterlog.segments.footer import HEAD_READ, read_footer, read_head
from iterlog.segments.limits import Budget
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import FileSource, blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.rotation.layout import Part
    from iterlog.segments.footer import SegmentFooter
    from iterlog.segments.head import FooterHead

_BLOCK = 1 << 18
"""How many bytes of a plain file's lines are given at a time, one line more than that at most."""


class PartReader:
    """Reads the files of a set one by one.

    Args:
        directory: The set's.
        url: How errors name the history.
        on_damage: Told of a file that is damaged, with the number behind its last line; may raise.
    """

    def __init__(self, directory: str, url: str, on_damage: Callable[[int, str], None]) -> None:
        self._directory = directory
        self.url = url
        self._on_damage = on_damage

    def summary(self, part: Part) -> FooterHead | SegmentFooter | None:
        """Return what a compressed file says of itself in short, None where there is nothing that can be read."""
        if part.codec is None:
            return None
        with self.opened(part) as descriptor:
            head = read_head(FileSource(descriptor))
        return head or self.stored_footer(part)

    def stored_footer(self, part: Part) -> SegmentFooter | None:
        """Return the footer that stands in a compressed file, None where there is none that can be read."""
        if part.codec is None:
            return None
        try:
            with self.opened(part) as descriptor:
                return read_footer(FileSource(descriptor), first_read=HEAD_READ)
        except CorruptionError:
            return None

    def made_footer(self, part: Part) -> SegmentFooter:
        """Return a sealed file's footer, made of its lines where none is stored."""
        footer = self.stored_footer(part)
        if footer is not None:
            return footer
        with self.opened(part) as descriptor:
            source = FileSource(descriptor)
            if part.codec is None:
                return build_footer(blocks_of(source), Budget.of_plain_file())
            return SealedSegment(source).footer_of_lines()

    def readable(self, part: Part) -> Iterator[tuple[int, bytes]]:
        """Yield the lines before a file's damage."""
        with self.opened(part) as descriptor, contextlib.suppress(CorruptionError):
            yield from SealedSegment(FileSource(descriptor)).lines()

    def part_forward(self, part: Part, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's lines behind a number, oldest first, each with its number; damage is told, not raised."""
        return chain.from_iterable(zip(*block, strict=True) for block in self.part_blocks(part, start))

    def part_blocks(self, part: Part, start: int) -> Iterator[tuple[Sequence[int], list[bytes]]]:
        """Yield what `part_forward` yields, many lines at a time, after their numbers."""
        number = part.first
        with self.opened(part) as descriptor:
            try:
                for lines in _blocks_of(part, descriptor):
                    reached = number + len(lines)
                    end = reached if part.end is None else min(reached, part.end)
                    if end > max(number, start):
                        skipped = max(start - number, 0)
                        yield range(number + skipped + 1, end + 1), lines[skipped : end - number]
                    if end < reached:
                        # A damaged byte that became a newline moves the lines behind it: none of them is left out.
                        if number <= end:
                            self._on_damage(end, f"{part.name} holds more lines than its name says")
                        if start < end:
                            surplus = lines[max(end - number, 0) :]
                            yield [end] * len(surplus), surplus
                    number = reached
            except CorruptionError as error:
                self._on_damage(part.end or number, f"{part.name} is damaged behind line {number:,}: {error.message}")
                return
        if part.end is not None and number < part.end:
            self._on_damage(part.end, f"{part.name} ends at line {number:,} and should end at {part.end:,}")
        elif number < start:
            raise CorruptionError(
                f"the history ends at {number:,}, before position {start:,}: it was cut or replaced",
                url=self.url,
                position=Position.of(start),
            )

    def part_backward(self, part: Part) -> Iterator[tuple[int, bytes]]:
        """Yield what `part_forward` yields of the whole file, newest first."""
        with self.opened(part) as descriptor:
            if part.codec is None:
                end = last_append(descriptor)[2]
                count = count_lines(descriptor, 0, end)
                lines = lines_back(descriptor, end)
            else:
                held = [line for _, block in self.part_blocks(part, part.first) for line in block]
                count = len(held)
                lines = ((0, line) for line in reversed(held))
            for number, (_, line) in zip(range(part.first + count, part.first, -1), lines, strict=False):
                yield number if part.end is None else min(number, part.end), line

    @contextlib.contextmanager
    def opened(self, part: Part) -> Iterator[int]:
        """Open a file for a while; FileNotFoundError when its lines stand in another one by now."""
        descriptor = os.open(os.path.join(self._directory, part.name), READ_FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _blocks_of(part: Part, descriptor: int) -> Iterator[list[bytes]]:
    """Yield the lines of a file, many at a time."""
    if part.codec is not None:
        for block in SealedSegment(FileSource(descriptor)).blocks():
            yield block.lines
        return
    lines: list[bytes] = []
    size = 0
    for _, line in lines_forward(descriptor, 0, last_append(descriptor)[2], _ignore):
        lines.append(line)
        size += len(line)
        if size > _BLOCK:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


def _ignore(_offset: int, _count: int) -> None:
    """Nothing acknowledged is in an append that never came to its end."""
