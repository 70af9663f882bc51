"""`iterlog sync`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from cli_helpers import COMMAND, call, make_history, run, run_on_terminal

import iterlog
from iterlog.cli.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


def synced(*words: object) -> dict[str, object]:
    """Run the command with --json and return its object."""
    result = call("sync", "--json", *words)
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_there_and_back(tmp_path: Path) -> None:
    """A copy holds the same bytes; again copies nothing; the other way round restores."""
    path, copy = make_history(tmp_path / "run.jsonl", 5), tmp_path / "copy.jsonl"
    before = path.read_bytes()
    would = synced("--dry-run", path, copy)
    assert (would["copied"], would["lag_records"], copy.exists()) == (5, 5, False)
    done = synced("--verify", path, copy)
    assert {name: done[name] for name in ("copied", "lines", "lag_records", "damaged", "missing_before")} == {
        "copied": 5,
        "lines": 5,
        "lag_records": 0,
        "damaged": 0,
        "missing_before": None,
    }
    assert len(str(done["sha256"])) == 64
    assert synced(path, copy)["copied"] == 0
    path.unlink()
    assert synced(copy, path)["copied"] == 5
    assert path.read_bytes() == before == copy.read_bytes()


def test_errors_are_one_line(tmp_path: Path) -> None:
    """Each kind of refusal has its exit code and one line on stderr, and writes nothing."""
    path, other = make_history(tmp_path / "run.jsonl"), make_history(tmp_path / "other.jsonl", 2, status="other")
    longer = make_history(tmp_path / "longer.jsonl", 2)
    longer.write_bytes(path.read_bytes() + longer.read_bytes())
    before = other.read_bytes()
    wrong: list[tuple[list[object], ExitCode]] = [
        ([tmp_path / "missing.jsonl", tmp_path / "a"], ExitCode.NOT_FOUND),
        ([path, other], ExitCode.ERROR),
        ([path, longer], ExitCode.ERROR),
        (["--verify", path, other], ExitCode.DAMAGE),
        (["--verify", "--dry-run", path, longer], ExitCode.DAMAGE),
        ([path, path], ExitCode.USAGE),
        ([path, "gopher://x"], ExitCode.USAGE),
        ([path, f"{tmp_path}/x.jsonl?durabilty=sync"], ExitCode.USAGE),
        (["--follow", "--dry-run", path, other], ExitCode.USAGE),
        ([path], ExitCode.USAGE),
        ([path, "/proc/nowhere/copy.jsonl"], ExitCode.STORAGE),
        (["--follow", path, "/proc/nowhere/copy.jsonl"], ExitCode.STORAGE),
    ]
    for words, code in wrong:
        done = run("sync", *words)
        assert done.returncode == code, (words, done.stderr)
        assert done.stderr.count(b"\n") == 1, done.stderr
        assert done.stdout == b""
    assert other.read_bytes() == before


def test_damage_is_told(tmp_path: Path) -> None:
    """Lines without a readable record are copied, and a warning says how many."""
    path = make_history(tmp_path / "run.jsonl", 5)
    path.write_bytes(path.read_bytes().replace(b"try 3", b"try 4"))
    done = run("sync", path, tmp_path / "copy.jsonl")
    assert (done.returncode, done.stderr.count(b"1 of the lines")) == (0, 1)
    assert (tmp_path / "copy.jsonl").read_bytes() == path.read_bytes()


def test_people_are_told(tmp_path: Path) -> None:
    """On a terminal a person reads what was done; elsewhere nothing but data is written."""
    path = make_history(tmp_path / "run.jsonl", 5)
    assert "5 lines would be copied" in run_on_terminal("sync", "--dry-run", path, tmp_path / "copy.jsonl")[1]
    assert "5 lines copied" in run_on_terminal("sync", path, tmp_path / "copy.jsonl")[1]
    assert "verified" in run_on_terminal("sync", "--verify", path, tmp_path / "copy.jsonl")[1]
    done = run("sync", path, tmp_path / "copy.jsonl")
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_following(tmp_path: Path, ending: signal.Signals) -> None:
    """A line per round, at once; Ctrl-C ends it without a word and kill -9 does no harm; the copy is free again."""
    path, copy = make_history(tmp_path / "run.jsonl", 3), tmp_path / "copy.jsonl"
    words = [*COMMAND, "sync", "--follow", "--verify", "--json", str(path), str(copy)]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process,
        iterlog.open_history(path) as history,
    ):
        assert process.stdout
        assert process.stderr
        first, second = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        assert (first["copied"], first["lines"], second["copied"]) == (3, 3, 0)
        history.save(code=None, metrics={}, feedback="")
        assert json.loads(process.stdout.readline())["copied"] == 1
        history.save(code=None, metrics={}, feedback="")
        assert json.loads(process.stdout.readline())["lag_records"] == 0
        process.send_signal(ending)
        assert process.stderr.read() == b""
        assert process.wait(60) == (ExitCode.INTERRUPTED if ending is signal.SIGINT else -9)
    assert copy.read_bytes() == path.read_bytes()
    assert synced("--verify", path, copy)["copied"] == 0
