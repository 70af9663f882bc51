"""The measurement of sets runs as a test, briefly; what it does is judged, times are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import iterlog
from benchmarks.sets import LINES, seal_contest, set_contests, write_set

if TYPE_CHECKING:
    from pathlib import Path


def test_every_contest_is_held(tmp_path: Path) -> None:
    """Each thing is done with the whole of a set that is what it says, by both sides."""
    size = write_set(tmp_path / "set", 2)
    with iterlog.open_history(f"rotating://{tmp_path / 'set'}", create=False) as history:
        assert history.verify().ok
        assert len(history) == 2 * LINES
        assert sum(len(line) + 1 for _, line in history.lines()) == size
    contests = [*set_contests(tmp_path / "set", 2, 1), seal_contest(b"{}\n" * 1000, "lines", 1)]
    assert len({contest.name for contest in contests}) == 9
    assert all(contest.ours > 0 and contest.limit > 0 for contest in contests)
