"""Archiving that is killed at random moments and started again: it finishes, and nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from archive_samples import lines_of, make_source

import iterlog

if TYPE_CHECKING:
    from pathlib import Path

_CYCLES = 3
_KILLS = 5
_JOB = """
import sys
from iterlog.jobs.archive import archive
print("ready", flush=True)
archive(sys.argv[1], sys.argv[2], delete_source=sys.argv[3] != "keep", keep_last=int(sys.argv[4]) or None)
"""


def _killed(source: object, destination: str, how: str, keep_last: int, delay: float) -> bool:
    """Run the job and kill it after a delay; return whether it was killed rather than done."""
    job = subprocess.Popen(
        [sys.executable, "-c", _JOB, str(source), destination, how, str(keep_last)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("ITERLOG_")},
    )
    with job:
        assert job.stdout
        assert job.stdout.readline() == b"ready\n"
        time.sleep(delay)
        job.kill()
        assert job.stderr
        errors = job.stderr.read()
    assert job.returncode in {0, -9}, errors
    return job.returncode != 0


@pytest.mark.parametrize(
    ("kind", "keep_last"), [("archive.jsonl", 0), ("rotating://{}/set?max_records=100", 0), ("archive", 50)]
)
def test_killed_and_started_again(tmp_path: Path, kind: str, keep_last: int) -> None:
    """After any kills everything is in the source or in the destination; the last run leaves it there once."""
    data = make_source(tmp_path / "model.jsonl", 3000).read_bytes()
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
                kills += _killed(source, destination, "delete", keep_last, rng.random() ** 2 * 0.25)
        if source.exists():
            _finish(source, destination, "delete", keep_last)
        assert lines_of(destination) == before
        if keep_last:
            left = lines_of(source)
            assert left == before[-len(left) :]
            assert len(left) < 70
        else:
            assert not source.exists()
        assert not [path for path in place.rglob(".*") if path.name.endswith(".tmp")]
    assert kills >= _CYCLES, "the runs were done before they could be killed"


def test_killed_while_a_set_is_removed(tmp_path: Path) -> None:
    """A set whose files are partly gone is archived and removed to the end."""
    from iterlog.jobs.archive import archive  # noqa: PLC0415 - only here in this process

    original = make_source(tmp_path / "run.jsonl", 2000)
    before = lines_of(original)
    archive(original, f"rotating://{tmp_path}/set?max_records=50")
    rng = random.Random(7)
    for _ in range(_KILLS):
        if any(path.name != "lock" for path in (tmp_path / "set").iterdir()):
            _killed(tmp_path / "set", str(tmp_path / "archive"), "delete", 0, rng.random() * 0.4)
    if any(path.name != "lock" for path in (tmp_path / "set").iterdir()):
        _finish(tmp_path / "set", str(tmp_path / "archive"), "delete", 0)
    assert lines_of(tmp_path / "archive") == before
    with pytest.raises(iterlog.HistoryNotFoundError):
        iterlog.open_history(f"rotating://{tmp_path}/set", create=False)


def _finish(source: object, destination: str, how: str, keep_last: int) -> None:
    subprocess.run([sys.executable, "-c", _JOB, str(source), destination, how, str(keep_last)], check=True)
