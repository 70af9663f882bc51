"""``memory://name``: a history in this process, and the readable specification of every other one.

All handles on one name share one list of lines until the process ends. What a file does with bytes, locks and repairs,
this does with a list, one lock and one variable; where a backend's behaviour is in doubt, it is as here.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from iterlog.abilities import SupportsClaim, SupportsNumbering
from iterlog.errors import ConfigError, ConflictError, CorruptionError, HistoryNotFoundError
from iterlog.lines import DamagedLineError, decode_line
from iterlog.position import START, Durability, Position
from iterlog.reports import Dropped, Fault, FaultKind
from iterlog.store import HistoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.url import HistoryURL


@dataclass
class Shared:
    """What all handles on one name see."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    lines: list[bytes] = field(default_factory=list)
    torn: bytes = b""
    """The beginning of an append that never came to its end; nothing here makes one, a test may."""
    highest: int = -1
    """The highest iteration number ever stored."""
    claimed_by: MemoryHistory | None = None
    claimed_since: str = ""


_histories: dict[str, Shared] = {}
_histories_lock = threading.Lock()


class MemoryHistory(HistoryStore, SupportsNumbering, SupportsClaim):
    """A history in this process's memory: for tests, and to read how a history behaves.

    A position is the number of lines before it. "Durable" means here: until the process ends.
    """

    def __init__(self, url: HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        name = (url.host + url.path).rstrip("/")
        if not name:
            raise ConfigError("a history in memory needs a name: memory://name", url=str(url))
        with _histories_lock:
            self._shared = _histories.setdefault(name, Shared())
        # Opening makes room for a history; what makes it one is the first append, as everywhere.
        if not self._create and not (self._shared.lines or self._shared.torn):
            raise HistoryNotFoundError("there is no history of this name in memory", url=str(url))

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        return self._append_numbered(lambda _number: lines, durability)

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:  # noqa: ARG002 - memory is as durable as it gets
        with self._shared.lock:
            self._set_torn_aside()
            lines = make(self._shared.highest + 1)
            # The number before the lines: a Ctrl-C between the two leaves one out, and never hands one out twice.
            self._shared.highest = max(self._shared.highest, *map(_number_of, lines))
            self._shared.lines.extend(lines)
            return Position.of(len(self._shared.lines))

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        lines = self._shared.lines
        first = start[0] if start else 0
        if len(start) > 1:
            raise ConfigError(f"position {start} is not one of this history", url=self.url)
        end = len(lines)  # an append that comes while we read is for the next reader
        if first > end:
            raise CorruptionError(f"the history ends before position {start}", url=self.url, position=start)
        for i in range(first, end):
            yield Position.of(i + 1), lines[i]

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        for i in range(len(self._shared.lines), 0, -1):
            yield Position.of(i), self._shared.lines[i - 1]

    def _next_number(self) -> int:
        return max(self._shared.highest + 1, super()._next_number())

    def _repair(self) -> None:
        with self._shared.lock:
            self._set_torn_aside()

    def _set_torn_aside(self) -> None:
        torn, self._shared.torn = self._shared.torn, b""
        if torn:
            end = Position.of(len(self._shared.lines)) if self._shared.lines else START
            self._report_dropped(Dropped(end, len(torn), FaultKind.TORN, None))

    def _unread(self) -> list[Fault]:
        torn = self._shared.torn
        end = Position.of(len(self._shared.lines))
        return [Fault(end, FaultKind.TORN, f"{len(torn)} bytes of an unfinished append")] if torn else []

    def _claim(self) -> None:
        shared = self._shared
        with shared.lock:
            if shared.claimed_by not in {None, self}:
                raise ConflictError(
                    f"a loop is running on this history: process {os.getpid()} (this one) since "
                    f"{shared.claimed_since}; close its handle first",
                    url=self.url,
                )
            if shared.claimed_by is None:
                shared.claimed_by = self
                shared.claimed_since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

    def _close(self) -> None:
        with self._shared.lock:
            if self._shared.claimed_by is self:
                self._shared.claimed_by = None


def _number_of(line: bytes) -> int:
    try:
        return decode_line(line).iteration or 0
    except DamagedLineError:
        return -1
