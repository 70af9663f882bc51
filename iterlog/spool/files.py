"""The directory of a spool: made by the first append, and safe to be killed in at any instant.

Every line that was ever appended has a number, from 1 on, which never changes: the backlog is a rotating set, whose
positions are such numbers, and what the store has is removed from it a whole file at a time. The newest line stays, so
that it is known while the store is away.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from iterlog.backends.rotating import Compress, RotatingHistory
from iterlog.errors import ConfigError, ConflictError, IterlogError, UnavailableError
from iterlog.files.durable import make_directories, sync_directory
from iterlog.files.failures import translated
from iterlog.files.keeperlock import KeeperLock
from iterlog.files.lockfile import LockFile
from iterlog.files.machine import boot_id
from iterlog.lines import lines_to_follow
from iterlog.position import START, Durability, Position
from iterlog.rotation.layout import LOCK_NAME, read_listing
from iterlog.spool.drained import DrainedMap
from iterlog.spool.state import Known, State, StateFile
from iterlog.url import HistoryURL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PRIVATE = 0o700
_OUR_NAMES = {"backlog", "drained", "drained.tmp", "lock", "state.json", "state.json.tmp"}
_ADOPT_WAIT_S = 10.0
_FILE_RECORDS = 1000
_FILE_BYTES = 1 << 20
_TOP = 9 * 10**18
"""The first part of positions in a spool begins here: behind all that stores give."""


class SpoolFiles:
    """One spool, as one handle has it open.

    Args:
        directory: Where it is; it need not exist.
        store: Which history it belongs to.
        kind: The class of its store.
        url: How errors name the history.

    Raises:
        ConfigError: The directory is the spool of another history.
    """

    def __init__(self, directory: str, *, store: str, kind: str, url: str) -> None:
        self.path = directory
        self.url = url
        self._backlog_path = os.path.join(directory, "backlog")
        backlog_url = HistoryURL("rotating", "", self._backlog_path, text=self._backlog_path)
        self.backlog = RotatingHistory(
            backlog_url, compress=Compress.OFF, max_records=_FILE_RECORDS, max_bytes=_FILE_BYTES
        )
        self.map = DrainedMap(os.path.join(directory, "drained"))
        self._state_file = StateFile(os.path.join(directory, "state.json"))
        self._new = State(store, kind, 0)
        self._state: State | None = None
        self._mutex = threading.Lock()
        self._lock = LockFile(os.path.join(directory, "lock"), url)
        self.drain_lock = KeeperLock(os.path.join(self._backlog_path, LOCK_NAME))
        self._learned: Known | None = None
        self._loop: int | None = None  # which of the loops on this spool this handle runs
        self._mark: tuple[int, int] | None = None
        self.state()

    # appending

    def append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        """Store lines durably behind all that wait; return the position behind them."""
        if self._loop is not None:
            return self.append_numbered(lambda _number: lines, durability)
        self._begin()
        return self.position_of(self.backlog._append(lines, durability)[0])  # noqa: SLF001 - our own set

    def append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        """Store lines made for the first number that is free in the backlog."""
        self._begin()

        def make_in_charge(number: int) -> Sequence[bytes]:
            self.check_in_charge()  # under the backlog's lock: nobody takes over between this and the append
            return make(number)

        return self.position_of(self.backlog._append_numbered(make_in_charge, durability)[0])  # noqa: SLF001 - as above

    def take_over(self) -> None:
        """Make sure that no handle of this spool that took it over before this one appends any more.

        Raises:
            ConflictError: Another one took it over since this one did.
        """
        self.check_in_charge()
        if self._loop is None:
            self._begin()
            with self._locked():
                state = self._state_file.read() or self._new
                state = replace(state, loops=state.loops + 1)
                self._state_file.write(state)
                self._state, self._loop = state, state.loops

    def check_in_charge(self) -> None:
        """Refuse when another handle took the history over from this one.

        Raises:
            ConflictError: One did.
        """
        if self._loop is None:
            return
        mark = self._state_file.mark()
        if mark != self._mark:
            state = self._state_file.read()
            if state is not None and state.loops != self._loop:
                raise ConflictError(
                    "a later loop took this history over through the same spool; nothing was written; stop this one",
                    url=self.url,
                )
            self._mark = mark

    def learn(self, known: Known) -> None:
        """Keep what is known of the store: at once where there is a spool, else with the first append."""
        state = self.state()
        if state is None:
            self._learned = known
            return
        if state.known != known:
            with self._locked():
                state = self._state_file.read() or state
                self._state = replace(state, known=known)
                self._state_file.write(self._state)

    def adopt(self, kind: str) -> None:
        """Begin anew when the store has become one of another class, whose positions are others.

        The positions this spool gave before are refused from now on. What waits goes on waiting.

        Raises:
            UnavailableError: Another process is draining.
        """
        if self.state() is None:
            self._new = State(self._new.store, kind, 0)
            return
        if self.state().kind == kind:  # type: ignore[union-attr]  # checked above
            return
        deadline = time.monotonic() + _ADOPT_WAIT_S
        while not self.drain_lock.try_acquire():
            if time.monotonic() > deadline:
                raise UnavailableError("another process is draining this spool; try again", url=self.url)
            time.sleep(0.01)
        try:
            self._renew(kind)
        finally:
            self.drain_lock.release()

    # what there is

    def state(self) -> State | None:
        """Return whose spool this is and what it knows; None when there is no spool yet."""
        if self._state is None:
            try:
                state = self._state_file.read()
            except IterlogError:
                raise
            except OSError as error:
                raise translated(error, self.url) from error
            if state is None:
                return None
            self._check(state)
            self._state = state
        return self._state

    @property
    def known(self) -> Known | None:
        """What was last known of the store."""
        state = self.state()
        if state is not None and state.known is None:
            self._state = None  # another handle may have seen the store since
            state = self.state()
        return self._learned if state is None else state.known or self._learned

    def known_end(self) -> Position:
        """Return where the store ended when it was seen last."""
        known, last = self.known, self.map.last()
        ends = [Position.parse(known.position)] if known and known.line is not None else []
        return max([*ends, last.position if last else START, self.map.base() or START])

    def end(self) -> int:
        """Return the number of the newest line that was appended; 0 when there is none."""
        newest = next(self.backlog._scan_back(), None)  # noqa: SLF001 - as above
        return newest[0][0] if newest else self._begins_at()

    def lines(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yield the lines behind a number that are still here, oldest first."""
        if after <= self.end():
            for position, line in self.backlog._scan(Position.of(after)):  # noqa: SLF001 - as above
                yield position[0], line

    def lines_back(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are here, those that the store has included, newest first."""
        for position, line in self.backlog._scan_back():  # noqa: SLF001 - as above
            yield position[0], line

    def appends(self, after: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yield what was appended behind a number, append by append, each with the number of its last line."""
        batch: list[bytes] = []
        missing = 0
        for number, line in self.lines(after):
            batch.append(line)
            # A damaged line cannot say what follows it: it is an append of its own, unless one before counts it.
            missing = missing - 1 if missing else lines_to_follow(line) or 0
            if not missing:
                yield number, batch
                batch = []
        if batch:
            yield number, batch

    # positions

    def position_of(self, number: int) -> Position:
        """Return the position behind a line of the spool: it stays the same, wherever the line is."""
        state = self.state()
        return Position.of(_TOP + (state.created if state else 0), number)

    def number_at(self, position: Position) -> int | None:
        """Return the number of the line a position stands behind; None for a position of the store."""
        if not position or position[0] < _TOP:
            return None
        if len(position) != 2 or position != self.position_of(position[1]):  # noqa: PLR2004 - spool and number
            return -1
        return position[1]

    # keeping

    def remove_drained(self) -> None:
        """Remove the files whose lines the store has, the newest line aside; only under the drain lock."""
        end = self.map.last_end()
        gone = [part.name for part in read_listing(self._backlog_path).sealed if (part.end or end) < end]
        if gone:
            self.map.sync()  # what is removed here cannot be looked for in the store any more
            for name in gone:
                os.unlink(os.path.join(self._backlog_path, name))
            sync_directory(self._backlog_path)

    def close(self) -> None:
        """Release everything."""
        try:
            self.backlog.close()
        finally:
            self.map.close()
            self._lock.close()

    def forget(self) -> None:
        """Start anew in a forked child."""
        self._mutex = threading.Lock()
        self._lock.forget()

    def _begin(self) -> None:
        """Have a directory that says whose it is before anything is stored in it."""
        if self._state is not None and self.map.exists():
            return
        with self._locked():
            if not self.map.exists():
                # Lines without a map: it was lost, and how many of them the store has must be found out.
                end = self.end()
                first = self._begins_at() if end else 0
                self.map.create(first, end)
            found = self._state_file.read()
            state = found or replace(self._new, created=int(time.time()))
            self._check(state)
            state = replace(state, known=state.known or self._learned)
            if state != found:
                self._state_file.write(state)
            self._state = state

    def _renew(self, kind: str) -> None:
        with self._locked():
            state = self._state_file.read()
            if state is not None and state.kind != kind:
                self.map.refresh()
                last = self.map.last_end()
                self.map.create(last, max(last, self.map.attempted()))
                created = max(int(time.time()), state.created + 1)
                known = state.known and replace(state.known, position="0")
                state = replace(state, kind=kind, created=created, known=known)
                self._state_file.write(state)
            self._state = state
        self.map.refresh()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from changing what says whose spool this is."""
        with self._mutex:
            try:
                self._make_directory()
                self._lock.acquire()
                try:
                    yield
                finally:
                    self._lock.release()
            except IterlogError:
                raise
            except OSError as error:
                raise translated(error, self.url) from error

    def _make_directory(self) -> None:
        make_directories(os.path.dirname(self.path))
        try:
            os.mkdir(self.path, _PRIVATE)
            sync_directory(os.path.dirname(self.path))
        except FileExistsError:
            others = set(os.listdir(self.path)) - _OUR_NAMES
            if others:
                raise ConfigError(
                    f"{self.path!r} holds {min(others)!r}, which is no spool's; name another directory with spool=",
                    url=self.url,
                ) from None

    def _check(self, state: State) -> None:
        if state.store != self._new.store:
            raise ConfigError(
                f"{self.path!r} is the spool of {state.store!r}; give each history a spool of its own", url=self.url
            )

    def _begins_at(self) -> int:
        try:
            return read_listing(self._backlog_path).begins_at
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise translated(error, self.url) from error


def this_boot() -> int:
    """Return a number for this boot of the machine."""
    return zlib.crc32(boot_id().encode()) or 1
