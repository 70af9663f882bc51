"""Source and destination read side by side, and held to be the same: line by line, and by SHA-256."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError
from iterlog.lines import holds_record, lines_to_follow
from iterlog.position import START, Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.store import HistoryStore


class Proof:
    """Reads source and destination side by side, as far as both go, and holds them to be the same.

    Attributes:
        lines: How many lines were compared.
        plain_bytes: Their bytes, newlines included.
        source_position: The position in the source behind them.

    Args:
        source: What was copied.
        destination: Where it was copied to.
        begins: The position in the destination before the first line.
        keep: How many of the last records the caller will want to keep in the source.
    """

    def __init__(self, source: HistoryStore, destination: HistoryStore, begins: Position, keep: int = 0) -> None:
        self.lines = 0
        self.plain_bytes = 0
        self.source_position = START
        self._source = source
        self._destination = destination
        self._destination_position = begins
        self._source_hash = hashlib.sha256()
        self._destination_hash = hashlib.sha256()
        self._keep = keep
        self._append_begins = START
        self._append_records = 0
        self._last: deque[tuple[Position, int]] = deque()  # where the last appends begin, and their records
        self._last_records = 0

    def go_on(self, until: Position, on_compared: Callable[[int], None] = lambda _count: None) -> None:
        """Compare what stands behind what was compared so far.

        Args:
            until: A position of the source; what stands behind it was not copied yet.
            on_compared: Called for each line, with 1.

        Raises:
            CorruptionError: The destination does not hold what the source does.
        """
        copied = self._destination.lines(self._destination_position)
        for position, line in self._source.lines(self.source_position):
            if position > until:
                break
            there, copy_of_it = next(copied, (self._destination_position, b""))
            if there <= self._destination_position or copy_of_it != line:
                self._fail("another line stands there" if copy_of_it else "it ends there")
            self._source_hash.update(b"%b\n" % line)
            self._destination_hash.update(b"%b\n" % copy_of_it)
            self.lines += 1
            self.plain_bytes += len(line) + 1
            self.source_position, self._destination_position = position, there
            if self._keep:
                self._remember(position, line)
            on_compared(1)
        if next(copied, None) is not None:
            self._fail("it goes on behind the source's end")
        if self._source_hash.digest() != self._destination_hash.digest():
            self._fail("its SHA-256 is another one")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the plain bytes, read back from the destination, in hex."""
        return self._destination_hash.hexdigest()

    @property
    def kept_from(self) -> Position:
        """The position in the source before the oldest append that is needed for the last ``keep`` records."""
        return self._last[0][0] if self._last else self._append_begins

    def _remember(self, position: Position, line: bytes) -> None:
        self._append_records += holds_record(line)
        if lines_to_follow(line):
            return
        self._last.append((self._append_begins, self._append_records))
        self._last_records += self._append_records
        self._append_begins, self._append_records = position, 0
        while self._last_records - self._last[0][1] >= self._keep:
            self._last_records -= self._last.popleft()[1]

    def _fail(self, what: str) -> None:
        raise CorruptionError(
            f"the copy is not what the source holds: behind line {self.lines:,} {what}; nothing was removed; "
            "remove the copy and start again",
            url=self._destination.url,
            position=self._destination_position,
        )
