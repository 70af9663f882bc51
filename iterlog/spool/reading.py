"""Reading through a spool: the store's lines, then those that wait, each once, in order, while they are on their way.

A line that came through the spool has one position for ever, that of its number in the spool; all other lines of the
store have the store's. Lines on their way are told by the map, and those that the store has but the map has not yet,
by their bytes.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError, IterlogError, UnavailableError
from iterlog.position import START, Position
from iterlog.reader import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iterlog.spool.drained import DrainedMap, Entry
    from iterlog.spool.files import SpoolFiles
    from iterlog.spool.target import Target

    Line = tuple[Position, bytes]
    Named = tuple[int | None, Position, bytes]
    """The number in the spool, None for a line that did not come through it; the store's position; the line."""


class SpooledReader:
    """Reads one spooled history.

    Args:
        files: The spool.
        target: The store.
        url: How errors name the history.
    """

    def __init__(self, files: SpoolFiles, target: Target, url: str) -> None:
        self._files = files
        self._target = target
        self._url = url
        self._look = threading.local()

    def forward(self, start: Position) -> Iterator[Line]:
        """Yield the lines behind a position, oldest first; see `HistoryReader._scan`."""
        passed, behind = self._begin_at(start)
        while True:
            if behind is not None:
                in_store = self._files.map.last_end()
                for number, position, line in self._named(self._store_lines(behind), behind):
                    behind = position
                    if number is None:
                        yield position, line
                    elif number > passed:
                        passed = number
                        yield self._files.position_of(number), line
                # What the store had before we looked and did not show was removed there, by retention.
                passed = max(passed, in_store)
                if self._files.map.last_end() > passed:
                    continue  # more was drained while we read
            for number, line in self._files.lines(passed):
                if number != passed + 1:
                    break  # drained, and removed from the backlog, while we read
                passed = number
                yield self._files.position_of(number), line
            else:
                return
            behind = self._position_in_store(passed) if behind is None else behind

    def backward(self, count: int | None = None) -> Iterator[Line]:
        """Yield all lines, newest first; as far as the spool knows them, also while the store is away.

        Args:
            count: After how many the caller most likely stops.
        """
        in_store, attempted = self._files.map.last_end(), self._files.map.attempted()
        seen = getattr(self._look, "in_store", None)
        if seen is not None:
            in_store, attempted = seen, 0
        passed: int | None = None
        for waiting, line in self._files.lines_back():
            if in_store < waiting <= attempted:
                in_store, attempted = self._end_in_store(), 0  # only now: the store may take long to answer
            if waiting <= in_store:
                break
            passed = waiting
            yield self._files.position_of(waiting), line
        for number, position, line in self._store_or_newest(count):
            if number is None:
                yield position, line
            elif passed is None or number < passed:
                yield self._files.position_of(number), line

    def with_iteration(self, iteration: int) -> Iterator[Line]:
        """Yield, newest first, the lines that may hold a record with a number; others may come, and some twice."""
        in_store = self._files.map.last_end()
        for position, line in self._files.backlog._scan_for(iteration):  # noqa: SLF001 - our own set
            if position[0] > in_store:
                yield self._files.position_of(position[0]), line
        found = self._target.asked(lambda store: store._scan_for(iteration))  # noqa: SLF001 - a spool reads as it does
        for position, line in self._noting(found):
            entry = _entry_at(self._files.map, position)
            yield (self._files.position_of(entry.end) if entry else position), line

    @contextlib.contextmanager
    def as_of_now(self) -> Iterator[None]:
        """Have reading backwards in a block, by this thread, take for waiting whatever the store has not got yet.

        Inside, the store may be read as it was when the block began. What is drained meanwhile is then not in that, and
        is told from the backlog, where the newest line stays.
        """
        self._look.in_store = self._files.map.last_end()
        try:
            yield
        finally:
            self._look.in_store = None

    # where to begin

    def _begin_at(self, start: Position) -> tuple[int, Position | None]:
        """Return the number of the last line passed, and the store's position; None: nothing of the store comes."""
        number = self._files.number_at(start)
        if number is None:
            drained = self._files.map
            before = drained.entry(drained.index_of_position(start) - 1) if start else None
            at = drained.entry(drained.index_of_position(start))
            if at is not None and at.position == start:
                return at.end, start
            return (before.end if before else 0), start
        if number < 0:
            raise CorruptionError(
                f"position {start} was given by another spool of this history, which is gone; read from the beginning",
                url=self._url,
                position=start,
            )
        if number <= self._files.map.last_end():
            return number, self._position_in_store(number)
        if number > self._files.end():
            raise CorruptionError(f"the spool ends before position {start}", url=self._url, position=start)
        return number, None

    def _position_in_store(self, number: int) -> Position:
        """Return where a line stands that the store has."""
        drained = self._files.map
        index = drained.index_of_line(number)
        entry = drained.entry(index)
        if entry is None:
            raise CorruptionError(
                f"the spool no longer knows where its line {number} stands in the store; read from the beginning",
                url=self._url,
            )
        inner = entry.end - number
        if not inner:
            return entry.position
        before = drained.entry(index - 1) if index else None
        held: deque[Position] = deque(maxlen=inner + 1)
        for position, _ in self._store_lines(before.position if before else drained.base() or START):
            held.append(position)
            if position >= entry.position:
                break
        return held[0]

    def _end_in_store(self) -> int:
        """Return the number of the last line that the store has, as far as it can be asked."""
        drained = self._files.map
        end, last = drained.last_end(), drained.last()
        if drained.attempted() <= end or not self._target.reachable:
            return end
        behind = last.position if last else drained.base() or START
        try:
            for number, _, _ in self._named(self._store_lines(behind), behind):
                end = max(end, number or 0)
        except UnavailableError:
            logger.debug("%s: the store is away; what it has beyond what it acknowledged is not known", self._url)
        return end

    # the store's lines and their names

    def _store_or_newest(self, count: int | None) -> Iterator[Named]:
        """Yield the store's lines, newest first; while it is away at least the newest, as far as it is known."""
        newest = None if self._target.reachable else self._newest_known()
        if newest is not None:
            yield newest
        shown = False
        try:
            for named in self._named_back(self._store_lines_back(count)):
                shown = True
                if newest is None or named[1] < newest[1]:
                    yield named
        except UnavailableError:
            if newest is None and not shown and (newest := self._newest_known()) is not None:
                yield newest
            raise

    def _store_lines(self, behind: Position) -> Iterator[Line]:
        return self._noting(self._target.asked(lambda store: store._scan(behind)))  # noqa: SLF001 - as above

    def _store_lines_back(self, count: int | None) -> Iterator[Line]:
        if count is None:
            return self._noting(self._target.asked(lambda store: store._scan_back()))  # noqa: SLF001 - as above
        return self._noting(self._target.asked(lambda store: store._scan_last(count)))  # noqa: SLF001 - as above

    def _noting(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Yield lines of the store; note when it goes away while they come."""
        try:
            yield from lines
        except IterlogError as error:
            if isinstance(error, UnavailableError):
                self._target.failed(error)
            raise
        except OSError as error:
            self._target.failed(error)
            raise UnavailableError(f"the store cannot be read: {error}", url=self._url, errno=error.errno) from error

    def _named(self, lines: Iterable[Line], behind: Position) -> Iterator[Named]:
        """Name lines of the store, oldest first."""
        drained = self._files.map
        index = drained.index_of_position(behind)
        held: deque[Line] = deque()  # perhaps the first lines of an append, of which only the end has an entry
        late = _Unentered(self._files)
        for position, line in lines:
            while (entry := drained.entry(index)) is not None and entry.position < position:
                index += 1
            unentered = late.found(line) if entry is None else None
            if entry is None and unentered is None:
                entry = drained.entry(index)  # it may have been entered between the two looks
            if entry is None:
                yield from _unnamed(held)
                yield (unentered[0] if unentered else None), position, line
            elif entry.position == position:
                for i, (inner, text) in enumerate(held):
                    yield entry.end - len(held) + i, inner, text
                held.clear()
                yield entry.end, position, line
            else:
                held.append((position, line))
                if len(held) >= entry.lines:
                    yield None, *held.popleft()
        yield from _unnamed(held)

    def _named_back(self, lines: Iterable[Line]) -> Iterator[Named]:
        """Name lines of the store, newest first."""
        drained = self._files.map
        number, inner = 0, 0  # of the line before, and how many more of its append follow
        index: int | None = None
        late = _Unentered(self._files)
        for position, line in lines:
            if inner:
                number, inner = number - 1, inner - 1
                yield number, position, line
                continue
            index = drained.index_of_position(position) if index is None else index
            while ((entry := drained.entry(index)) is None or entry.position > position) and index:
                index -= 1
            if entry is None or entry.position != position:
                if (unentered := late.found(line, newest=True)) is not None:
                    number, inner = unentered
                    yield number, position, line
                    continue
                entry = _entry_at(drained, position)  # as above
            if entry is None:
                yield None, position, line
            else:
                number, inner = entry.end, entry.lines - 1
                yield number, position, line

    def _newest_known(self) -> Named | None:
        """Return the newest line that the store is known to have had."""
        known, last = self._files.known, self._files.map.last()
        newest = known.newest if known else None
        if last is not None and (newest is None or last.position >= newest[0]):
            for number, line in self._files.lines_back():
                if number <= last.end:
                    return (number, last.position, line) if number == last.end else None
        return None if newest is None else (None, *newest)


class _Unentered:
    """The lines that the store may have although the map has no entry for them yet."""

    def __init__(self, files: SpoolFiles) -> None:
        self._files = files
        self._range = (0, 0)
        self._places: dict[bytes, list[tuple[int, int]]] = {}

    def found(self, line: bytes, *, newest: bool = False) -> tuple[int, int] | None:
        """Return the number of a line that the store has, and how many of its append come before it; each line once.

        Args:
            line: The line.
            newest: Of several that are alike, the newest first.
        """
        drained = self._files.map
        attempted, end = drained.attempted(), drained.last_end()
        if attempted > end and self._range != (end, attempted):
            self._range = (end, attempted)
            self._places = {}
            for last, lines in self._files.appends(end):
                if last > attempted:
                    break
                for i, waiting in enumerate(lines):
                    self._places.setdefault(waiting, []).append((last - len(lines) + 1 + i, i))
        places = self._places.get(line)
        return places.pop(-1 if newest else 0) if places else None


def _unnamed(held: deque[Line]) -> Iterator[Named]:
    while held:
        yield None, *held.popleft()


def _entry_at(drained: DrainedMap, position: Position) -> Entry | None:
    entry = drained.entry(drained.index_of_position(position))
    return entry if entry is not None and entry.position == position else None
