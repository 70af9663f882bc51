"""Plain bytes into lines, many at a time, in bounded memory."""

from __future__ import annotations

import re
from itertools import accumulate, count, islice
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from iterlog.errors import CorruptionError
from iterlog.files.lines_of import CANCEL, WaitingLines, say_nothing
from iterlog.lines import MORE_KEY, MORE_WINDOW
from iterlog.segments.limits import BeyondLimitsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from iterlog.segments.limits import Budget

_PIECE = 1 << 18
"""How many bytes are split at a time: few enough to stay in the processor's cache."""

_TINY_LINE = 16
"""Of how many bytes lines are, at least, where they are worth splitting in one go: no record is shorter."""

_newlines = re.compile(rb"\n+").match


class LineBlock(NamedTuple):
    """Some lines in a row, none of them blank.

    Attributes:
        stops: The offset behind each line, to be read once.
        lines: The lines without their newlines.
        marked: Whether one of them may be part of an append of several lines, or take one back.
    """

    stops: Iterable[int]
    lines: list[bytes]
    marked: bool


def split_lines(chunks: Iterable[bytes], budget: Budget) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, without its newline, with the offset behind it; see `split_blocks`."""
    for block in split_blocks(chunks, budget):
        yield from zip(block.stops, block.lines, strict=True)


def split_blocks(chunks: Iterable[bytes], budget: Budget) -> Iterator[LineBlock]:
    """Yield all lines that are not blank.

    A last line that lacks its newline has the offset that it would have with one, as it has in the plain file, where
    the next append completes it.

    Args:
        chunks: The plain bytes, in order; when they raise, the lines whole by then have been yielded.
        budget: Counts the lines.

    Raises:
        BeyondLimitsError: A line is too long, or there are too many.
    """
    held: list[bytes] = []  # of a line whose newline has not come
    held_size = offset = 0
    for piece in _pieces(chunks):
        most = len(piece) // _TINY_LINE + 1
        lines = piece.split(b"\n", most)
        rest = lines.pop()
        if lines:
            if held:
                lines[0] = b"".join([*held, lines[0]])
            if len(lines) < most and _are_ordinary(lines, budget):
                stops = map(add, islice(accumulate(map(len, lines), initial=offset - held_size), 1, None), count(1))
                yield LineBlock(stops, lines, _is_marked(piece, lines))
            else:
                end = piece.rindex(b"\n") + 1
                yield from _one_by_one(b"".join([*held, piece[:end]]), offset - held_size, budget)
                rest = piece[end:]
            held, held_size = [], 0
        if rest:
            held.append(rest)
            held_size += len(rest)
            budget.check_line(held_size)
        offset += len(piece)
    if held:
        yield from _one_by_one(b"".join([*held, b"\n"]), offset - held_size, budget)


def whole_blocks(
    blocks: Iterable[LineBlock], on_unfinished: Callable[[int, int], None] = say_nothing
) -> Iterator[LineBlock]:
    """Yield the lines of appends that came to their end: `iterlog.files.lines_of.whole_appends`, many at a time."""
    waiting = WaitingLines(on_unfinished)
    try:
        for block in blocks:
            if block.marked or waiting.missing:
                yield from _block_of(waiting.passed(zip(block.stops, block.lines, strict=True)))
            else:
                yield block
    except CorruptionError:
        yield from _block_of(waiting.broken_off(by_damage=True))
        raise
    yield from _block_of(waiting.broken_off())


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if len(chunk) <= _PIECE:
            yield chunk
        else:
            for start in range(0, len(chunk), _PIECE):
                yield chunk[start : start + _PIECE]


def _are_ordinary(lines: list[bytes], budget: Budget) -> bool:
    """Whether none of some lines is blank, and none too many; if so they are counted."""
    if not all(lines) or not budget.has_room_for(len(lines)) or any(map(bytes.isspace, lines)):
        return False
    budget.count_line(len(lines[0]), len(lines))  # the others are shorter than a piece
    return True


def _is_marked(piece: bytes, lines: list[bytes]) -> bool:
    if CANCEL in piece or lines[0][-1] == CANCEL:  # the first line may have ended the piece before
        return True
    return any(MORE_KEY in line[MORE_WINDOW:] for line in lines)  # faster than a search of the whole piece


def _one_by_one(data: bytes, offset: int, budget: Budget) -> Iterator[LineBlock]:
    """Yield the lines of bytes that end with a newline: a million blank ones cost as much as one."""
    shown: list[tuple[int, bytes]] = []
    at = 0
    try:
        while at < len(data):
            if run := _newlines(data, at):
                at = run.end()
                continue
            cut = data.index(b"\n", at)
            budget.count_line(cut - at)
            line, at = data[at:cut], cut + 1
            if not line.isspace():
                shown.append((offset + at, line))
    except BeyondLimitsError:
        yield from _block_of(shown)
        raise
    yield from _block_of(shown)


def _block_of(shown: Iterable[tuple[int, bytes]]) -> Iterator[LineBlock]:
    pairs = list(shown)
    if pairs:
        yield LineBlock([stop for stop, _ in pairs], [line for _, line in pairs], marked=True)
