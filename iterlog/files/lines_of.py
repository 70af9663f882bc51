"""Reading the lines of a file, forwards and backwards, without a lock and without ever showing half an append.

A missing newline at the end means an append in flight to a reader and a crash only to who holds the lock, so readers
stop at the last newline. Lines of an append of several records say how many follow (see `iterlog.lines`); where those
do not follow, the append never came to its end and its lines are passed over; so is what a writer that may not cut the
file (``chattr +a``) has ended with the byte `CANCEL`. A damaged line costs itself only: it may be one line of an append
or, where a newline was damaged, several, so its neighbours get the benefit of the doubt.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError
from iterlog.files.durable import READ_FLAGS
from iterlog.lines import MORE_KEY, MORE_WINDOW, lines_to_follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CANCEL = 0x18
"""ASCII's "cancel": the byte before the newline of what is left of an append that could not be taken back."""

_BLOCK = 1 << 18
_NEWLINE = 10
_FIRST_BLOCK_BACK = 1 << 14
_COUNT_BLOCK = 1 << 16
_CRC_AT = -len(b',"crc":"01234567"}')


def say_nothing(_stop: int, _count: int) -> None:
    """Pass over an append that never came to its end: nothing in it was acknowledged."""


def last_newline(descriptor: int, size: int) -> int:
    """Return the offset behind the last newline within the first ``size`` bytes, 0 when there is none."""
    end, step = size, _FIRST_BLOCK_BACK
    while end > 0:
        start = max(0, end - step)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end, step = start, min(step * 2, _BLOCK)
    return 0


def last_append(descriptor: int) -> tuple[int, int, int]:
    """Return the size of a file, the offset behind its last newline, and the one behind its last whole append.

    Nobody changes what stands before the last of them. What stands behind it another process may be taking out of the
    file, and writing anew, while we look.
    """
    while True:
        size = os.fstat(descriptor).st_size
        newline = last_newline(descriptor, size)
        end = next((stop for stop, _ in lines_back(descriptor, newline)), 0)
        if not newline or os.pread(descriptor, 1, newline - 1) == b"\n":
            return size, newline, end


def count_lines(descriptor: int, start: int, end: int) -> int:
    """Count what `lines_forward` yields between two offsets; mostly without looking at each line."""
    count, offset, rest = 0, start, b""
    missing: int | None = 0
    while offset < end and missing is not None:
        block = os.pread(descriptor, min(_COUNT_BLOCK, end - offset), offset)
        offset += len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        missing = _missing_behind(lines, missing) if block else None
        count += len(lines)
    if missing != 0:
        return sum(1 for _ in lines_forward(descriptor, start, end))
    return count


def count_lines_in(path: str) -> int:
    """Count the lines that readers are shown of a file."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        return count_lines(descriptor, 0, last_append(descriptor)[2])
    finally:
        os.close(descriptor)


def _missing_behind(lines: list[bytes], missing: int) -> int | None:
    """Return how many lines of an append are still to come behind some lines; None when not all are plainly shown."""
    for line in lines:
        if line[:1] != b"{" or line[-1:] != b"}":
            return None
        marks = line[MORE_WINDOW:]
        if MORE_KEY not in marks:
            if missing > 1:
                return None
            missing = 0
        elif missing:
            missing -= 1
            if b"%b%d," % (MORE_KEY, missing) not in marks:
                return None
        else:
            number = marks[marks.rfind(b":", 0, _CRC_AT) + 1 : _CRC_AT]
            if not number.isdigit():
                return None
            missing = int(number)
    return missing


def lines_back(descriptor: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield each line before an offset, newest first, with the offset after it.

    Args:
        descriptor: The open file.
        end: The offset behind a newline, as `last_newline` returns it.
    """
    # How many lines to follow the line before may speak of, next to none; None: any number.
    before: int | None = 0
    held: list[tuple[int, bytes]] = []  # the lines of what seems to be no whole append, up to its beginning
    for stop, line in _raw_lines_back(descriptor, end):
        follow = None if line[-1] == CANCEL else lines_to_follow(line)
        if held and (follow == 0 or line[-1] == CANCEL):
            yield from _shown_of(held)
            held, before = [], 0
        if held or line[-1] == CANCEL or (follow and before is not None and follow != before):
            held.append((stop, line))
        else:
            before = None if follow is None else follow + 1
            yield stop, line
    yield from _shown_of(held)


def _shown_of(held: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return, newest first, what `lines_forward` shows of neighbouring lines, given newest first."""
    return list(whole_appends(reversed(held)))[::-1]


def lines_forward(
    descriptor: int, start: int, end: int, on_unfinished: Callable[[int, int], None] = say_nothing
) -> Iterator[tuple[int, bytes]]:
    """Yield each line between two offsets, oldest first, with the offset after it.

    Args:
        descriptor: The open file.
        start: The offset of a line.
        end: The offset behind a newline.
        on_unfinished: Called with the offset behind an append that is not whole and the number of its lines.
    """
    waiting = WaitingLines(on_unfinished)
    # The buffered reader splits lines in C: three times as fast as reading blocks and splitting them.
    with open(descriptor, "rb", buffering=_BLOCK, closefd=False) as file:
        file.seek(start)
        offset = start
        while offset < end and (line := file.readline()):
            offset += len(line)
            if offset > end or line[-1] != _NEWLINE:
                return  # cut, and perhaps written again, while we read
            line = line[:-1]
            if not line or line.isspace():
                continue
            if waiting.missing or MORE_KEY in line[MORE_WINDOW:] or line[-1] == CANCEL:
                yield from waiting.joined_by(offset, line)
            else:
                yield offset, line
    yield from waiting.broken_off()


def whole_appends(
    lines: Iterable[tuple[int, bytes]], on_unfinished: Callable[[int, int], None] = say_nothing
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of appends that came to their end, as `lines_forward` does, of lines that stand elsewhere.

    Args:
        lines: Lines that are not blank, oldest first, each with the offset after it. When they end in a
            CorruptionError, the lines of an append that it cuts short come before it: they were whole once.
        on_unfinished: As for `lines_forward`.
    """
    waiting = WaitingLines(on_unfinished)
    try:
        yield from waiting.passed(lines)
    except CorruptionError:
        yield from waiting.broken_off(by_damage=True)
        raise
    yield from waiting.broken_off()


class WaitingLines:
    """The lines of an append of several records until the last of them has come.

    Attributes:
        missing: How many are still to come.
    """

    def __init__(self, on_unfinished: Callable[[int, int], None]) -> None:
        self.missing = 0
        self._lines: list[tuple[int, bytes]] = []
        self._on_unfinished = on_unfinished

    def passed(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Take lines of the file; yield those that are ready to be seen."""
        for offset, line in lines:
            if self.missing or MORE_KEY in line[MORE_WINDOW:] or line[-1] == CANCEL:
                yield from self.joined_by(offset, line)
            else:
                yield offset, line

    def joined_by(self, offset: int, line: bytes) -> list[tuple[int, bytes]]:
        """Take the next line of the file; return those that are ready to be seen."""
        if line[-1] == CANCEL:
            self._on_unfinished(offset, len(self._lines) + 1)
            self._clear()
            return []
        if self.missing > 1 and b"%b%d," % (MORE_KEY, self.missing - 1) in line[MORE_WINDOW:]:
            # What was to come; whether it is damaged as well matters only if the rest does not come.
            self._lines.append((offset, line))
            self.missing -= 1
            return []
        follow = lines_to_follow(line)
        ready = []
        if self.missing and follow is not None and follow != self.missing - 1:
            ready = self.broken_off()
        if not self.missing and not follow:
            return [*ready, (offset, line)]
        self._lines.append((offset, line))
        self.missing = self.missing - 1 if self.missing else follow or 0
        if not self.missing:
            ready += self._lines
            self._clear()
        return ready

    def broken_off(self, *, by_damage: bool = False) -> list[tuple[int, bytes]]:
        """Nothing more of this append comes; return its lines when that may be due to damage."""
        lines = self._lines
        damaged = by_damage or any(lines_to_follow(line) is None for _, line in lines)
        self._clear()
        if lines and not damaged:
            self._on_unfinished(lines[-1][0], len(lines))
        return lines if damaged else []

    def _clear(self) -> None:
        self.missing, self._lines = 0, []


def _raw_lines_back(descriptor: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield every line before an offset, newest first, with the offset after it."""
    buffer, start, step = b"", end, _FIRST_BLOCK_BACK
    stop = 0  # within the buffer: behind the newline of the line to come
    while start > 0:
        size = min(start, step)
        start -= size
        block = os.pread(descriptor, size, start)
        if len(block) < size:
            return  # cut short by someone else while we read
        buffer = block + buffer[:stop]
        stop = len(buffer)
        step = max(min(step * 2, _BLOCK), stop)  # a long line is not put together in small pieces
        while (cut := buffer.rfind(b"\n", 0, stop - 1)) >= 0:
            line = buffer[cut + 1 : stop - 1]
            if line and not line.isspace():
                yield start + stop, line
            stop = cut + 1
    line = buffer[: stop - 1] if stop else b""
    if line and not line.isspace():
        yield stop, line
