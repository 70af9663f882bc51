"""Handles that are dropped without being closed."""

from __future__ import annotations

import gc
from pathlib import Path

import iterlog


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd").iterdir()))


def test_dropped_handle_gives_back_descriptors_and_claim(tmp_path: Path) -> None:
    """What a forgotten handle held is free once it is collected, and its records are there."""
    before = open_descriptors()
    for number in range(20):
        history = iterlog.open_history(tmp_path / "history.jsonl")
        assert history.resume().next_iteration == number
        history.save(code=None, metrics={}, feedback="")
        del history
        gc.collect()
    assert open_descriptors() <= before + 1
    with iterlog.open_history(tmp_path / "history.jsonl") as history:
        assert len(history) == 20
