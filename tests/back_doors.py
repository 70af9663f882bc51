"""Reaching stored bytes without the store: what a killed writer and a failing disk leave behind."""

from __future__ import annotations

import os
from pathlib import Path

from iterlog.backends import memory
from iterlog.url import HistoryURL

BEGINNING = b'{"iteration":7,"timestamp":"2025-01-09T12:34:56.789012+00:00","code":"half a progr'


def tear_memory(url: str) -> None:
    """Leave the beginning of an append in a history in memory."""
    memory._histories.setdefault(_name_in_memory(url), memory.Shared()).torn = BEGINNING


def corrupt_memory(url: str, index: int) -> None:
    """Change a byte in the middle of a line in memory."""
    lines = memory._histories[_name_in_memory(url)].lines
    lines[index] = changed(lines[index])


def tear_file(url: str) -> None:
    """Write the beginning of a line behind the last newline of a file."""
    with Path(HistoryURL.parse(url).local_path()).open("ab") as file:
        file.write(BEGINNING)


def corrupt_file(url: str, index: int) -> None:
    """Change a byte in the middle of a line of a file, in place."""
    path = Path(HistoryURL.parse(url).local_path())
    lines = path.read_bytes().splitlines(keepends=True)
    offset = sum(map(len, lines[:index]))
    with path.open("r+b") as file:
        file.seek(offset, os.SEEK_SET)
        file.write(changed(lines[index][:-1]))


def changed(line: bytes) -> bytes:
    """Return a line in which one bit of the byte in the middle is flipped."""
    middle = len(line) // 2
    return line[:middle] + bytes([line[middle] ^ 1]) + line[middle + 1 :]


def _name_in_memory(url: str) -> str:
    parsed = HistoryURL.parse(url)
    return (parsed.host + parsed.path).rstrip("/")
