"""What the fault tests build histories of, and how they look at the files behind a history's back."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterlog import IterationRecord, open_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iterlog import HistoryStore

_IN_MEMORY = Path("/dev/shm")

TEXT = "é→数🐍"
"""One character of each length that UTF-8 has, so that cuts fall into the middle of characters."""


@contextlib.contextmanager
def quick_directory() -> Iterator[Path]:
    """Give a new directory where syncing costs nothing, for tests that repair a file a thousand times."""
    usable = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if usable else None) as name:
        yield Path(name).resolve()


def record(number: int | None, code: str = TEXT) -> IterationRecord:
    """Make a small record whose every text has characters of several bytes."""
    return IterationRecord(number, code, {"sharpe_ratio": 1.5}, f"try {TEXT} next")


def records(numbers: Iterable[int | None], code: str = TEXT) -> list[IterationRecord]:
    """Make a small record for each number."""
    return [record(number, code) for number in numbers]


def write_history(path: Path, *appends: list[IterationRecord], **options: Any) -> bytes:
    """Write a history of some appends, a list of several records being a batch, and return the file's bytes."""
    with open_history(path, **{"durability": "flush", **options}) as history:
        for batch in appends:
            history.extend(batch)
    return path.read_bytes()


def numbers(history: HistoryStore) -> list[int | None]:
    """Return the iteration numbers of a history, oldest first."""
    return [found.iteration for found in history]


def numbers_at(path: Path) -> list[int | None]:
    """Return the iteration numbers that a fresh handle reads at a path."""
    with open_history(path) as history:
        return numbers(history)


def torn_files(path: Path) -> list[Path]:
    """Return the files of set-aside bytes beside a history, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.torn-*"))


def beside(path: Path) -> set[str]:
    """Return the names in a history's directory."""
    return {entry.name for entry in path.parent.iterdir()}


def flips(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the changed bytes for each bit between two offsets, flipped alone."""
    for bit in range(start * 8, end * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(changed)
