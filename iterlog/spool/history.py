"""The store that ``spool=`` gives: another store behind a durable local spool."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from iterlog.abilities import SupportsClaim, SupportsFence, SupportsNumbering, SupportsSpool
from iterlog.errors import (
    ConfigError,
    ConflictError,
    HistoryClosedError,
    HistoryNotFoundError,
    IterlogError,
    UnavailableError,
)
from iterlog.lines import timestamp_of
from iterlog.options import resolve_options
from iterlog.places import identity_of
from iterlog.reader import COMMON_OPTIONS, logger
from iterlog.registry import find_backend, open_parsed
from iterlog.reports import SpoolState, SpoolStatus
from iterlog.spool.draining import Drain
from iterlog.spool.files import SpoolFiles
from iterlog.spool.places import spool_directory
from iterlog.spool.reading import SpooledReader
from iterlog.spool.target import Target
from iterlog.spool.worker import Outcome, Worker
from iterlog.store import HistoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.position import Durability, Position
    from iterlog.reports import Fault
    from iterlog.url import HistoryURL

_CLOSE_WAIT_S = 5.0
_BUSY_WAIT_S = 0.02


def open_spooled(open_store: Callable[[], HistoryStore], url: HistoryURL, given: object) -> HistoryStore:
    """Open a history behind a spool; see `iterlog.registry` for what calls this.

    Args:
        open_store: Opens the store.
        url: The history's, without the option ``spool``.
        given: The option's value: true, false, or the path of a directory.
    """
    directory = spool_directory(given, url)
    if directory is None:
        return open_store()
    for name in ("batch_records", "batch_interval"):
        if name in {**url.query, **url.keywords}:
            raise ConfigError(f"option {name!r} keeps records in memory, which a spool makes needless; leave it out")
    backend = find_backend(url)
    return _spooled_class(backend)(url, open_store=open_store, directory=directory, kind=backend.__name__)


class SpooledHistory(HistoryStore, SupportsSpool):
    """A history whose store may be away: appends are durable in a local spool, which is drained into it.

    `append` never waits for the store, and returns a position that stays valid wherever the record is. Reading asks the
    store, and shows what waits behind what the store has. While the store is away, what the spool knows can be read:
    what waits, and the newest record of the store; so a loop goes on, and `resume` works after a restart, too. Numbers
    are handed out by the spool: above all that the store had when this handle first wanted one, for which it asks the
    store, and above all that came through the spool. Who else writes to the store at the same time gives numbers of
    their own.

    Closing drains for five seconds at most; what is left is drained by the next one who opens the history with its
    spool, or by ``iterlog drain``. A store that refuses for ever leaves everything in the spool, and further appends
    raise its refusal.

    Positions of records that came through the spool belong to the spool: only a handle with the same spool reads on
    from them.
    """

    def __init__(self, url: HistoryURL, *, open_store: Callable[[], HistoryStore], directory: str, kind: str) -> None:
        common = {name: value for name, value in url.keywords.items() if name in COMMON_OPTIONS}
        query = {name: value for name, value in url.query.items() if name in COMMON_OPTIONS}
        super().__init__(url, **resolve_options(COMMON_OPTIONS, common, query, url=str(url)))
        self._open_store = open_store
        self._files = SpoolFiles(directory, store=identity_of(url), kind=kind, url=self.url)
        self._worker = Worker(self._work)
        self._target = Target(self._opened_store, self._files, self.url, self._worker.wake)
        self._drain = Drain(self._files, self._target, self.url)
        self._reader = SpooledReader(self._files, self._target, self.url)
        self._told = 0  # how much of what the backlog set aside was told
        _live.add(self)
        try:
            self._target.opened()
        except HistoryNotFoundError:
            raise
        except (UnavailableError, OSError) as error:
            self._target.failed(error)
        if self._drain.waits():
            self._worker.wake()

    # what users call

    @property
    def spool(self) -> SpoolStatus:
        """How the spool stands: what waits, since when, and why."""
        self._check_open()
        return self._status()

    def drain(self, on_drained: Callable[[int], None] = lambda _lines: None) -> SpoolStatus:
        """Bring everything that waits into the store, now and in this thread.

        Args:
            on_drained: Told the number of lines of each append that is through.

        Raises:
            UnavailableError: The store is away; what waits goes on waiting. Else what the store refuses with.
        """
        self._check_open()
        while not self._drain.run(lambda: True, on_drained):
            time.sleep(_BUSY_WAIT_S)
        return self._status()

    # appending

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        self._refuse_when_stuck()
        position = self._files.append(lines, durability)
        self._worker.wake()
        return position

    # reading

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        return self._reader.forward(start)

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        return self._reader.backward()

    def _scan_last(self, count: int) -> Iterator[tuple[Position, bytes]]:
        return self._reader.backward(count)

    def _scan_for(self, iteration: int) -> Iterator[tuple[Position, bytes]]:
        return self._reader.with_iteration(iteration)

    def _unread(self) -> list[Fault]:
        faults = list(self._target.asked(lambda store: store._unread()))  # noqa: SLF001 - a spool reads as the store does
        backlog = self._files.backlog._unread()  # noqa: SLF001 - our own set
        return faults + [replace(fault, position=self._placed(fault.position)) for fault in backlog]

    @contextlib.contextmanager
    def _one_look(self) -> Iterator[None]:
        with self._reader.as_of_now(), contextlib.ExitStack() as look:
            if self._target.reachable:
                try:
                    self._target.asked(lambda store: look.enter_context(store._one_look()))  # noqa: SLF001 - as above
                except UnavailableError:
                    logger.debug("%s: the store is away; what is known of it has to do", self.url)
            yield

    def _pause(self, poll_s: float, idle_s: float) -> float:
        try:
            return self._target.asked(lambda store: store._pause(poll_s, idle_s))  # noqa: SLF001 - as above
        except (UnavailableError, HistoryClosedError):
            return super()._pause(poll_s, idle_s)

    # keeping

    def _repair(self) -> None:
        self._files.backlog._repair()  # noqa: SLF001 - as above
        if self._target.reachable:
            try:
                self._target.asked(lambda store: store._repair())  # noqa: SLF001 - as above
            except UnavailableError:
                logger.debug("%s: the store is away and repairs its end when it is back", self.url)
        self._dropped += self._target.dropped()
        backlog = self._files.backlog._dropped  # noqa: SLF001 - as above
        self._dropped += [replace(one, position=self._placed(one.position)) for one in backlog[self._told :]]
        self._told = len(backlog)

    def _flush(self) -> None:
        self._files.backlog._flush()  # noqa: SLF001 - as above

    def _close(self) -> None:
        _live.discard(self)
        stuck = self._target.state is SpoolState.STUCK
        self._worker.close(_CLOSE_WAIT_S, once_more=not stuck and self._drain.waits())
        waiting = self._waiting()
        if waiting:
            logger.warning(
                "%s: %d records wait in the spool %s; the next one who opens this history with its spool drains them, "
                "and so does 'iterlog drain'",
                self.url,
                waiting,
                self._files.path,
            )
        self._worker.finish(self._release)

    def _release(self) -> None:
        try:
            self._files.close()
        finally:
            self._target.close()

    def _forget(self) -> None:
        """Start anew in a forked child."""
        self._files.forget()
        self._target.forget()
        self._drain.forget()

    # how they are made

    def _opened_store(self) -> HistoryStore:
        try:
            return self._open_store()
        except HistoryNotFoundError:
            if not self._files.end():
                raise
            # What waits is a history, even though the store has nothing of it yet.
            return open_parsed(replace(self._url, keywords={**self._url.keywords, "create": True}))

    def _work(self, keep_on: Callable[[], bool]) -> Outcome:
        try:
            done = self._drain.run(keep_on)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the target has noted and logged it
            logger.debug("%s: not drained: %s", self.url, error)
            return Outcome.REFUSED if self._target.state is SpoolState.STUCK else Outcome.FAILED
        return Outcome.DONE if done else Outcome.BUSY

    def _refuse_when_stuck(self) -> None:
        error = self._target.error
        if self._target.state is not SpoolState.STUCK or error is None:
            return
        why = error.message if isinstance(error, IterlogError) else f"{type(error).__name__}: {error}"
        kind = type(error) if isinstance(error, IterlogError) else ConfigError
        raise kind(
            f"the store refuses what waits in the spool {self._files.path!r} ({why}); this record was not written, and "
            "what waits is kept; mend what is wrong, then run 'iterlog drain' or open the history again",
            url=self.url,
        ) from error

    def _waiting(self) -> int:
        return max(0, self._files.end() - self._files.map.last_end())

    def _status(self) -> SpoolStatus:
        target, waiting, size, oldest = self._target, self._waiting(), 0, None
        for count, (_, line) in enumerate(self._files.lines(self._files.map.last_end())):
            oldest = oldest if count else timestamp_of(line)
            size += len(line) + 1
        through = target.state is SpoolState.THROUGH
        return SpoolStatus(
            SpoolState.DRAINING if through and waiting else target.state,
            waiting,
            size,
            oldest,
            target.since,
            str(target.error) if target.error else None,
            self._files.path,
        )

    def _placed(self, position: Position) -> Position:
        return self._files.position_of(position[0]) if position else position


class _Numbering(SpooledHistory, SupportsNumbering):
    """A spooled history whose store can hand out numbers, and so can the spool."""

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        self._refuse_when_stuck()
        floor = self._floor()
        position = self._files.append_numbered(lambda number: make(max(number, floor)), durability)
        self._worker.wake()
        return position

    def _next_number(self) -> int:
        floor = 0
        if self._target.reachable and not self._drain.waits():
            try:
                floor = self._target.asked(lambda store: store._next_number())  # noqa: SLF001 - as above
            except UnavailableError:
                logger.debug("%s: the next number is that of the last time the store was seen", self.url)
        return max(floor, self._floor(), self._files.backlog._next_number())  # noqa: SLF001 - as above

    def _floor(self) -> int:
        """Return the first number that the store had not handed out when it was seen."""
        if self._target.reachable:
            try:
                self._drain.learn()
            except UnavailableError:
                logger.debug("%s: the store is away and was not asked for its next number", self.url)
        known = self._files.known
        if known is None:
            raise UnavailableError(
                "the store is away and was never seen through this spool, so nobody knows which numbers are free; give "
                "iteration=, or try again when it is back",
                url=self.url,
            )
        return known.number


class _Claiming(SpooledHistory, SupportsClaim):
    """A spooled history whose store can be claimed: the spool is claimed with it."""

    def _claim(self) -> None:
        try:
            self._files.backlog._claim()  # noqa: SLF001 - as above
        except ConflictError as error:
            raise ConflictError(error.message, url=self.url) from error
        self._target.be_in_charge()


class _Fencing(SpooledHistory, SupportsFence):
    """A spooled history whose store can be taken over: the spool is taken over with it."""

    def _take_over(self) -> None:
        self._refuse_when_stuck()
        self._files.take_over()
        self._target.be_in_charge()


_ABILITIES = {SupportsNumbering: _Numbering, SupportsClaim: _Claiming, SupportsFence: _Fencing}


@functools.cache
def _spooled_class(backend: type[HistoryStore]) -> type[SpooledHistory]:
    """Return the class for a store: a spool has those abilities of its store that loops need."""
    bases = [with_ability for ability, with_ability in _ABILITIES.items() if issubclass(backend, ability)]
    return type("SpooledHistory", tuple(bases) or (SpooledHistory,), {"__doc__": SpooledHistory.__doc__})


_live: weakref.WeakSet[SpooledHistory] = weakref.WeakSet()


def _forget_all() -> None:
    for history in list(_live):
        history._forget()  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
