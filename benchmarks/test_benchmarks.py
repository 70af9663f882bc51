"""The benchmarks run as tests, briefly, so that they cannot rot; times are not judged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog
from benchmarks.contests import append_contest, resume_contest, scan_contest
from benchmarks.workload import evolving_records

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("durability", ["sync", "flush"])
def test_both_contestants_append_the_same_records(tmp_path: Path, durability: str) -> None:
    """The raw limit writes as many lines of the same records as the history, so the ratio compares like with like."""
    result = append_contest(tmp_path, durability, 20)
    with (
        iterlog.open_history(tmp_path / f"history-{durability}.jsonl") as ours,
        iterlog.open_history(tmp_path / f"raw-{durability}") as raw,
    ):
        assert list(ours) == list(raw)
        assert len(ours) == result.rounds == 20


def test_scan_reads_every_record(tmp_path: Path) -> None:
    """The scan contest reads the whole history it reports on."""
    assert scan_contest(tmp_path, 50, 3).bytes_each > 4000


def test_resume_goes_on_behind_the_last_record(tmp_path: Path) -> None:
    """The resume contest checks what it times."""
    assert resume_contest(tmp_path, 300, 2).rounds == 2


def test_the_same_seed_gives_the_same_code() -> None:
    """A benchmark can be run again on the same workload."""
    first, second = ([record.code for record in evolving_records(5, seed=3)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 5
