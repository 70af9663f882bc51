"""Reaching the bytes of a rotating set without the store."""

from __future__ import annotations

import time
from pathlib import Path

from back_doors import BEGINNING, changed

import iterlog
from iterlog.backends.rotating import RotatingHistory
from iterlog.rotation.layout import Part, read_listing
from iterlog.segments.packing import Codec
from iterlog.segments.sealing import seal_bytes
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource
from iterlog.url import HistoryURL


def tear_set(url: str) -> None:
    """Write the beginning of a line behind the last newline of the active file."""
    directory = Path(HistoryURL.parse(url).local_path())
    active = read_listing(str(directory)).active if directory.is_dir() else None
    directory.mkdir(exist_ok=True)
    with (directory / (active.name if active else "000000000000.jsonl")).open("ab") as file:
        file.write(BEGINNING)


def corrupt_set(url: str, index: int) -> None:
    """Change a byte in the middle of a line; in a compressed file, as if it had changed before it was compressed."""
    directory = Path(HistoryURL.parse(url).local_path())
    part = next(part for part in read_listing(str(directory)).parts if part.end is None or index < part.end)
    path = directory / part.name
    lines = _plain(path, part).splitlines(keepends=True)
    line = lines[index - part.first]
    lines[index - part.first] = changed(line[:-1]) + b"\n"
    plain = b"".join(lines)
    path.write_bytes(plain if part.codec is None else seal_bytes(plain, codec=Codec(part.codec))[0])


def corrupt_idle_set(url: str, index: int) -> None:
    """Do the same once every sealed file is compressed."""
    directory = HistoryURL.parse(url).local_path()
    deadline = time.monotonic() + 20
    with iterlog.open_history(url) as history:
        assert isinstance(history, RotatingHistory)
        while any(part.codec is None for part in read_listing(directory).sealed) or read_listing(directory).redundant:
            assert time.monotonic() < deadline, "the keeper does not come to an end"
            list(history.compress())
    corrupt_set(url, index)


def _plain(path: Path, part: Part) -> bytes:
    data = path.read_bytes()
    return data if part.codec is None else b"".join(SealedSegment(BytesSource(data)).chunks())
