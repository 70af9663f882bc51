"""Stored text that attacks who looks at it, and histories that other programs wrote."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from cli_helpers import RAW_CONTROLS, call, run, run_on_terminal

import iterlog
from iterlog.cli.escape import csv_text, markdown_text, visible, visible_block, visible_json
from iterlog.cli.tables import clipped, shown, width_of

if TYPE_CHECKING:
    from pathlib import Path

_EVIL = (
    "\x1b[2J\x1b]0;owned\x07\x00\x08\x7f\x9b31m\u202egnp.exe\u2066\u200f\u2028\r\n|`cell` <script>alert(1)</script>"
    "\ud800\U000e0041"
)
_READING = [
    ["show"],
    ["show", "--csv"],
    ["show", "--md"],
    ["show", "--json", "-p"],
    ["show", "-m", _EVIL.replace("\0", "")],
    ["tail"],
    ["tail", "--md"],
    ["cat"],
    ["cat", "--json"],
    ["last"],
    ["last", "--json"],
    ["get", "0"],
    ["stats"],
    ["stats", "--csv"],
    ["stats", "--md"],
    ["stats", "--json"],
    ["verify"],
    ["verify", "--json"],
    ["verify", "--csv"],
    ["verify", "--md"],
    ["resume"],
    ["resume", "--json"],
]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A history with hostile text in every field, and in a damaged line."""
    path = tmp_path / "run.jsonl"
    with iterlog.open_history(path) as history:
        history.save(
            code=_EVIL,
            metrics={_EVIL: _EVIL, "loss": float("nan"), "nested": {_EVIL: [_EVIL]}},
            feedback=_EVIL,
            success=False,
            error=_EVIL,
            id=_EVIL,
            run_id=_EVIL,
            parent_id=_EVIL,
            status=_EVIL,
            tags=[_EVIL],
            extra={_EVIL: _EVIL},
        )
    with path.open("ab") as file:
        file.write(b"{" + _EVIL.encode("utf-8", "surrogatepass").replace(b"\n", b"") + b"\n")
    return path


@pytest.mark.parametrize("words", _READING, ids=lambda words: " ".join(words[:2]).encode("unicode_escape").decode())
def test_no_control_character_is_printed(hostile: Path, words: list[str]) -> None:
    """Whatever is stored, no command prints a character that a terminal acts on, on neither stream."""
    result = call(*words, hostile)
    assert not isinstance(result.exception, Exception)
    for printed in (result.stdout_bytes, result.stderr_bytes):
        assert not RAW_CONTROLS.search(printed.decode())


@pytest.mark.parametrize("words", [["show"], ["cat"], ["cat", "--json"], ["cat", "--code"], ["cat", "--lines"]])
def test_no_control_character_reaches_a_terminal(hostile: Path, words: list[str]) -> None:
    """On a terminal the exact forms are escaped as well."""
    code, sent = run_on_terminal(*words, hostile, env={"NO_COLOR": "1"})
    assert code == 0
    assert "owned" in sent
    assert not RAW_CONTROLS.search(sent)


def test_code_written_to_a_file_is_exact(hostile: Path) -> None:
    """`--code` off a terminal is for files: nothing is escaped."""
    assert run("get", "0", hostile, "--code").stdout == _EVIL.encode("utf-8", "surrogatepass")


def test_json_means_the_same_escaped(hostile: Path) -> None:
    """Escapes in JSON are JSON's own: what is parsed is what was stored."""
    fields = json.loads(call("last", "--json", hostile).stdout)
    assert fields["code"] == fields["error"] == fields["status"] == _EVIL
    assert fields["metrics"][_EVIL] == _EVIL
    assert fields["metrics"]["loss"] == "NaN"


def test_url_in_an_error_is_escaped(tmp_path: Path) -> None:
    """A path with an escape sequence in its name is shown escaped."""
    result = call("show", tmp_path / "\x1b[31mrun")
    assert result.exit_code == 3
    assert "\\x1b[31mrun" in result.stderr


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv_cells_hold_no_formula(tmp_path: Path, start: str) -> None:
    """A text cell or head that a spreadsheet would run begins with an apostrophe; numbers stay numbers."""
    path = tmp_path / "run.jsonl"
    text = f"{start}1+1"
    with iterlog.open_history(path) as history:
        history.save(code=None, metrics={text: text, "loss": -1.5, "n": -3}, feedback=text)
    head, row = csv.reader(io.StringIO(call("show", "--csv", path).stdout))
    for cell in (head[6], row[6], row[-1]):
        assert cell.startswith("'")
    assert (row[7], row[8]) == ("-1.5", "-3")


@pytest.mark.parametrize("text", ["plain", "a,b", 'say "x"', "two\nlines", "日本語", "é", "a=b"])
def test_csv_keeps_ordinary_text(text: str) -> None:
    """Text that is no formula comes back from a CSV reader as it was."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([csv_text(text)])
    assert next(csv.reader(io.StringIO(buffer.getvalue())))[0] == text


def test_markdown_cells_cannot_leave_their_cell() -> None:
    """Pipes, line feeds, backticks, links and HTML lose their meaning."""
    safe = markdown_text("a|b\nc `d` <img src=x> [l](http://x) \\| &amp; *e* _f_")
    assert "\n" not in safe
    assert "<" not in safe
    for char in "|`[]*_":
        assert safe.count(char) == safe.count(f"\\{char}")
    assert "\\\\\\|" in safe  # a stored backslash does not free the pipe behind it


def test_escapes_are_readable() -> None:
    """Escapes name the character; ordinary text of any language is left alone, and blocks keep their lines."""
    assert visible("a\x1b\n\t\x9b\u202e\U000e0041\ud800") == "a\\x1b\\n\\t\\x9b\\u202e\\U000e0041\\ud800"
    assert visible_block("a\n\tb\r") == "a\n\tb\\r"
    assert visible("naïve 日本語 🎉 👩\u200d🚀") == "naïve 日本語 🎉 👩\u200d🚀"
    assert json.loads(visible_json('"\x7f\u202e\U000e0041"')) == "\x7f\u202e\U000e0041"


def test_cells_are_as_wide_as_they_look() -> None:
    """Wide and combining characters are counted as a terminal shows them, and text is cut to fit."""
    assert width_of("日本") == 4
    assert width_of("e\u0301") == 1
    assert width_of(clipped("日本語日本語", 6)) <= 6
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("abcd", 4) == "abcd"


def test_values_for_people() -> None:
    """Numbers are short, absent values a dash, nested ones JSON."""
    values = [None, "", True, 0.1 + 0.2, float("nan"), float("-inf"), 10**20, [1, None], {"a": float("inf")}]
    assert [shown(value) for value in values] == [
        "-",
        "-",
        "true",
        "0.3",
        "NaN",
        "-Infinity",
        "100000000000000000000",
        "[1, null]",
        '{"a": "Infinity"}',
    ]


@pytest.mark.parametrize("words", _READING, ids=lambda words: " ".join(words[:2]).encode("unicode_escape").decode())
def test_histories_of_other_programs_are_shown(tmp_path: Path, words: list[str]) -> None:
    """Naive and impossible times, missing fields, metrics that are no numbers, NaN and huge code are no error."""
    path = tmp_path / "run.jsonl"
    rows = [
        {"iteration": 0, "timestamp": "2025-01-09T12:34:56", "code": "x = 1", "metrics": {"loss": float("nan")}},
        {"iteration": 1, "timestamp": ["never"], "metrics": {"loss": "high", "nested": [1, {"a": None}]}},
        {"iteration": 2, "timestamp": {"at": 1}, "code": "y" * 2_000_000, "feedback": None, "status": 7, "tags": "x"},
        {"iteration": 3.0, "timestamp": 1736426096789, "metrics": {"loss": 10**400, "ok": True, "none": None}},
        {"iteration": 4, "error": {"kind": "boom"}, "duration_s": "long"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = call(*words, path)
    assert result.exit_code == 0
    if "--json" in words:
        assert [json.loads(line) for line in result.stdout.splitlines()]
    assert "2025-01-09" in call("show", path).stdout
