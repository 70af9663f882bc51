"""The bytes of a commit: the lines of one append, and control lines where those alone do not say enough.

A control line is a JSON object like a record's line, checksum included, that begins with ``_iterlog`` and holds no
iteration, so that it is no record to any reader. There are two:

``{"_iterlog":"fence","epoch":…,"next":…,"last":…,"by":…,"id":…}`` is a commit of its own: from here on the history
belongs to who wrote it. ``epoch`` is the commit's number, which grows; ``last`` is the newest commit with records.

``{"_iterlog":"append","next":…,"id":…,"_more":k}`` stands before the ``k`` lines of a commit that do not show
themselves how many they are (several appends in one commit, or lines of other programs), what the next iteration number
is (the last line hides a higher one), or that they were written here (no line has an id).
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iterlog.lines import DamagedLineError, decode_line, has_checksum, iteration_of, lines_to_follow, with_checksum
from iterlog.record import MAX_ITERATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CONTROL = b'{"_iterlog":'
_FENCE = b'{"_iterlog":"fence",'
_LONGEST_NAME = 300


@dataclass(frozen=True)
class Fence:
    """Who took the history over.

    Attributes:
        epoch: The number of its commit.
        next_number: The next iteration number.
        last: The newest commit with records before it; -1 when there is none.
        by: The process, its host and when, for people.
    """

    epoch: int
    next_number: int
    last: int
    by: str


@dataclass(frozen=True)
class Commit:
    """One commit, as it was read.

    Attributes:
        number: Which one.
        lines: The lines that readers are shown.
        fence: What it says when it is one; its ``epoch`` is its number also where it is damaged.
        next_number: The next iteration number, as its control line says; None when the lines tell.
    """

    number: int
    lines: tuple[bytes, ...]
    fence: Fence | None = None
    next_number: int | None = None

    def next_iteration(self) -> int | None:
        """Return the next iteration number behind this commit; None when it is damaged and cannot tell."""
        if self.fence is not None:
            return self.fence.next_number if self.fence.next_number >= 0 else None
        if self.next_number is not None:
            return self.next_number if self.next_number >= 0 else None
        if not self.lines or (len(self.lines) > 1 and _number_of(self.lines[0]) is None):
            return None  # a first line that is damaged may have been the control line
        last = _number_of(self.lines[-1])
        return None if last is None else last + 1

    def above(self) -> int:
        """Return the first number above those of all lines that can be read."""
        return max((number + 1 for line in self.lines if (number := _number_of(line)) is not None), default=0)


def append_body(lines: Sequence[bytes], next_number: int) -> tuple[bytes, int]:
    """Return the bytes of a commit of record lines, and the next iteration number behind it.

    Args:
        lines: The lines, without newlines.
        next_number: The next iteration number before it.
    """
    numbers = [iteration_of(line) for line in lines]
    behind = max(next_number, max(numbers) + 1)
    shows_itself = _shows_length(lines) and not lines[0].startswith(_CONTROL)
    if numbers[-1] + 1 == behind and shows_itself and any(b'"id":"' in line for line in lines):
        return _joined(lines), behind
    control = {"_iterlog": "append", "next": behind, "id": os.urandom(8).hex(), "_more": len(lines)}
    return _joined([_encoded(control), *lines]), behind


def fence_body(number: int, next_number: int, last: int) -> bytes:
    """Return the bytes of a commit that takes the history over."""
    by = (
        f"process {os.getpid()} on {socket.gethostname()} since {dt.datetime.now(dt.UTC).isoformat(timespec='seconds')}"
    )
    control = {"_iterlog": "fence", "epoch": number, "next": next_number, "last": last, "by": by}
    return _joined([_encoded({**control, "id": os.urandom(8).hex()})])


def parse_commit(number: int, body: bytes) -> Commit:
    """Return what a commit's object holds."""
    return commit_of(number, [line for line in body.split(b"\n") if line])


def commit_of(number: int, lines: Sequence[bytes]) -> Commit:
    """Return the commit that some lines make; a control line that is damaged is shown as the damage it is."""
    first = lines[0] if lines else b""
    if not first.startswith(_CONTROL):
        return Commit(number, tuple(lines))
    fields = _fields_of(first)
    if fields is None:
        fence = Fence(number, -1, -1, "somebody whose line is damaged") if first.startswith(_FENCE) else None
        return Commit(number, tuple(lines), fence)
    following = _number(fields, "next", MAX_ITERATION + 1)
    if fields.get("_iterlog") == "fence":
        by = "".join(letter if letter.isprintable() else "�" for letter in str(fields.get("by"))[:_LONGEST_NAME])
        return Commit(number, (), Fence(number, following, _number(fields, "last", number - 1), by))
    return Commit(number, tuple(lines[1:]), None, following)


def commits_of(lines: Iterable[bytes], first: int) -> Iterator[Commit]:
    """Yield the commits that stand behind each other in a segment.

    Args:
        lines: All its lines.
        first: The number of its first commit.
    """
    held: list[bytes] = []
    number, missing = first, 0
    for line in lines:
        if held:
            missing -= 1
        else:
            missing = _following(line)
        held.append(line)
        if not missing:
            yield commit_of(number, held)
            number, held = number + 1, []
    if held:
        yield commit_of(number, held)


def is_divisible(body: bytes) -> bool:
    """Whether `commits_of` finds the end of a commit: its first line says how many lines it has."""
    lines = body.split(b"\n")
    return lines.pop() == b"" and all(lines) and bool(lines) and _following(lines[0]) == len(lines) - 1


def _shows_length(lines: Sequence[bytes]) -> bool:
    return _following(lines[0]) == len(lines) - 1


def _number_of(line: bytes) -> int | None:
    try:
        return decode_line(line).iteration or 0
    except DamagedLineError:
        return None


def _following(line: bytes) -> int:
    return lines_to_follow(line) or 0


def _fields_of(control: bytes) -> dict[str, Any] | None:
    """Return what a control line says; None when it is damaged, or none of ours, whatever its checksum."""
    try:
        return json.loads(control) if has_checksum(control) else None
    except (ValueError, RecursionError):
        return None


def _number(fields: dict[str, Any], name: str, highest: int) -> int:
    number = fields.get(name)
    return number if type(number) is int and number <= highest else -1


def _encoded(control: dict[str, object]) -> bytes:
    return with_checksum(json.dumps(control, separators=(",", ":")).encode()[:-1])


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"".join(b"%b\n" % line for line in lines)
