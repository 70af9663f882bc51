"""`iterlog append`: records from a pipe or a file."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from cli_helpers import COMMAND, call, make_history, run

import iterlog
from iterlog.cli.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


def _line(**fields: object) -> str:
    return json.dumps({"code": "x = 1", "metrics": {"loss": 0.5}, "feedback": "on", **fields}) + "\n"


def _records(path: Path) -> list[iterlog.IterationRecord]:
    with iterlog.open_history(path, create=False) as history:
        return list(history)


def test_append_prints_a_position_per_record(tmp_path: Path) -> None:
    """Each record is stored, and the position after it printed: reading behind it goes on there."""
    path = tmp_path / "run.jsonl"
    result = call("append", "-", path, stdin=_line(iteration=4) + "\n" + _line() + _line(note="mine"))
    assert result.exit_code == 0
    positions = [iterlog.Position.parse(line) for line in result.stdout.splitlines()]
    with iterlog.open_history(path) as history:
        assert [position for position, _ in history.entries()] == positions
        assert [record.iteration for record in history] == [4, 5, 6]
        last = history.last()
    assert last is not None
    assert last.extra == {"note": "mine"}


def test_append_reads_a_file(tmp_path: Path) -> None:
    """The source may be a file, with a byte order mark and Windows line ends, whose last line has no end."""
    source = tmp_path / "in.ndjson"
    source.write_bytes(b"\xef\xbb\xbf" + _line().replace("\n", "\r\n").encode() + _line().strip().encode())
    assert call("append", source, tmp_path / "run.jsonl").exit_code == 0
    assert len(_records(tmp_path / "run.jsonl")) == 2


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ('{"code": ', "JSON"),
        ("[1, 2]", "object"),
        ('{"code": "x", "feedback": ""}', "metrics"),
        ('{"code": "x", "metrics": {}, "feedback": "", "iteration": -1}', "iteration"),
        ('{"iteration":0,"code":null,"metrics":{},"feedback":"","crc":"00000000"}', "checksum"),
        ("\xff", "JSON"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_bad_line_says_its_number_and_what_was_stored(tmp_path: Path, bad: str, named: str) -> None:
    """A bad line ends the command with its number, what is wrong, and how far things went; what came before stays."""
    path = tmp_path / "run.jsonl"
    result = call("append", "-", path, stdin=(_line() + _line()).encode() + bad.encode("latin-1") + b"\n" + b"{}\n")
    assert result.exit_code == ExitCode.ERROR
    assert "line 3" in result.stderr
    assert named in result.stderr
    assert "2 records" in result.stderr
    assert result.stdout.splitlines()[-1] in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(_records(path)) == 2


def test_batch_is_all_or_nothing(tmp_path: Path) -> None:
    """With `--batch` a bad line stores nothing and says so; without one, all is one append and one position."""
    path = tmp_path / "run.jsonl"
    result = call("append", "--batch", "-", path, stdin=_line() + "{}\n")
    assert result.exit_code == ExitCode.ERROR
    assert "line 2" in result.stderr
    assert "nothing was stored" in result.stderr
    assert not path.exists()
    result = call("append", "--batch", "-", path, stdin=_line() * 3)
    assert result.stdout == f"{path.stat().st_size}\n"
    assert [record.iteration for record in _records(path)] == [0, 1, 2]


def test_values_beyond_json_come_through(tmp_path: Path) -> None:
    """NaN, infinities, lone surrogates and huge integers are stored as a loop of Python's own would."""
    path = tmp_path / "run.jsonl"
    line = '{"code":"\\ud800","metrics":{"a":NaN,"b":-Infinity,"c":1%s},"feedback":""}' % ("0" * 30)
    assert call("append", "-", path, stdin=line).exit_code == 0
    (record,) = _records(path)
    assert record.code == "\ud800"
    assert record.metrics["a"] != record.metrics["a"]  # only NaN differs from itself
    assert record.metrics["b"] == float("-inf")
    assert record.metrics["c"] == 10**30


@pytest.mark.parametrize("form", ["--json", "--lines"])
def test_history_copied_through_a_pipe_is_the_same(tmp_path: Path, form: str) -> None:
    """What `cat` prints for programs, `append` stores as the same records, ids and times included."""
    source = make_history(tmp_path / "a.jsonl", 5, tags=["t"], mine={"x": [1]})
    copied = call("cat", source, form).stdout_bytes
    assert call("append", "-", tmp_path / "b.jsonl", stdin=copied).exit_code == 0
    assert _records(tmp_path / "b.jsonl") == _records(source)


def test_history_is_not_appended_to_itself(tmp_path: Path) -> None:
    """Reading the file that is being written would never end, so it is refused, through a pipe too."""
    path = make_history(tmp_path / "run.jsonl")
    assert call("append", path, path).exit_code == ExitCode.USAGE
    with path.open("rb") as source:
        done = subprocess.run(
            [*COMMAND, "append", "-", path], stdin=source, check=False, capture_output=True, timeout=60
        )
    assert done.returncode == ExitCode.USAGE
    assert len(_records(path)) == 3


def test_records_are_stored_when_nobody_reads_the_positions(tmp_path: Path) -> None:
    """A closed pipe behind `append` costs the receipts, not the records."""
    path = tmp_path / "run.jsonl"
    with subprocess.Popen(
        [*COMMAND, "append", "-", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(_line().encode())
        process.stdin.flush()
        assert process.stdout.readline()  # the receipt comes before the input ends
        process.stdout.close()
        process.stdin.write(_line().encode() * 20)
        process.stdin.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
    assert len(_records(path)) == 21


def test_missing_source_is_wrong_usage(tmp_path: Path) -> None:
    """A source that is not there, or a directory, is named; nothing is created."""
    for source in (tmp_path / "none.ndjson", tmp_path):
        result = call("append", source, tmp_path / "run.jsonl")
        assert result.exit_code == ExitCode.USAGE
        assert result.stderr.startswith("iterlog: ")
    assert not (tmp_path / "run.jsonl").exists()


def test_append_keeps_the_options_of_the_url(tmp_path: Path) -> None:
    """Options in the URL count: a wrong one is refused, `create=false` does not create."""
    assert run("append", "-", f"{tmp_path}/a.jsonl?durability=none", stdin=_line().encode()).returncode == 2
    assert run("append", "-", f"{tmp_path}/a.jsonl?create=false", stdin=_line().encode()).returncode == 3
    assert run("append", "-", f"{tmp_path}/a.jsonl?durability=flush", stdin=_line().encode()).returncode == 0
