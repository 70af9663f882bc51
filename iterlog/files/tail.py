"""The end of a file of lines after a crash: what is whole is kept, what is torn is set aside, nothing is deleted.

Everything here runs under the append lock: only its holder can tell a torn end from an append in flight.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from iterlog.files.durable import READ_FLAGS, WRITE_FLAGS, set_aside, write_all
from iterlog.files.lines_of import CANCEL, last_append, last_newline, lines_back, lines_forward
from iterlog.lines import DamagedLineError, decode_line, is_whole_append, salvage
from iterlog.position import Position
from iterlog.reader import logger
from iterlog.reports import Dropped, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

_CANCELLED = bytes([CANCEL]) + b"\n"
_LARGEST_RECORD = 1 << 28  # a longer tail is no record that lost its newline, and need not be read into memory


def put_in_order(descriptor: int, torn_prefix: str, size: int, on_dropped: Callable[[Dropped], None]) -> int:
    """Make a file end with a whole append and a newline; return its new size.

    Args:
        descriptor: The file, open for appending.
        torn_prefix: How the path begins under which what is torn is set aside.
        size: Its size.
        on_dropped: Told what was taken out.
    """
    newline = last_newline(descriptor, size)
    if newline < size <= newline + _LARGEST_RECORD:
        tail = os.pread(descriptor, size - newline, newline)
        record = tail.rstrip(b"\0")
        if is_whole_append(record):
            if len(record) < len(tail):
                size = _drop(descriptor, torn_prefix, newline + len(record), size, on_dropped)
            return _end_line(descriptor, size)
        if is_whole_append(tail[:-1]):
            # Not torn: the newline itself was damaged. As any damaged line, it stays where it is.
            on_dropped(Dropped(Position.of(newline), len(tail), FaultKind.CHECKSUM, None))
            return _end_line(descriptor, size)
    elif newline == size and os.pread(descriptor, 2, max(0, size - 2)) == _CANCELLED:
        return size
    whole = next((stop for stop, _ in lines_back(descriptor, newline)), 0)
    if newline < size or os.pread(descriptor, newline - whole, whole).strip():
        return _drop(descriptor, torn_prefix, whole, size, on_dropped)
    return size


def put_file_in_order(path: str, url: str) -> None:
    """Do what `put_in_order` does to a file that no handle has open, durably, and log what was taken out.

    Args:
        path: The file's.
        url: How the log names the history.
    """
    descriptor = os.open(path, WRITE_FLAGS)
    try:
        size = os.fstat(descriptor).st_size
        put_in_order(descriptor, f"{path}.torn", size, lambda dropped: logger.warning("%s: damage: %s", url, dropped))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def number_behind(descriptor: int, end: int, first: int = 0) -> int:
    """Return the iteration number that follows the last readable record before an offset.

    Args:
        descriptor: The file.
        end: The offset behind a line.
        first: The number of the file's first record, should none be readable.
    """
    damaged = 0
    for _, line in lines_back(descriptor, end):
        try:
            return (decode_line(line).iteration or 0) + 1 + damaged
        except DamagedLineError as damage:
            if saved := salvage(line):
                return (saved.iteration or 0) + 1 + damaged
            # It had a number as well, most likely the next one: it must not be handed out again.
            damaged += damage.kind is not FaultKind.RECORD
    return first + damaged


def unread_end(descriptor: int) -> list[tuple[int, FaultKind, str]]:
    """Return what stands behind the last whole append: the offset after it, the kind of fault, and words for it."""
    size, newline, end = last_append(descriptor)
    faults = []
    if newline < size:
        faults.append((size, FaultKind.TORN, f"{size - newline} bytes without a newline at the end"))
    if end < newline and os.pread(descriptor, newline - end, end).strip():
        faults.append((newline, FaultKind.UNFINISHED, "an append of several records was cut short"))
    return faults


def check_all_lines(path: str, on_dropped: Callable[[Dropped], None]) -> int:
    """Report every damaged line, as a crash of the machine can leave them anywhere; return the highest number.

    Damaged lines stay where they are.
    """
    try:
        descriptor = os.open(path, READ_FLAGS)
    except FileNotFoundError:
        return -1
    highest, start = -1, 0
    try:
        end = last_newline(descriptor, os.fstat(descriptor).st_size)
        for stop, line in lines_forward(descriptor, 0, end):
            try:
                highest = max(highest, decode_line(line).iteration or 0)
            except DamagedLineError as damage:
                if saved := salvage(line):
                    highest = max(highest, saved.iteration or 0)
                if damage.kind is not FaultKind.RECORD:
                    on_dropped(Dropped(Position.of(start), stop - start, damage.kind, None))
            start = stop
    finally:
        os.close(descriptor)
    return highest


def _drop(descriptor: int, torn_prefix: str, start: int, end: int, on_dropped: Callable[[Dropped], None]) -> int:
    """Take the end of the file out of the history; return the new end."""
    kind = _kind_of(descriptor, start, end)
    try:
        os.ftruncate(descriptor, end)
    except PermissionError:
        # An append-only file (chattr +a) cannot be cut: end what is torn, and readers pass over it.
        write_all(descriptor, _CANCELLED)
        os.fsync(descriptor)
        on_dropped(Dropped(Position.of(start), end - start, kind, None))
        return end + len(_CANCELLED)
    kept_at = set_aside(descriptor, torn_prefix, start, end)
    os.ftruncate(descriptor, start)
    on_dropped(Dropped(Position.of(start), end - start, kind, kept_at))
    os.fsync(descriptor)
    return start


def _end_line(descriptor: int, size: int) -> int:
    """Give the last line its newline, durably, or leave the file as it was; return the new size."""
    os.write(descriptor, b"\n")
    try:
        os.fsync(descriptor)
    except OSError:
        # The page may be lost, and a second fsync would not say so: writing it again makes it count again.
        os.ftruncate(descriptor, size)
        raise
    return size + 1


def _kind_of(descriptor: int, start: int, end: int) -> FaultKind:
    if os.pread(descriptor, 1, end - 1) == b"\n":
        return FaultKind.UNFINISHED
    nul_only = not os.pread(descriptor, min(end - start, 1 << 20), start).strip(b"\0")
    return FaultKind.NUL if nul_only else FaultKind.TORN
