"""`iterlog cat`, `iterlog last` and `iterlog get`: whole records."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from cli_helpers import call, make_history, run

import iterlog
from iterlog.cli.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A history of three records."""
    return make_history(tmp_path / "run.jsonl", 3, tags=["a", "b"], run_id="r1", prompt="go", status="keep")


def test_cat_shows_everything_in_a_record(history: Path) -> None:
    """A page has each field of the record, the user's own included, and the code."""
    with iterlog.open_history(history) as opened:
        record = opened.get(1)
    assert record is not None
    text = call("cat", history).stdout
    for part in ("iteration 1", record.id, record.code_hash, "keep", "r1", "a, b", "prompt", "try 2", "x = 1", "0.25"):
        assert str(part) in text


def test_cat_json_gives_the_records_back(history: Path) -> None:
    """`--json` prints every field; records made of the lines equal those stored."""
    lines = call("cat", history, "--json").stdout.splitlines()
    with iterlog.open_history(history) as opened:
        assert [iterlog.IterationRecord.from_dict(json.loads(line)) for line in lines] == list(opened)


def test_cat_lines_are_the_stored_bytes(history: Path) -> None:
    """`--lines` prints what is stored, byte by byte, a damaged line included."""
    with history.open("ab") as file:
        file.write(b"{damaged \x00\xff\n")
    assert call("cat", history, "--lines").stdout_bytes == history.read_bytes()
    assert call("cat", history, "--lines", "-n", "1").stdout_bytes == b"{damaged \x00\xff\n"
    assert (
        call("cat", history, "--lines", "--from", "0", "-n", "1").stdout_bytes
        == history.read_bytes().split(b"\n")[0] + b"\n"
    )


def test_cat_code_is_nothing_but_code(history: Path) -> None:
    """`--code` prints the code of each record and nothing else."""
    assert call("cat", history, "--code").stdout == "x = 0\nx = 1\nx = 2\n"
    assert call("cat", history, "--code", "-n", "1").stdout == "x = 2\n"


@pytest.mark.parametrize("code", ["x = 1", "x = 1\r\n\n\n", "s = '\ud800\x1b é'", ""])
def test_code_of_one_record_has_the_stored_hash(tmp_path: Path, code: str) -> None:
    """The bytes that `get --code` and `last --code` write to a file are those of the record's hash."""
    path = tmp_path / "run.jsonl"
    with iterlog.open_history(path) as opened:
        record = opened.save(code=code, metrics={}, feedback="")
    for words in (["get", "0"], ["last"]):
        assert hashlib.sha256(call(*words, path, "--code").stdout_bytes).hexdigest() == record.code_hash


def test_get_and_last_show_one_record(history: Path) -> None:
    """`get` shows the record with a number, `last` the newest."""
    assert call("get", "1", history).stdout.startswith("iteration 1\n")
    assert call("last", history).stdout.startswith("iteration 2\n")
    assert json.loads(call("get", "0", history, "--json").stdout)["iteration"] == 0


def test_what_is_not_there_is_not_found(history: Path, tmp_path: Path) -> None:
    """A number that no record has, the last of no records, and the code of none are exit code 3."""
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with iterlog.open_history(history) as opened:
        opened.save(code=None, metrics={}, feedback="")
    for words in (["get", "77", history], ["last", empty], ["last", history, "--code"]):
        result = call(*words)
        assert result.exit_code == ExitCode.NOT_FOUND
        assert result.stdout == ""
        assert result.stderr.startswith("iterlog: ")


def test_record_nested_beyond_printing_is_explained(tmp_path: Path) -> None:
    """A line of another program, nested too deeply for JSON to be written, ends with words; its bytes can be had."""
    path = tmp_path / "run.jsonl"
    path.write_text('{"iteration":0,"deep":' + "[" * 600 + "]" * 600 + "}\n")
    result = run("cat", path, "--json")  # a process of its own: other tests change how deep this one may go
    assert result.returncode == ExitCode.ERROR
    assert b"--lines" in result.stderr
    assert call("cat", path, "--lines").stdout_bytes == path.read_bytes()
