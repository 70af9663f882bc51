"""`HistoryStore.get` on lines that other programs wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", ["7", " 7", "7 ", "7.0"])
def test_get_finds_a_number_however_it_is_written(tmp_path: Path, number: str) -> None:
    """A line whose number stands with blanks around it, or as a float, is found by its number."""
    path = tmp_path / "run.jsonl"
    path.write_text(f'{{"iteration":{number}, "code": "x = 7"}}\n{{"iteration": 8, "code": "x = 8"}}\n')
    with iterlog.open_history(path) as history:
        record = history.get(7)
    assert record is not None
    assert record.code == "x = 7"
