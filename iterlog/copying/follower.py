"""One destination kept up with one source, from where it stands.

Where it stands is what the destination holds, and nothing else: a bookmark only says where to look. Killed between any
two steps, the next follower finds every line that was written, whole appends of them, and goes on behind the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iterlog.abilities import SupportsSegments
from iterlog.copying.appending import Step, copied
from iterlog.copying.bookmarks import Bookmark, parse_place, place_text, sha256_of
from iterlog.copying.overlap import DivergedError, overlap_of
from iterlog.errors import ConfigError, CorruptionError
from iterlog.lines import holds_record, timestamp_of
from iterlog.position import START, Position
from iterlog.reader import logger
from iterlog.reports import Lag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.copying.bookmarks import BookmarkFile
    from iterlog.store import HistoryStore

_STEPS_BETWEEN_NOTES = 50


class Follower:
    """Copies what a source has and a destination lacks.

    The destination is claimed, so that two followers never write to it at once, where it can be.

    Attributes:
        position: The position in the source up to which the destination holds everything.
        damaged: How many of the lines copied hold no readable record; they are copied as they stand.
        missing_before: The position in the source before which records were removed before they could be copied; None
            when none were.

    Args:
        source: Where from; not kept, so that a follower keeps no handle open that its user has dropped.
        destination: Where to; the caller closes it, also when anything was raised, and then makes another follower.
        bookmarks: Where it is noted how far the copy is.
        on_copied: Called now and then with the number of lines copied since the last call.

    Raises:
        DivergedError: The destination holds something else than the source's beginning.
        ConflictError: Somebody else is writing to the destination.
    """

    def __init__(
        self,
        source: HistoryStore,
        destination: HistoryStore,
        bookmarks: BookmarkFile,
        on_copied: Callable[[int], None] = lambda _lines: None,
    ) -> None:
        self.damaged = 0
        self.missing_before: Position | None = None
        self._destination = destination
        self._bookmarks = bookmarks
        self._on_copied = on_copied
        destination.resume()  # the claim keeps two followers apart; the repair sets aside what a kill tore
        self._mark = self._recalled(source) or self._derived(source)

    @property
    def position(self) -> Position:
        """The position in the source up to which the destination holds everything."""
        return self._mark.position

    def catch_up(self, source: HistoryStore, keep_on: Callable[[], bool] = lambda: True) -> int:
        """Copy what stands behind, make it durable, and return how many lines it was.

        Args:
            source: The same history as before, by whatever handle.
            keep_on: Asked after each append; false ends the work early.

        Raises:
            CorruptionError: The source was cut or replaced since; another follower finds out what that means.
        """
        total = steps = 0
        for step in copied(self._behind(source), self.position, self._destination):
            self._note_removed(source)
            self._mark = _mark_of(step, self._mark.copy_at)
            self.damaged += sum(not holds_record(line) for line in step.lines)
            total, steps = total + len(step.lines), steps + 1
            if steps % _STEPS_BETWEEN_NOTES == 0:
                self._settle()
            self._on_copied(len(step.lines))
            if not keep_on():
                break
        if total:
            self._settle()
        return total

    def _settle(self) -> None:
        self._destination.flush()
        self._bookmarks.write(self._mark)

    def _behind(self, source: HistoryStore) -> Iterator[tuple[Position, bytes]]:
        """Yield the source's lines behind the position, having made sure that it is still the same place."""
        before = parse_place(self._mark.source_before)
        if not self.position or _was_removed(source, before):
            yield from _lines_left(source, self.position)
            return
        lines = source.lines(before)
        if not self._mark.stands_at(next(lines, None)):
            raise CorruptionError(
                "the source was cut or replaced while it was being copied; nothing was written",
                url=source.url,
                position=self.position,
            )
        yield from lines

    def _note_removed(self, source: HistoryStore) -> None:
        if self.position and _was_removed(source, self.position) and isinstance(source, SupportsSegments):
            self.missing_before = source.begins_at
            logger.warning(
                "%s: retention removed records behind position %s before they were copied to %s",
                source.url,
                self.position,
                self._destination.url,
            )

    # where it stands

    def _recalled(self, source: HistoryStore) -> Bookmark | None:
        """Return where the destination stands by what was noted, if the bytes on both sides bear it out."""
        mark = self._bookmarks.read()
        try:
            return None if mark is None else self._checked(source, mark)
        except (ConfigError, CorruptionError) as error:  # positions of what was there before
            logger.debug("%s: the stored position is stale: %s", self._destination.url, error)
            return None

    def _checked(self, source: HistoryStore, mark: Bookmark) -> Bookmark | None:
        if not mark.copy_at:
            return None
        end = parse_place(mark.copy_at)
        copies = self._destination.lines(parse_place(mark.copy_before))
        noted = []
        reached = START
        for reached, line in copies:
            noted.append(line)
            if reached >= end:
                break
        if reached != end or sha256_of(noted) != mark.copy_sha256:
            return None
        before = parse_place(mark.source_before)
        if _was_removed(source, before):
            lines = _lines_left(source, mark.position)
        else:
            lines = source.lines(before)
            if not mark.stands_at(next(lines, None)):
                return None
        # What was written behind the bookmark before a kill, or by another follower.
        for there, line in copies:
            position, mine = next(lines, (START, b""))
            if mine != line or not position:
                return None
            mark = _mark_of(Step(mark.position, position, there, [line]), mark.copy_at)
        return mark

    def _derived(self, source: HistoryStore) -> Bookmark:
        """Return where the destination stands by comparing everything.

        Raises:
            DivergedError: It holds something else.
        """
        overlap = overlap_of(source, self._destination)
        if overlap.lines:
            step = Step(overlap.source_before, overlap.source_position, overlap.destination_position, [overlap.last])
            return _mark_of(step, place_text(overlap.destination_before))
        if overlap.begins != START:
            raise DivergedError(
                "the source is empty and the destination is not; to restore the source, copy in the other direction; "
                "to begin anew, name another destination",
                url=self._destination.url,
            )
        return Bookmark("", "", "", "", "", "")


def _was_removed(source: HistoryStore, position: Position) -> bool:
    """Whether retention removed records behind a position."""
    if not isinstance(source, SupportsSegments):
        return False
    begins_at = source.begins_at
    return any(begins_at) and begins_at > position


def _lines_left(source: HistoryStore, position: Position) -> Iterator[tuple[Position, bytes]]:
    """Return the lines behind a position that retention has left."""
    if position and _was_removed(source, position) and isinstance(source, SupportsSegments):
        position = source.begins_at
    return source.lines(position)


def lag_behind(source: HistoryStore, position: Position) -> Lag:
    """Return what stands in a source behind a position."""
    count, since = 0, None
    for _, line in source.lines(position):
        count += 1
        since = since or timestamp_of(line)
    if since is None:
        return Lag(count, 0.0)
    now = type(since).now(since.tzinfo)
    return Lag(count, max(0.0, (now - since).total_seconds()))


def _mark_of(step: Step, copy_before: str) -> Bookmark:
    return Bookmark(
        source_before=place_text(step.source_before),
        source_at=place_text(step.source_position),
        source_sha256=sha256_of(step.lines[-1:]),
        copy_before=copy_before,
        copy_at=place_text(step.destination_position),
        copy_sha256=sha256_of(step.lines),
    )
