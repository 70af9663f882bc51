"""The published page of the format says what is so."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

import iterlog
from iterlog.lines import DamagedLineError, decode_line, lines_to_follow

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
LINES = [line.encode() for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_worked_lines_are_lines() -> None:
    """The page's lines are intact records, and those of the batch belong together."""
    assert [decode_line(line).iteration for line in LINES] == [0, 1, 2]
    assert [lines_to_follow(line) for line in LINES] == [0, 1, 0]
    assert f"{zlib.crc32(LINES[0][: LINES[0].rindex(b',')]):08x}".encode() == LINES[0][-10:-2]


def test_worked_lines_are_what_is_written(tmp_path: Path) -> None:
    """The page's records, appended again, give the page's bytes."""
    path = tmp_path / "history.jsonl"
    first, *batch = (decode_line(line) for line in LINES)
    with iterlog.open_history(path) as history:
        history.append(first)
        history.extend(batch)
    assert path.read_bytes().splitlines() == LINES


@pytest.mark.parametrize("damaged", [LINES[0][:-5] + b"0" + LINES[0][-4:], LINES[1][1:]])
def test_changed_lines_would_be_noticed(damaged: bytes) -> None:
    """The checks above can fail."""
    with pytest.raises(DamagedLineError):
        decode_line(damaged)
