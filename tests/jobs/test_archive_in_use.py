"""Archiving a history that a process appends to all the time, without a claim."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from archive_samples import lines_of, make_source

import iterlog
from iterlog.jobs.archive import archive

if TYPE_CHECKING:
    from pathlib import Path

_WRITER = """
import sys, threading, iterlog
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
with iterlog.open_history(sys.argv[1], durability="flush") as history:
    number = 10_000
    while not stopped.is_set():
        history.append({"iteration": number, "code": "c", "metrics": {}, "feedback": ""})
        print(number, flush=True)
        number += 1
"""


@pytest.mark.parametrize("keep_last", [None, 20])
@pytest.mark.parametrize("kind", ["file", "set"])
def test_nothing_appended_meanwhile_is_lost(tmp_path: Path, kind: str, keep_last: int | None) -> None:
    """Each acknowledged record stands in the archive or, behind it, in the source; what stands in both is the same."""
    source: str = str(make_source(tmp_path / "run.jsonl", 300))
    if kind == "set":
        archive(source, f"rotating://{tmp_path}/set?max_records=40")
        source = f"rotating://{tmp_path}/set?max_records=40"
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        assert writer.stdout.readline() == "10000\n"
        done = archive(source, tmp_path / "archive", delete_source=True, keep_last=keep_last)
        assert done.removed
        archived = lines_of(tmp_path / "archive")
        writer.stdout.readline()
        writer.stdin.close()
        acknowledged = [int(line) for line in writer.stdout.read().split()]
    with iterlog.open_history(source) as history:
        left = [line for _, line in history.lines()]
    overlap = max(count for count in range(len(left) + 1) if archived[len(archived) - count :] == left[:count])
    assert keep_last is None or overlap >= keep_last
    numbers = [json.loads(line)["iteration"] for line in archived + left[overlap:] if b'"code":"c"' in line]
    assert numbers == list(range(10_000, acknowledged[-1] + 1))
