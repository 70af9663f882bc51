"""`iterlog stats`, `verify`, `repair` and `resume`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from cli_helpers import call, make_history

import iterlog
from iterlog.cli.exits import ExitCode


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A history of three records and the beginning of a fourth."""
    path = make_history(tmp_path / "run.jsonl")
    with path.open("ab") as file:
        file.write(b'{"iteration":3,"timest')
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A history whose second record of three lost a bit."""
    path = make_history(tmp_path / "run.jsonl")
    path.write_bytes(path.read_bytes().replace(b"x = 1", b"x = 9"))
    return path


def test_stats_sums_a_history_up(tmp_path: Path) -> None:
    """Counts, times, bytes, distinct code and each metric's range come out as they went in."""
    path = make_history(tmp_path / "run.jsonl", 4)
    with iterlog.open_history(path) as history:
        for metrics in ({"sharpe_ratio": float("nan"), "note": "high"}, {"sharpe_ratio": -2.5, "flag": True}):
            history.save(code="x = 0\n", metrics=metrics, feedback="", success=False, timestamp="2024-01-01T00:00:00Z")
        history.save(code=None, metrics={}, feedback="", used_fallback=True, timestamp="2026-01-01T00:00:00Z")
    found = json.loads(call("stats", "--json", path).stdout)
    assert found.pop("metrics") == {
        "sharpe_ratio": {"records": 6, "numbers": 5, "min": -2.5, "max": 0.75, "last": -2.5},
        "total_trades": {"records": 4, "numbers": 4, "min": 0, "max": 3, "last": 3},
        "note": {"records": 1, "numbers": 0, "min": None, "max": None, "last": "high"},
        "flag": {"records": 1, "numbers": 0, "min": None, "max": None, "last": True},
    }
    assert found == {
        "records": 7,
        "succeeded": 5,
        "failed": 2,
        "fallback": 1,
        "first_iteration": 0,
        "last_iteration": 6,
        "first_time": "2024-01-01T00:00:00+00:00",
        "last_time": "2026-01-01T00:00:00+00:00",
        "bytes": path.stat().st_size,
        "with_code": 6,
        "different_code": 4,
    }
    text = call("stats", path).stdout
    assert "4 different of 6" in text
    rows = list(csv.DictReader(io.StringIO(call("stats", "--csv", path).stdout)))
    assert [row["metric"] for row in rows] == ["sharpe_ratio", "total_trades", "note", "flag"]
    assert rows[0]["min"] == "-2.5"


def test_stats_of_an_empty_history(tmp_path: Path) -> None:
    """A history without records has figures too, and no table of metrics."""
    path = tmp_path / "run.jsonl"
    path.touch()
    assert json.loads(call("stats", "--json", path).stdout)["records"] == 0
    assert "metric" not in call("stats", path).stdout


def test_stats_gives_no_bytes_for_what_is_no_file() -> None:
    """The size is that of a local file; elsewhere it is absent, not wrong."""
    with iterlog.open_history("memory://cli-stats") as history:
        history.save(code=None, metrics={}, feedback="")
    assert json.loads(call("stats", "--json", "memory://cli-stats").stdout)["bytes"] is None


def test_verify_of_a_sound_history(tmp_path: Path) -> None:
    """Nothing damaged: exit code 0, and how many records there are and where they end."""
    path = make_history(tmp_path / "run.jsonl")
    result = call("verify", path)
    assert result.exit_code == 0
    assert result.stdout == f"3 records up to position {path.stat().st_size}, nothing damaged\n"
    assert json.loads(call("verify", "--json", path).stdout) == {
        "ok": True,
        "records": 3,
        "end": str(path.stat().st_size),
        "faults": [],
    }


def test_verify_tells_what_is_damaged_and_what_to_do(damaged: Path) -> None:
    """Damage is exit code 4, with position, kind, detail and advice, in every format."""
    with iterlog.open_history(damaged) as history:
        (fault,) = history.verify().faults
    for words in ([], ["--json"], ["--csv"], ["--md"]):
        result = call("verify", damaged, *words)
        assert result.exit_code == ExitCode.DAMAGE
        for part in (str(fault.position), "checksum", "restore the line"):
            assert part in result.stdout
    found = json.loads(call("verify", "--json", damaged).stdout)
    assert found["faults"] == [
        {"position": str(fault.position), "kind": "checksum", "detail": fault.detail, "advice": fault.advice}
    ]


def test_verify_changes_nothing(torn: Path) -> None:
    """Checking a torn history reports it and leaves every byte where it is."""
    before = torn.read_bytes()
    result = call("verify", torn)
    assert result.exit_code == ExitCode.DAMAGE
    assert "torn" in result.stdout
    assert torn.read_bytes() == before


def test_repair_says_what_was_set_aside_and_where(torn: Path) -> None:
    """A torn end is moved to a file beside the history, and that is named; a second repair finds nothing."""
    result = call("repair", "--json", torn)
    assert result.exit_code == 0
    assert result.stderr == ""
    dropped = json.loads(result.stdout)
    assert dropped["bytes"] == 22
    assert dropped["kind"] == "torn"
    assert Path(dropped["kept_at"]).read_bytes() == b'{"iteration":3,"timest'
    assert call("verify", torn).exit_code == 0
    assert call("repair", torn).stdout == ""


def test_repair_as_text_names_the_file(torn: Path) -> None:
    """The table for people names the file the bytes were moved to."""
    text = call("repair", torn).stdout
    (kept,) = torn.parent.glob("run.jsonl.torn-*")
    assert kept.name[:20] in text


def test_resume_gives_number_and_feedback(tmp_path: Path) -> None:
    """The next number and the last feedback, on one line each, and as JSON."""
    path = make_history(tmp_path / "run.jsonl")
    assert call("resume", path).stdout == "next iteration  3\nfeedback        try 3\n"
    assert json.loads(call("resume", "--json", path).stdout) == {
        "next_iteration": 3,
        "feedback": "try 3",
        "last_iteration": 2,
        "dropped": [],
    }


def test_resume_of_a_missing_history_is_a_new_one(tmp_path: Path) -> None:
    """A loop that has not begun begins at 0: no error."""
    result = call("resume", "--json", tmp_path / "run.jsonl")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["next_iteration"] == 0


def test_resume_tells_what_a_crash_cost(torn: Path) -> None:
    """The record in flight is named with its size and where it is kept, as data and not as a warning."""
    result = call("resume", torn)
    assert result.stderr == ""
    assert "next iteration  3" in result.stdout
    assert "22 bytes (torn)" in result.stdout
    assert str(torn) in result.stdout


def test_resume_claims_only_while_it_runs(tmp_path: Path) -> None:
    """A running loop keeps the command out, which says so; the command itself keeps nobody out afterwards."""
    path = make_history(tmp_path / "run.jsonl")
    with iterlog.open_history(path) as history:
        history.resume()
        result = call("resume", path)
        assert result.exit_code == ExitCode.ERROR
        assert "process" in result.stderr
    assert call("resume", path).exit_code == 0
    with iterlog.open_history(path) as history:
        assert history.resume().next_iteration == 3


def test_stats_gives_the_bytes_of_a_sets_files(tmp_path: Path) -> None:
    """The size of a set is that of the files that make it, by whichever name it is opened, not that of a directory."""
    url = f"rotating://{tmp_path}/set?max_records=2"
    with iterlog.open_history(url) as history:
        for _ in range(5):
            history.save(code="x" * 5000, metrics={}, feedback="")
    (tmp_path / "set" / "notes.txt").write_text("mine" * 10_000)
    (tmp_path / "link").symlink_to(tmp_path / "set")
    size = sum(path.stat().st_size for path in (tmp_path / "set").glob("0*"))
    for name in (url, tmp_path / "set", tmp_path / "link"):
        assert json.loads(call("stats", "--json", name).stdout)["bytes"] == size
