"""Archiving that is killed at random moments and started again: it finishes, and nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from archive_samples import lines_of, make_source

import iterlog
from iterlog.jobs.archive import archive
from iterlog.rotation.layout import is_set

if TYPE_CHECKING:
    from pathlib import Path

_CYCLES = 3
_KILLS = 4
_JOB = """
import os, signal, sys
from iterlog.jobs.archive import archive
source, destination, keep_last, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3]) or None, int(sys.argv[4])
calls = 0
def count(*_):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(count)
archive(source, destination, delete_source=True, keep_last=keep_last)
sys.setprofile(None)
print(calls)
"""


def _run(source: object, destination: str, keep_last: int, kill_at: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run the job, which is killed at one of its calls, whatever it is doing there."""
    words = [sys.executable, "-c", _JOB, str(source), destination, str(keep_last), str(kill_at)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ITERLOG_")}
    done = subprocess.run(words, capture_output=True, check=False, env=environment)
    assert done.returncode in {0, -9}, done.stderr
    return done


@pytest.mark.parametrize(
    ("kind", "keep_last"), [("archive.jsonl", 0), ("rotating://{}/set?max_records=100", 0), ("archive", 50)]
)
def test_killed_and_started_again(tmp_path: Path, kind: str, keep_last: int) -> None:
    """After any kills everything is in the source or in the destination; the last run leaves it there once."""
    data = make_source(tmp_path / "model.jsonl", 1000).read_bytes()
    (tmp_path / "trial.jsonl").write_bytes(data)
    (tmp_path / "trial").mkdir()
    trial = kind.format(tmp_path / "trial") if "://" in kind else str(tmp_path / "trial" / kind)
    calls = int(_run(tmp_path / "trial.jsonl", trial, keep_last).stdout)
    rng = random.Random(kind)
    kills = 0
    for cycle in range(_CYCLES):
        place = tmp_path / str(cycle)
        place.mkdir()
        source = place / "run.jsonl"
        source.write_bytes(data)
        before = lines_of(source)
        destination = kind.format(place) if "://" in kind else str(place / kind)
        for _ in range(_KILLS):
            if source.exists():
                kills += _run(source, destination, keep_last, rng.randrange(1, calls * 9 // 10)).returncode != 0
        if source.exists():
            _run(source, destination, keep_last)
        assert lines_of(destination) == before
        if keep_last:
            left = lines_of(source)
            assert left == before[-len(left) :]
            assert len(left) < 70
        else:
            assert not source.exists()
        assert not [path for path in place.rglob(".*") if path.name.endswith(".tmp")]
    assert kills >= _CYCLES, "the first run of each cycle is killed before it is done"


def test_killed_while_a_set_is_removed(tmp_path: Path) -> None:
    """A set whose files are partly gone is archived and removed to the end."""
    original = make_source(tmp_path / "run.jsonl", 1000)
    before = lines_of(original)
    archive(original, f"rotating://{tmp_path}/set?max_records=50")
    shutil.copytree(tmp_path / "set", tmp_path / "trial")
    calls = int(_run(tmp_path / "trial", str(tmp_path / "trial-archive"), 0).stdout)
    for tenths in range(90, 101, 2):
        if is_set(str(tmp_path / "set")):
            _run(tmp_path / "set", str(tmp_path / "archive"), 0, calls * tenths // 100)
    if is_set(str(tmp_path / "set")):
        _run(tmp_path / "set", str(tmp_path / "archive"), 0)
    assert lines_of(tmp_path / "archive") == before
    with pytest.raises(iterlog.HistoryNotFoundError):
        iterlog.open_history(f"rotating://{tmp_path}/set", create=False)
