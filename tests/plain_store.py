"""The smallest store there can be: two methods, and none of the abilities."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import iterlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iterlog import Durability, Position


class PlainHistory(iterlog.HistoryStore):
    """A list of lines per URL. It hands out no numbers, cannot be claimed, and is read from the beginning only."""

    _lists: ClassVar[dict[str, list[bytes]]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._lines = self._lists.setdefault(str(url), [])
        if not self._create and not self._lines:
            raise iterlog.HistoryNotFoundError("there is no such list", url=self.url)

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:  # noqa: ARG002 - nothing to sync
        with self._lock:
            self._lines.extend(lines)
            return iterlog.Position.of(len(self._lines))

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        lines = self._lines[:]
        first = start[0] if start else 0
        if first > len(lines):
            raise iterlog.CorruptionError("the list ends before this position", url=self.url, position=start)
        for i, line in enumerate(lines[first:], first + 1):
            yield iterlog.Position.of(i), line


iterlog.register_backend("plain", PlainHistory)
