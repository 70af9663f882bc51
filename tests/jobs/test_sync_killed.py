"""Syncing that is killed at chosen calls and started again: it finishes, and nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from archive_samples import append_to, lines_of, make_source
from sync_places import PLACES, place

_KILLS = 8
_JOB = """
import os, signal, sys
from iterlog.jobs.sync import sync
source, destination, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls = 0
def count(*_):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(count)
sync(source, destination)
sys.setprofile(None)
print(calls)
"""

LASTING = [kind for kind in PLACES if kind not in {"memory", "object store"}]  # what outlives a process


def _run(source: object, destination: str, state: Path, kill_at: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run the job, which is killed at one of its calls, whatever it is doing there."""
    done = subprocess.run(
        [sys.executable, "-c", _JOB, str(source), destination, str(kill_at)],
        capture_output=True,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
    )
    assert done.returncode in {0, -9}, done.stderr
    return done


@pytest.mark.parametrize("to_kind", LASTING)
@pytest.mark.parametrize("from_kind", LASTING)
def test_killed_and_started_again(tmp_path: Path, from_kind: str, to_kind: str) -> None:
    """After any kills the copy holds the source's first lines, each once; the last run leaves all of them there."""
    source = place(from_kind, tmp_path, "run")
    make_source(tmp_path / "first.jsonl", 600)
    _run(tmp_path / "first.jsonl", source, tmp_path / "state")
    calls = int(_run(source, place(to_kind, tmp_path, "trial"), tmp_path / "state").stdout)
    copy = place(to_kind, tmp_path, "copy")
    rng = random.Random(from_kind + to_kind)
    kills = 0
    for i in range(_KILLS):
        kills += _run(source, copy, tmp_path / "state", rng.randrange(calls // 20, calls)).returncode != 0
        if i == _KILLS // 2:
            append_to(source, 300)
    _run(source, copy, tmp_path / "state")
    assert lines_of(copy) == lines_of(source)
    assert kills >= 2, "the first runs are killed before they are done"


def test_killed_again_and_again_while_a_loop_appends(tmp_path: Path) -> None:
    """A sync that is killed in each round, over a source that grows, falls behind and never out of step."""
    source, copy = tmp_path / "run.jsonl", str(tmp_path / "copy.jsonl")
    make_source(source, 100)
    rng = random.Random(1)
    for i in range(10):
        append_to(source, rng.randrange(1, 150), first=1000 + 200 * i)
        _run(source, copy, tmp_path / "state", rng.randrange(5_000, 60_000))
        if Path(copy).exists():
            copied = lines_of(copy)
            assert copied == lines_of(source)[: len(copied)]
    _run(source, copy, tmp_path / "state")
    assert lines_of(copy) == lines_of(source)
