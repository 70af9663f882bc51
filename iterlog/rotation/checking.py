"""What a full check of a set finds beside what reading it tells: an unfinished end, and files that are not read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from iterlog.files.lines_of import count_lines, last_append
from iterlog.files.lockfile import read_note
from iterlog.files.tail import unread_end
from iterlog.position import Position
from iterlog.reports import Fault, FaultKind
from iterlog.rotation.layout import LOCK_NAME
from iterlog.rotation.loss import loss_of
from iterlog.rotation.reading import SetReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.files.lockfile import WriterNote
    from iterlog.rotation.layout import Listing, Part


class SetChecker:
    """Checks one set, whatever is done about damage elsewhere.

    Args:
        directory: The set's.
        url: How errors name the history.
    """

    def __init__(self, directory: str, url: str) -> None:
        self._directory = directory
        self._url = url
        self._reader = SetReader(directory, url, _ignored, _ignored)

    def lines(self, report: Callable[[Fault], None]) -> Iterator[tuple[int, bytes]]:
        """Yield every line there is, oldest first, with its number; what damage keeps from being read is reported."""

        def damaged(number: int, detail: str) -> None:
            report(Fault(Position.of(number), FaultKind.MISSING, detail))

        for numbers, lines in SetReader(self._directory, self._url, damaged, _ignored).forward(0):
            yield from zip(numbers, lines, strict=True)

    def unread_files(self) -> list[Fault]:
        """Return which files are not read, wholly or at their end, although they should be."""
        return self._reader.of_one_listing(lambda listing: [*_ill_named(listing), *self._held_back(listing)])

    def unfinished(self) -> list[Fault]:
        """Return where appends that never came to their end stand between others."""
        return self._reader.of_one_listing(
            lambda listing: [
                Fault.of_unfinished(Position.of(number), count)
                for part in listing.parts
                for number, count in self._reader.unfinished_in(part)
            ]
        )

    def held_back(self) -> list[Fault]:
        """Return which files hold what no reader is shown, here or from another file: copies of the set lack it."""
        return self._reader.of_one_listing(self._held_back)

    def unread_end(self) -> list[Fault]:
        """Return what stands behind the last whole append, or should stand there.

        What looks torn may be an append in flight, or a seal: who keeps writers out can tell.
        """
        note = read_note(os.path.join(self._directory, LOCK_NAME))
        return self._reader.of_one_listing(lambda listing: [*self._torn(listing), *self._lost(listing, note)])

    def _held_back(self, listing: Listing) -> list[Fault]:
        found = []
        for part in listing.redundant:
            others = [other for other in listing.parts if other.holds_all_of(part)]
            if not any(self._reader.twins.stands_in(part, other) for other in others):
                found.append(_of_file(part, "is not read, and its lines are not those that stand in its place"))
        for part in listing.sealed:
            found += [_of_file(part, f"holds what is not read: {detail}") for detail in self._behind_end(part)]
        return found

    def _behind_end(self, part: Part) -> list[str]:
        """Return what stands behind the last whole append of a sealed file, which was in order when it was sealed."""
        if part.codec is not None:
            return []
        with self._reader.opened(part) as descriptor:
            return [detail for _, _, detail in unread_end(descriptor)]

    def _torn(self, listing: Listing) -> list[Fault]:
        part = listing.active
        if part is None:
            return []
        with self._reader.opened(part) as descriptor:
            faults = unread_end(descriptor)
            number = part.first + count_lines(descriptor, 0, last_append(descriptor)[2]) if faults else 0
        return [Fault(Position.of(number), kind, detail) for _, kind, detail in faults]

    def _lost(self, listing: Listing, note: WriterNote | None) -> list[Fault]:
        loss = loss_of(self._directory, listing, note)
        if loss is not None:
            return [Fault(Position.of(loss.behind), FaultKind.MISSING, str(loss))]
        if listing.parts and listing.active is None:
            detail = f"no file follows {listing.parts[-1].name}: the newest one was removed, or not copied"
            return [Fault(Position.of(listing.ends_at), FaultKind.MISSING, detail)]
        return []


def _ill_named(listing: Listing) -> list[Fault]:
    """Return which files are not, or hold less than, what their names say, and cost no line by that."""
    broken = [_of_file(part, "is damaged; its lines are read from other files") for part in listing.broken]
    return broken + [
        _of_file(part, f"is named as if it held more than the lines up to {(part.end or 0) - 1:,}; rename it")
        for part in listing.misnamed
    ]


def _of_file(part: Part, detail: str) -> Fault:
    return Fault(Position.of(part.end or 0), FaultKind.FILE, f"{part.name} {detail}")


def _ignored(*_told: object) -> None:
    """Reading has told of it, or will."""
