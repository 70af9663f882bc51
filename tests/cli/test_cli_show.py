"""`iterlog show` and `iterlog tail`: records as rows."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from cli_helpers import call, make_history

import iterlog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A history of five good records and one that failed."""
    path = make_history(tmp_path / "run.jsonl", 5)
    with iterlog.open_history(path) as opened:
        opened.save(code=None, metrics={}, feedback="no", success=False, error="ValueError: bad\ntrace", duration_s=1.5)
    return path


def _iterations(text: str) -> list[int]:
    return [int(line.split()[0]) for line in text.splitlines()[1:]]


def test_show_prints_a_line_per_record(history: Path) -> None:
    """Each record is one line with number, time, result, metrics, code and what was said."""
    result = call("show", history)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["iteration", "time", "(UTC)"]
    assert len(lines) == 7
    assert lines[2].split() == ["1", "2025-01-09", "12:34:01", "ok", "-", "0.25", "1", *lines[2].split()[-3:]]
    assert lines[2].endswith("try 2")
    assert "failed" in lines[6]
    assert "1.50" in lines[6]
    assert lines[6].endswith("ValueError: bad")


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], [0, 1, 2, 3, 4, 5]), (["-n", "2"], [4, 5]), (["-n", "0"], []), (["-n", "99"], [0, 1, 2, 3, 4, 5])],
)
def test_count_takes_the_last_records(history: Path, words: list[str], expected: list[int]) -> None:
    """`-n` takes the last records, oldest first."""
    assert _iterations(call("show", history, *words).stdout) == expected


def test_from_goes_on_behind_a_position(history: Path) -> None:
    """A position that was shown can be given back, and `-n` then takes the first records behind it."""
    rows = [json.loads(line) for line in call("show", history, "--json", "-p").stdout.splitlines()]
    position = rows[1]["position"]
    assert _iterations(call("show", history, "--from", position).stdout) == [2, 3, 4, 5]
    assert _iterations(call("show", history, "--from", position, "-n", "2").stdout) == [2, 3]
    last = [json.loads(line) for line in call("show", history, "--json", "-p", "-n", "6").stdout.splitlines()]
    assert last == rows


def test_position_that_is_none_is_wrong_usage(history: Path) -> None:
    """A text that is no position, or no line's end, is refused by name."""
    for text in ("abc", "3"):
        result = call("show", history, "--from", text)
        assert result.exit_code == 2
        assert text in result.stderr


def test_position_behind_the_end_is_damage(history: Path) -> None:
    """A position that the history no longer reaches means that it was cut: exit code 4."""
    assert call("show", history, "--from", "999999").exit_code == 4


def test_chosen_metrics_have_columns(history: Path) -> None:
    """`-m` chooses the metrics, in its order; one that no record has is warned of."""
    result = call("show", history, "-m", "total_trades", "-m", "sharp", "-n", "2")
    heads = result.stdout.splitlines()[0].split()
    assert heads.index("total_trades") < heads.index("sharp")
    assert "sharpe_ratio" not in heads
    assert "'sharp'" in result.stderr


def test_json_has_everything_but_the_code(history: Path) -> None:
    """`--json` prints one object per record, with the fields as stored and no code."""
    rows = [json.loads(line) for line in call("show", history, "--json").stdout.splitlines()]
    assert [row["iteration"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows[1]["metrics"] == {"sharpe_ratio": 0.25, "total_trades": 1}
    assert rows[5]["success"] is False
    assert rows[5]["duration_s"] == 1.5
    assert "code" not in rows[0]
    assert "position" not in rows[0]
    chosen = [json.loads(line) for line in call("show", history, "--json", "-m", "total_trades").stdout.splitlines()]
    assert chosen[1]["metrics"] == {"total_trades": 1}


def test_csv_has_a_column_per_metric(history: Path) -> None:
    """`--csv` is read back by a CSV reader, numbers as numbers, absent values empty."""
    rows = list(csv.DictReader(io.StringIO(call("show", history, "--csv").stdout)))
    assert [row["sharpe_ratio"] for row in rows] == ["0.0", "0.25", "0.5", "0.75", "1.0", ""]
    assert rows[5]["error"] == "ValueError: bad\ntrace"
    assert rows[0]["timestamp"] == "2025-01-09T12:34:00.000000+00:00"


def test_markdown_is_a_table(history: Path) -> None:
    """`--md` prints a head, a rule and a row per record, each with as many cells."""
    lines = call("show", history, "--md").stdout.splitlines()
    assert len(lines) == 8
    assert {line.count("|") - line.count("\\|") for line in lines} == {lines[0].count("|")}


def test_metrics_that_come_up_late_are_named(tmp_path: Path) -> None:
    """A metric that first appears behind the thousandth record has no CSV column, and is not lost without a word."""
    path = make_history(tmp_path / "run.jsonl", 1001)
    with iterlog.open_history(path) as history:
        history.save(code=None, metrics={"late": 1}, feedback="")
    result = call("show", path, "--csv")
    assert "late" not in result.stdout.splitlines()[0]
    assert "late" in result.stderr
    assert "late" in call("show", path, "--csv", "-m", "late").stdout.splitlines()[0]
    assert call("show", path, "--csv", "-m", "late").stdout.splitlines()[-1].split(",")[6] == "1"


def test_metric_named_like_a_field_has_a_column_of_its_own(tmp_path: Path) -> None:
    """A metric called `success` does not hide the field of that name."""
    path = tmp_path / "run.jsonl"
    with iterlog.open_history(path) as history:
        history.save(code=None, metrics={"success": 0.5}, feedback="")
    (row,) = csv.DictReader(io.StringIO(call("show", path, "--csv").stdout))
    assert row["success"] == "true"
    assert row["metrics.success"] == "0.5"


def test_tail_shows_ten_unless_told(tmp_path: Path) -> None:
    """`iterlog tail` shows the last ten records; `-n` says how many."""
    path = make_history(tmp_path / "run.jsonl", 12)
    assert _iterations(call("tail", path).stdout) == list(range(2, 12))
    assert _iterations(call("tail", path, "-n", "3").stdout) == [9, 10, 11]
    assert _iterations(call("tail", path, "-n", "0").stdout) == []
    assert json.loads(call("tail", "--json", path).stdout.splitlines()[0])["iteration"] == 2


def test_reading_in_memory_history_by_url() -> None:
    """Any URL is read the same way, not only files."""
    with iterlog.open_history("memory://cli-show") as history:
        history.save(code="x = 1", metrics={"loss": 1.0}, feedback="on")
    assert _iterations(call("show", "memory://cli-show").stdout) == [0]


def test_empty_history_is_an_empty_table(tmp_path: Path) -> None:
    """A history that is there and empty is no error: only the head is printed."""
    path = tmp_path / "run.jsonl"
    path.touch()
    result = call("show", path)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert call("show", path, "--json").stdout == ""
