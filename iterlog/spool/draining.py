"""Bringing the backlog into the store: in order, append by append, each exactly once.

One handle of one process drains at a time. Before an append is tried, the map notes it; when the store has acknowledged
it, the map gets its entry. Where a note has no entry, because the answer never came or the process was killed between
the two, the store is looked at first: what is there is entered, and never appended again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from iterlog.abilities import SupportsSegments
from iterlog.errors import ConflictError, CorruptionError, IterlogError, UnavailableError
from iterlog.position import START, Durability
from iterlog.spool.drained import Entry
from iterlog.spool.files import this_boot
from iterlog.spool.state import Known

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.position import Position
    from iterlog.spool.files import SpoolFiles
    from iterlog.spool.target import Target
    from iterlog.store import HistoryStore


class Drain:
    """Drains one spool into one store.

    Args:
        files: The spool.
        target: The store.
        url: How errors name the history.
    """

    def __init__(self, files: SpoolFiles, target: Target, url: str) -> None:
        self._files = files
        self._target = target
        self._url = url
        self._mutex = threading.Lock()
        self._checked = False
        self._learned = False

    def run(self, keep_on: Callable[[], bool], on_drained: Callable[[int], None] = lambda _lines: None) -> bool:
        """Drain until nothing waits.

        Args:
            keep_on: Asked before each append; false ends the work.
            on_drained: Told the number of lines of each append that is through.

        Returns:
            Whether nothing waits; false also when another handle is at it.

        Raises:
            IterlogError: What the store, or the spool's own disk, refused with; the same is noted in the target.
        """
        if not self.waits():
            if not self._target.reachable:
                self._target.asked(_end_of)
            return True
        with self._mutex:
            locked = False
            try:
                store = self._target.opened()
                locked = self._files.drain_lock.try_acquire()
                return locked and self._run(store, keep_on, on_drained)
            except IterlogError as error:
                self._note(error)
                raise
            except OSError as error:
                self._note(error)
                message = f"draining the spool failed: {error}; nothing is lost, what waits is kept"
                raise UnavailableError(message, url=self._url, errno=error.errno) from error
            except Exception as error:
                self._note(error)
                raise
            finally:
                if locked:
                    self._files.drain_lock.release()

    def waits(self) -> bool:
        """Whether the store is not known to have everything."""
        return self._files.end() > self._files.map.last_end()

    def learn(self) -> None:
        """Keep what the store says about its end, once per handle.

        Raises:
            UnavailableError: It does not answer.
        """
        if not self._learned:
            last = self._files.map.last()  # before the store is asked: another handle may be draining
            known = self._target.asked(_known_of)
            self._check_end(known.newest[0] if known.newest else self._target.asked(_end_of), last)
            self._files.learn(known)
            self._learned = True

    def forget(self) -> None:
        """Start anew in a forked child."""
        self._mutex = threading.Lock()

    def _run(self, store: HistoryStore, keep_on: Callable[[], bool], on_drained: Callable[[int], None]) -> bool:
        drained = self._files.map
        drained.refresh()
        self._settle(store, on_drained)
        self._target.settle_charge(store, lambda: _end_of(store) == self._files.known_end())
        self.learn()
        for end, lines in self._files.appends(drained.last_end()):
            if not keep_on():
                break
            last = drained.last()
            drained.attempt(end)
            position = store._append(lines, Durability.SYNC)  # noqa: SLF001 - a spool is where lines come from
            self._check_end(position, last)
            drained.add(Entry(end, len(lines), position))
            on_drained(len(lines))
            self._target.worked()
        self._files.remove_drained()
        return not self.waits()

    def _settle(self, store: HistoryStore, on_drained: Callable[[int], None]) -> None:
        """Enter what the store has although nobody lived to see it acknowledged."""
        drained = self._files.map
        if not self._checked:
            booted = drained.check(this_boot())
            # A crash of the machine may have taken entries, and the note of the last attempt with them.
            if booted and drained.attempted() < self._files.end():
                drained.attempt(self._files.end())
            self._checked = True
        if drained.base() is None:
            drained.set_base(_end_of(store))
        if drained.attempted() <= drained.last_end():
            return
        last = drained.last()
        start = last.position if last else drained.base()
        appends = self._files.appends(drained.last_end())
        wanted = next(appends, None)
        found = 0
        for position, line in store._scan(start or START):  # noqa: SLF001 - damaged lines are to be passed, too
            if wanted is None:
                return
            end, lines = wanted
            found = found + 1 if line == lines[found] else int(line == lines[0])
            if found == len(lines):
                drained.add(Entry(end, found, position))
                on_drained(found)
                wanted, found = next(appends, None), 0

    def _check_end(self, end: Position, last: Entry | None) -> None:
        """Refuse a store that ends before what was drained into it.

        Raises:
            CorruptionError: It does.
        """
        if last is not None and end < last.position:
            raise CorruptionError(
                f"the store ends at {end}, before {last.position}, up to where it was filled from the spool "
                f"{self._files.path!r}: it was cut, removed or replaced; bring it back, or move that directory away to "
                "begin anew (what waits there stands in its 'backlog')",
                url=self._url,
                position=end,
            )

    def _let_go(self) -> None:
        self._learned = False
        self._target.let_go()

    def _note(self, error: Exception) -> None:
        if isinstance(error, ConflictError) and not self._target.in_charge and not self._target.reopened:
            # What stood at the URL has become another thing, or somebody else was first: look again, once.
            self._target.reopened = True
            self._let_go()
            return
        self._target.failed(error)
        if not isinstance(error, UnavailableError) and isinstance(error, OSError):
            self._let_go()  # after an uncertain write a handle may be of no more use


def _known_of(store: HistoryStore) -> Known:
    newest = next(store._scan_back(), None)  # noqa: SLF001 - as above
    return Known.of(store._next_number(), newest)  # noqa: SLF001 - as above


def _end_of(store: HistoryStore) -> Position:
    newest = next(store._scan_back(), None)  # noqa: SLF001 - as above
    if newest is not None:
        return newest[0]
    return store.begins_at if isinstance(store, SupportsSegments) else START
