"""`iterlog seal`, `compress`, `prune` and `compact`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli_helpers import call, make_history, run

import iterlog
from iterlog.cli.exits import ExitCode
from iterlog.files.keeperlock import KeeperLock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def rotating(tmp_path: Path) -> Path:
    """A set of 25 records, ten to a file, nothing compressed."""
    with iterlog.open_history(f"rotating://{tmp_path}/set?max_records=10&compress=off") as history:
        for i in range(25):
            history.save(code=f"x = {i}\n" * 50, metrics={"a": i}, feedback="")
    return tmp_path / "set"


def names(directory: Path) -> list[str]:
    """Return the set's files, its lock aside."""
    return sorted(path.name for path in directory.iterdir() if path.name != "lock")


def rows(*words: object) -> list[dict[str, object]]:
    """Run a command with --json and return its objects."""
    result = call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_seal_and_compress(rotating: Path) -> None:
    """Sealing begins a new file; compressing leaves sealed files compressed, and says what each takes now."""
    assert rows("seal", rotating) == [{"sealed": True}]
    assert rows("seal", rotating) == [{"sealed": False}]
    done = rows("compress", rotating)
    assert [row["file"] for row in done] == names(rotating)[:3]
    assert all(row["after_bytes"] < row["before_bytes"] for row in done)  # type: ignore[operator]  # both are numbers
    assert names(rotating)[3] == "000000000025.jsonl"
    assert rows("compress", rotating) == []
    with iterlog.open_history(rotating) as history:
        assert [record.iteration for record in history] == list(range(25))


def test_prune_removes_the_oldest(rotating: Path) -> None:
    """Files beyond what is to be kept go; a dry run names the same files and removes none."""
    would = rows("prune", "--keep-records", 10, "--dry-run", rotating)
    assert names(rotating)[0] == "000000000000.jsonl"
    assert rows("prune", "--keep-records", 10, rotating) == would
    assert names(rotating) == ["000000000010.jsonl", "000000000020.jsonl"]


def test_prune_wants_to_know_what_to_keep(rotating: Path) -> None:
    """Without a limit nothing is guessed: wrong usage; one in the URL counts."""
    assert call("prune", rotating).exit_code == ExitCode.USAGE
    assert len(names(rotating)) == 3
    assert len(rows("prune", f"rotating://{rotating}?keep_records=1")) == 1


def test_compact_merges_and_recompresses(rotating: Path) -> None:
    """Small files become one; a dry run changes nothing; every record is still there."""
    call("compress", rotating)
    before = names(rotating)
    assert [row["file"] for row in rows("compact", "--dry-run", rotating)] == ["000000000000-000000000019.jsonl.zst"]
    assert names(rotating) == before
    rows("compact", rotating)
    assert names(rotating) == ["000000000000-000000000019.jsonl.zst", "000000000020.jsonl"]
    rows("compact", "--recompress", "--codec", "gzip", "--level", 9, rotating)
    assert names(rotating)[0] == "000000000000-000000000019.jsonl.gz"
    with iterlog.open_history(rotating) as history:
        assert len(history) == 25


def test_text_has_a_row_per_file(rotating: Path) -> None:
    """People get a table with a head, and nothing on standard output when there is nothing to do."""
    text = call("compress", rotating).stdout.splitlines()
    assert text[0].split() == ["from", "to", "bytes", "now", "file"]
    assert len(text) == 3
    assert call("compress", rotating).stdout == ""


@pytest.mark.parametrize(
    "words",
    [["seal"], ["compress"], ["prune", "--keep-records", "5"], ["compact", "--level", "3"]],
    ids=lambda words: str(words[0]),
)
def test_other_histories_are_refused(tmp_path: Path, words: list[str]) -> None:
    """A plain file is no set: one line that names the command which makes one; a missing history is not found."""
    path = make_history(tmp_path / "run.jsonl")
    before = path.read_bytes()
    done = run(*words, path)
    assert done.returncode == ExitCode.ERROR
    assert done.stderr.count(b"\n") == 1
    assert b"iterlog rotate" in done.stderr
    assert path.read_bytes() == before
    assert call(*words, tmp_path / "missing.jsonl").exit_code == ExitCode.NOT_FOUND
    assert call(*words, f"rotating://{tmp_path}/missing").exit_code == ExitCode.NOT_FOUND


def test_wrong_options_of_a_set_are_wrong_usage(rotating: Path) -> None:
    """An impossible level or size is told before anything is touched."""
    assert call("compact", "--level", 99, rotating).exit_code == ExitCode.USAGE
    assert call("prune", "--keep-bytes", "much", rotating).exit_code == ExitCode.USAGE
    assert len(names(rotating)) == 3


@pytest.mark.parametrize(
    "words", [("compress",), ("prune", "--keep-records", 10), ("compact",)], ids=lambda words: words[0]
)
def test_work_that_another_process_keeps_from_being_done_is_an_error(
    rotating: Path, words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another keeper does not come to its end, a command does not say that there was nothing to do."""
    monkeypatch.setattr("iterlog.rotation.keeping.PATIENCE_S", 0.01)
    other = KeeperLock(str(rotating / "lock"))
    assert other.try_acquire()
    before = names(rotating)
    result = call(*words, rotating)
    other.release()
    assert result.exit_code == ExitCode.ERROR
    assert "another process" in result.stderr
    assert names(rotating) == before
