"""Plain bytes into lines, in constant memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iterlog.segments.limits import Budget

_newlines = re.compile(rb"\n+").match


def split_lines(chunks: Iterable[bytes], budget: Budget) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, without its newline, with the offset behind it.

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
    for chunk in chunks:
        at = 0
        while (cut := chunk.find(b"\n", at)) >= 0:
            if cut == at and not held and (run := _newlines(chunk, at)):
                at = run.end()  # a million of them cost as much as one
                continue
            budget.count_line(held_size + cut - at)
            line = chunk[at:cut]
            if held:
                line, held, held_size = b"".join([*held, line]), [], 0
            at = cut + 1
            if not line.isspace():
                yield offset + at, line
        if at < len(chunk):
            held.append(chunk[at:])
            held_size += len(chunk) - at
            budget.check_line(held_size)
        offset += len(chunk)
    line = b"".join(held)
    if line and not line.isspace():
        budget.count_line(held_size)
        yield offset + 1, line
