"""Reading one file of a set: plain or compressed, forwards or backwards, and its footer."""

from __future__ import annotations

import contextlib
import os
from collections import deque
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
        """Return what a compressed file says of itself in short, None as `stored_footer`."""
        if part.codec is None:
            return None
        with self.opened(part) as descriptor:
            head = read_head(FileSource(descriptor))
        if head is None:
            return self.stored_footer(part)
        return head if head.begins_at in {None, part.first} else None

    def stored_footer(self, part: Part) -> SegmentFooter | None:
        """Return the footer that stands in a compressed file, None where there is none that can be read, or another's.

        A footer that names another place than the file's name does is that of a file that was copied or renamed.
        """
        if part.codec is None:
            return None
        try:
            with self.opened(part) as descriptor:
                footer = read_footer(FileSource(descriptor), first_read=HEAD_READ)
        except CorruptionError:
            return None
        return footer if footer is not None and footer.begins_at in {None, part.first} else None

    def made_footer(self, part: Part) -> SegmentFooter:
        """Return a sealed file's footer, made of its lines where none is stored.

        Raises:
            CorruptionError: Its lines are damaged, or another file's.
        """
        footer = self.stored_footer(part)
        if footer is not None:
            return footer
        with self.opened(part) as descriptor:
            if part.codec is None:
                return build_footer(blocks_of(FileSource(descriptor)), Budget.of_plain_file())
            return self.segment(part, descriptor).footer_of_lines()

    def segment(self, part: Part, descriptor: int) -> SealedSegment:
        """Return a compressed file that is open, as a segment.

        Raises:
            CorruptionError: It was sealed as another file than its name says: copied or renamed since.
        """
        segment = SealedSegment(FileSource(descriptor))
        begins_at = segment.begins_at()
        if begins_at not in {None, part.first}:
            raise CorruptionError(
                f"{part.name} is not read: it was sealed as the file that begins at line {begins_at:,}; give it that "
                "name back, and restore what stood here from a copy",
                url=self.url,
            )
        return segment

    def readable(self, part: Part) -> Iterator[tuple[int, bytes]]:
        """Yield the lines before a file's damage, whatever their place."""
        with self.opened(part) as descriptor, contextlib.suppress(CorruptionError):
            yield from SealedSegment(FileSource(descriptor)).lines()

    def all_lines(self, part: Part) -> Iterator[bytes]:
        """Yield every line of a file, oldest first.

        Raises:
            CorruptionError: It is damaged, or another's.
        """
        with self.opened(part) as descriptor:
            for lines in self._blocks_of(part, descriptor):
                yield from lines

    def part_forward(self, part: Part, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's lines behind a number, oldest first, each with its number; damage is told, not raised."""
        return chain.from_iterable(zip(*block, strict=True) for block in self.part_blocks(part, start))

    def part_blocks(self, part: Part, start: int) -> Iterator[tuple[Sequence[int], list[bytes]]]:
        """Yield what `part_forward` yields, many lines at a time, after their numbers."""
        number = part.first
        with self.opened(part) as descriptor:
            try:
                blocks = self._blocks_of(part, descriptor)
            except CorruptionError as error:
                self._on_damage(part.end or number, error.message)
                return
            for lines in _up_to_damage(blocks):
                if isinstance(lines, CorruptionError):
                    detail = f"{part.name} is damaged behind line {number:,}: {lines.message}"
                    self._on_damage(part.end or number, detail)
                    return
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
        if part.end is not None and number < part.end:
            self._on_damage(part.end, f"{part.name} ends at line {number:,} and should end at {part.end:,}")
        elif number < start:
            raise CorruptionError(
                f"the history ends at {number:,}, before position {start:,}: it was cut or replaced",
                url=self.url,
                position=Position.of(start),
            )

    def unfinished_in(self, part: Part) -> Iterator[tuple[int, int]]:
        """Yield where appends that never came to their end stand: behind which line's number, and how many lines."""
        waiting: deque[tuple[int, int]] = deque()  # the offset behind each, and its lines; known before those around it
        number = part.first

        def note(stop: int, count: int) -> None:
            waiting.append((stop, count))

        with self.opened(part) as descriptor, contextlib.suppress(CorruptionError):  # which reading tells of
            lines = (
                lines_forward(descriptor, 0, last_append(descriptor)[2], note)
                if part.codec is None
                else SealedSegment(FileSource(descriptor)).lines(on_unfinished=note)
            )
            for offset, _ in lines:
                while waiting and waiting[0][0] < offset:
                    yield number, waiting.popleft()[1]
                number += 1
        yield from ((number, count) for _, count in waiting)

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

    def _blocks_of(self, part: Part, descriptor: int) -> Iterator[list[bytes]]:
        """Return an iterator over the lines of a file, many at a time; raises what `segment` raises."""
        if part.codec is None:
            return _plain_blocks(descriptor)
        return (block.lines for block in self.segment(part, descriptor).blocks())

    @contextlib.contextmanager
    def opened(self, part: Part) -> Iterator[int]:
        """Open a file for a while; FileNotFoundError when its lines stand in another one by now."""
        descriptor = os.open(os.path.join(self._directory, part.name), READ_FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _up_to_damage(blocks: Iterator[list[bytes]]) -> Iterator[list[bytes] | CorruptionError]:
    """Yield blocks, and last what damage ends them, so that what who reads them raises is not taken for that."""
    try:
        yield from blocks
    except CorruptionError as error:
        yield error


def _plain_blocks(descriptor: int) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    size = 0
    for _, line in lines_forward(descriptor, 0, last_append(descriptor)[2]):
        lines.append(line)
        size += len(line)
        if size > _BLOCK:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines
