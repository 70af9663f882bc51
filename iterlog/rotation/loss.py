"""What a set knows of a newest file that somebody removed.

Before lines get numbers that were not handed out before, the note in the lock file says so, some numbers at a time: see
`iterlog.files.lockfile.WriterNote.reserved`. So when the listing ends before what the note knows, lines are gone, and
their numbers, which are positions, are not given to other lines.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.files.lines_of import count_lines_in
from iterlog.rotation.layout import plain_name

if TYPE_CHECKING:
    from iterlog.files.lockfile import WriterNote
    from iterlog.rotation.layout import Listing


@dataclass(frozen=True)
class Loss:
    """The file that was appended to is gone, and its lines with it.

    Attributes:
        behind: How many lines there were before it, as far as they are there.
        turn: The number of the file that is gone.
        reserved: A number that no line of it had: the next file gets it.
    """

    behind: int
    turn: int
    reserved: int

    def __str__(self) -> str:
        return (
            f"the newest file, {plain_name(self.turn)}, is gone with the records behind position {self.behind:,}; "
            f"put it back from a copy, or go on without it: the next append goes behind position {self.reserved:,}"
        )


def loss_of(directory: str, listing: Listing, note: WriterNote | None) -> Loss | None:
    """Return what the note knows of and the listing does not have; None when nothing is missing.

    Args:
        directory: The set's.
        listing: What there is.
        note: What the last writer noted, read before the directory was listed.

    Raises:
        OSError: The active file is gone, or cannot be read.
    """
    active = listing.active
    if note is None or (active is not None and active.first >= note.turn):
        return None
    if not listing.parts and note.reserved == note.turn:
        return None  # emptied on purpose, as by an archival
    behind = active.first + count_lines_in(os.path.join(directory, active.name)) if active else listing.ends_at
    if behind > note.turn or (behind == note.turn == note.reserved):
        return None  # the note is an old one; or a sealer died before it had created the next file
    return Loss(behind, note.turn, note.reserved)
