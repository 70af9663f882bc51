"""Everything a history offers to who only reads it.

Reading takes no lock and never blocks a writer. A reader sees a prefix of the history: whole appends, in order, nothing
that a writer may still take back.
"""

from __future__ import annotations

import enum
import logging
import re
import time
from abc import ABC, abstractmethod
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, final

from iterlog.errors import ConfigError, CorruptionError, HistoryClosedError
from iterlog.lines import DamagedLineError, decode_line, holds_record, salvage, stored_hash_differs
from iterlog.options import Option, boolean, choice_of
from iterlog.position import START, Durability, Position
from iterlog.reports import ADVICE, Fault, FaultKind, VerifyReport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from iterlog.record import IterationRecord
    from iterlog.url import HistoryURL

logger = logging.getLogger("iterlog")
logger.addHandler(logging.NullHandler())  # what is logged is shown where the application wants it

_AREAD_BATCH = 64
_SHOWN_NUMBER = re.compile(rb'\{"iteration":\d+,')


class OnDamage(enum.Enum):
    """What reading does about a line that holds no readable record."""

    SKIP = "skip"
    RAISE = "raise"


COMMON_OPTIONS: Mapping[str, Option] = {
    "durability": Option(choice_of(Durability), Durability.SYNC, "sync: survives power loss; flush: survives a kill"),
    "on_damage": Option(choice_of(OnDamage), OnDamage.SKIP, "skip damaged lines with a warning, or raise"),
    "create": Option(boolean, True, "false: a missing history is an error, not an empty one"),
}
"""Options every backend knows."""


class HistoryReader(ABC):
    """The reading half of a history; `iterlog.HistoryStore` adds the writing half.

    A backend implements `_scan`, and overrides the other hooks where it can do better than the default.
    """

    OPTIONS: ClassVar[Mapping[str, Option]] = COMMON_OPTIONS

    def __init__(
        self,
        url: HistoryURL,
        *,
        durability: Durability = Durability.SYNC,
        on_damage: OnDamage = OnDamage.SKIP,
        create: bool = True,
    ) -> None:
        self._url = url
        self._durability = durability
        self._on_damage = on_damage
        self._create = create
        self._closed = False
        self._reported: set[Position] = set()

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse a class whose own name for something, private ones included, is taken: both would misbehave."""
        super().__init_subclass__(**keywords)
        for name in vars(cls):
            if any(getattr(vars(base).get(name), "__final__", False) for base in cls.__mro__[1:]):
                raise TypeError(f"{cls.__name__}.{name} would replace a part of every history; choose another name")

    # hooks of a backend

    @abstractmethod
    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        """Yield each whole line behind a position, oldest first, with the position after it.

        Lines come without their newline; damaged ones come too. Appends that are not whole do not come. What is
        appended after the first line was asked for may come or not.

        Raises:
            ConfigError: ``start`` is no position of this history.
            CorruptionError: The history ends before ``start``.
        """

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        """Yield what `_scan` yields, newest first."""
        return iter(list(self._scan(START))[::-1])

    def _scan_last(self, count: int) -> Iterator[tuple[Position, bytes]]:  # noqa: ARG002 - for who can make use of it
        """Yield what `_scan_back` yields, to a caller who most likely stops after so many lines."""
        return self._scan_back()

    def _scan_for(self, iteration: int) -> Iterator[tuple[Position, bytes]]:
        """Yield, newest first, every line that may hold a record with a number; others may come, too."""
        wanted = b'{"iteration":%d,' % iteration
        for position, line in self._scan_back():
            # Lines of ours show their number without being decoded; those of others may write it in another way.
            if wanted in line or not _SHOWN_NUMBER.match(line):
                yield position, line

    def _count(self) -> int:
        """Return how many records `read` yields."""
        return sum(1 for _, line in self._scan(START) if holds_record(line))

    def _pause(self, poll_s: float, idle_s: float) -> float:  # noqa: ARG002 - for stores where a look costs money
        """Return how long `follow` waits before its next look, after so many seconds without a new record."""
        return poll_s

    def _scan_to_verify(self, report: Callable[[Fault], None]) -> Iterator[tuple[Position, bytes]]:  # noqa: ARG002 - for who has parts
        """Yield what `_scan` yields of the whole history; where that would tell of damage, or raise it, report it."""
        return self._scan(START)

    def _unread(self) -> Iterable[Fault]:
        """Return what `_scan` passes over: appends that are not whole."""
        return ()

    # what users call

    @property
    def url(self) -> str:
        """Where the history lives, without options and credentials."""
        return str(self._url)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @final
    def read(self, start: Position | None = None) -> Iterator[IterationRecord]:
        """Return an iterator over the records behind a position, oldest first.

        Where retention removed what stood behind the position before it was read, that is a warning, once, and reading
        goes on where the history begins now; with ``on_damage=raise`` it is an error whose position is that place.

        Args:
            start: A position of this history; None for its beginning, wherever that is by now.

        Raises:
            ConfigError: ``start`` is no position of this history.
            CorruptionError: A line is damaged, or what was to be read was removed, and ``on_damage=raise``; or the
                history ends before ``start``.
            UnavailableError: The storage cannot be read.
        """
        self._check_open()
        return self._read(_checked_start(start))

    @final
    def entries(self, start: Position | None = None) -> Iterator[tuple[Position, IterationRecord]]:
        """Return an iterator as `read` does, each record with the position after it; raises the same errors."""
        self._check_open()
        return self._entries(_checked_start(start))

    @final
    def lines(self, start: Position | None = None) -> Iterator[tuple[Position, bytes]]:
        """Return an iterator over the stored lines behind a position, undecoded, damaged ones included.

        This is how a history is copied without being understood. Each line comes without its newline and with the
        position after it. Raises what `read` raises, damage aside.
        """
        self._check_open()
        return self._scan(_checked_start(start))

    @final
    def entries_back(self) -> Iterator[tuple[Position, IterationRecord]]:
        """Return an iterator as `entries` does, newest first; raises what `read` raises."""
        self._check_open()
        newest_first = self._decoded(self._scan_back())
        return ((position, record) for position, record in newest_first if record is not None)

    @final
    def __iter__(self) -> Iterator[IterationRecord]:
        return self.read()

    @final
    def __reversed__(self) -> Iterator[IterationRecord]:
        return (record for _, record in self.entries_back())

    @final
    def __len__(self) -> int:
        self._check_open()
        return self._count()

    def __bool__(self) -> bool:
        """A history is true even when empty: it is a handle, not a list."""
        return True

    @final
    def tail(self, n: int = 10) -> list[IterationRecord]:
        """Return the last ``n`` records, oldest first; raises what `read` raises."""
        if n < 0:
            raise ConfigError(f"tail takes a number from 0 on, not {n}", url=self.url)
        self._check_open()
        newest_first = (record for _, record in self._decoded(self._scan_last(n)) if record is not None)
        return list(islice(newest_first, n))[::-1]

    @final
    def last(self) -> IterationRecord | None:
        """Return the newest readable record, or None; raises what `read` raises."""
        return next(reversed(self), None)

    @final
    def get(self, iteration: int) -> IterationRecord | None:
        """Return the newest record with a number, or None; raises what `read` raises."""
        self._check_open()
        for _, record in self._decoded(self._scan_for(iteration)):
            if record is not None and record.iteration == iteration:
                return record
        return None

    @final
    def follow(
        self, start: Position | None = None, *, poll_s: float = 0.2, idle_s: float | None = None
    ) -> Iterator[IterationRecord]:
        """Return an iterator over the records behind a position that waits for more instead of ending.

        Who follows more slowly than retention removes is told as by `read`.

        Args:
            start: A position of this history; None for its beginning.
            poll_s: Seconds between two looks; a remote store is asked less often while nothing comes.
            idle_s: End after so many seconds without a new record; None: go on until the history is closed.

        Raises:
            CorruptionError: The history became shorter than what was read; or a line is damaged, or was removed before
                it was read, and ``on_damage=raise``.
            UnavailableError: The storage cannot be read.
        """
        self._check_open()
        return self._follow(_checked_start(start), poll_s, idle_s)

    @final
    def verify(self) -> VerifyReport:
        """Check every line of the history and return what is damaged, whatever ``on_damage`` is; changes nothing.

        Raises:
            UnavailableError: The storage cannot be read.
        """
        self._check_open()
        records, end = 0, START
        faults: list[Fault] = []
        for position, line in self._scan_to_verify(faults.append):
            end = position
            try:
                record: IterationRecord | None = decode_line(line)
            except DamagedLineError as damage:
                faults.append(Fault(position, damage.kind, damage.detail))
                record = salvage(line)
            else:
                if record is not None and stored_hash_differs(line, record):
                    faults.append(Fault(position, FaultKind.CODE_HASH, "the stored hash is not that of the code"))
            records += record is not None
        faults.extend(self._unread())
        return VerifyReport(records, end, tuple(sorted(faults, key=lambda fault: fault.position)))

    @final
    async def aread(self, start: Position | None = None) -> AsyncIterator[IterationRecord]:
        """Yield what `read` yields without blocking the event loop; raises the same errors."""
        import asyncio  # noqa: PLC0415 - costs 60 ms that a loop without async should not pay

        records = self.read(start)
        while batch := await asyncio.to_thread(lambda: list(islice(records, _AREAD_BATCH))):
            for record in batch:
                yield record

    # how they are made

    @final
    def _check_open(self) -> None:
        if self._closed:
            raise HistoryClosedError("this history was closed; open it again", url=self.url)

    @final
    def _read(self, start: Position) -> Iterator[IterationRecord]:
        for position, line in self._scan(start):
            try:
                yield decode_line(line)
            except DamagedLineError as damage:
                record = self._damaged(position, line, damage)
                if record is not None:
                    yield record

    @final
    def _entries(self, start: Position) -> Iterator[tuple[Position, IterationRecord]]:
        for position, record in self._decoded(self._scan(start)):
            if record is not None:
                yield position, record

    @final
    def _decoded(self, lines: Iterable[tuple[Position, bytes]]) -> Iterator[tuple[Position, IterationRecord | None]]:
        """Yield each line's record, or None for damage that is skipped."""
        for position, line in lines:
            try:
                yield position, decode_line(line)
            except DamagedLineError as damage:
                yield position, self._damaged(position, line, damage)

    @final
    def _damaged(self, position: Position, line: bytes, damage: DamagedLineError) -> IterationRecord | None:
        """Report a damaged line as the user asked, once; return the record that it still ends with, if any."""
        message = f"damaged line before position {position}: {damage.detail}; {ADVICE[damage.kind]}"
        if self._on_damage is OnDamage.RAISE:
            raise CorruptionError(f"{message}; read on from this position", url=self.url, position=position)
        if position not in self._reported:
            self._reported.add(position)
            logger.warning("%s: %s", self.url, message)
        return salvage(line)

    @final
    def _follow(self, position: Position, poll_s: float, idle_s: float | None) -> Iterator[IterationRecord]:
        waited_since = time.monotonic()
        while not self._closed:
            for after, record in self._decoded(self._scan(position)):
                position = after
                if record is not None:
                    yield record
                    waited_since = time.monotonic()
            idle_for = time.monotonic() - waited_since
            if idle_s is not None and idle_for >= idle_s:
                return
            time.sleep(self._pause(poll_s, idle_for))


def _checked_start(start: Position | None) -> Position:
    if start is None:
        return START
    if not isinstance(start, Position):
        raise ConfigError(f"{start!r} is not a Position; use Position.parse on stored text")
    return start
