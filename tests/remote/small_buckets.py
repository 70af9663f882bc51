"""Histories in fsspec's memory with buckets of eight commits, and a back door to their objects."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from appended import record

from iterlog import open_history
from iterlog.backends import remote
from iterlog.backends.remote import RemoteHistory
from iterlog.background import Background
from iterlog.lines import encode_body, finish_lines
from iterlog.position import Durability
from iterlog.remote import committing, layout, reading, sealing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iterlog import Position

BUCKET = 8
FOREIGN = b'{"iteration": 3, "note": "of another program", "metrics": {}}'
DAMAGED = b'{"iteration":4,"metrics":{},"crc":"00000000"}'


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket nobody used yet; what is sealed may be collected at once."""
    for module in (committing, layout, reading, sealing, remote):
        monkeypatch.setattr(module, "BUCKET", BUCKET)
    monkeypatch.setattr(sealing, "COLLECTED_AFTER", dt.timedelta(0))
    monkeypatch.setattr(Background, "wake", lambda _background: None)  # a test seals when it says so
    return f"fsspec+memory://bucket-{uuid.uuid4().hex}/runs"


def opened(url: str, **options: Any) -> RemoteHistory:
    """Open a history."""
    history = open_history(url, **options)
    assert isinstance(history, RemoteHistory)
    return history


def append_all_kinds(url: str, rounds: int = 4) -> None:
    """Append singles, batches, fences, commits of several appends, and foreign and damaged lines: eleven a round."""
    for turn in range(rounds):
        with opened(url) as history:
            history.resume()
            history.append(record(f"single {turn}"))
            history.extend([record(f"batch {turn} {i}") for i in range(3)])
            history._append([FOREIGN], Durability.SYNC)
            history._append([FOREIGN, DAMAGED], Durability.SYNC)
            history.append(record(f"a low number {turn}", 2))
            history.append(record(f"a high number {turn}", 100 * turn))
            falling = [(1, encode_body(record("x", 1))), (0, encode_body(record("y", 0)))]
            history._append(finish_lines(falling), Durability.SYNC)
        with opened(url, batch_records=4) as history:
            for i in range(4):
                history.append(record(f"waits {turn} {i}"))
            history.extend([record(f"waits {turn} {i}") for i in range(4, 9)])
            history.append(record("the last"))


def append_singles(url: str, count: int) -> None:
    """Append records, one a commit."""
    with opened(url) as history:
        for i in range(count):
            history.append(record(str(i)))


def everything(history: RemoteHistory) -> list[tuple[Position, bytes]]:
    """Return all lines with the positions behind them."""
    return list(history.lines())


class Objects:
    """The objects of a history, without the store."""

    def __init__(self, url: str) -> None:
        self._system = fsspec.filesystem("memory")
        self._root = url.partition("://")[2].partition("?")[0]

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, however deep, rising."""
        start = f"/{self._root}/"
        return sorted(key.removeprefix(start) for key in self._system.store if key.startswith(f"{start}{folder}"))

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self._system.cat_file(f"{self._root}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Put an object, over any that is there."""
        self._system.pipe_file(f"{self._root}/{name}", data)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects."""
        for name in names:
            self._system.rm(f"{self._root}/{name}")
