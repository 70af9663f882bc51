"""Histories to archive, and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import iterlog

if TYPE_CHECKING:
    from pathlib import Path


def make_source(path: Path, count: int = 250) -> Path:
    """Make a plain history with single records, batches, another program's line, and two damaged lines."""
    with iterlog.open_history(path, durability="flush") as history:
        i = 0
        while i < count:
            if i % 50 == 7:
                history.extend({"iteration": i + k, "code": "b", "metrics": {}, "feedback": "batch"} for k in range(5))
                i += 5
            else:
                history.save(code=f"x = {i}\n" * 10, metrics={"a": i / 4}, feedback=f"f{i}", iteration=i)
                i += 1
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"f3"', b'"g3"')
    lines[9] = lines[9][:40] + b"\0" * 20 + lines[9][60:]
    lines.insert(20, b'{"iteration": 19, "code": null, "metrics": {}, "feedback": "from elsewhere"}\n')
    path.write_bytes(b"".join(lines))
    return path


def lines_of(url: object) -> list[bytes]:
    """Return the stored lines of a history."""
    with iterlog.open_history(url, create=False) as history:  # type: ignore[arg-type]  # paths and URLs alike
        return [line for _, line in history.lines()]


def append_to(url: object, count: int, *, first: int = 1000) -> None:
    """Append some records."""
    with iterlog.open_history(url, create=False) as history:  # type: ignore[arg-type]  # as above
        for i in range(count):
            history.save(code="late", metrics={}, feedback="", iteration=first + i)
