"""``iterlog demo`` as a user runs it: what it prints where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.cli.demo import _bar
from iterlog.demo.outcome import Kill, Outcome
from iterlog.demo.report import chart, summary

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from iterlog.cli import main; main()", "demo"]


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its output in pipes."""
    env = {name: value for name, value in os.environ.items() if name != "ITERLOG_URL"} | environment
    return subprocess.run([*COMMAND, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_off_a_terminal_it_prints_plain_lines(tmp_path: Path) -> None:
    """A line per iteration, the kill and the summary, no control characters, nothing on stderr."""
    done = run("a b.jsonl", "--iterations", "6", cwd=tmp_path, PYTHONIOENCODING="utf-8", FORCE_COLOR="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    assert len(re.findall(r"^ +\d+ .*Sharpe", done.stdout, re.MULTILINE)) >= 5
    assert "SIGKILL to the worker" in done.stdout
    assert "6 of 6 iterations, 0 to 5" in done.stdout
    assert "The crash    nothing" in done.stdout
    assert re.search(r"Best so far  [▁▂▃▄▅▆▇█]+  -?\d", done.stdout)
    assert re.search(r"^  iterlog get \d 'a b.jsonl'$", done.stdout, re.MULTILINE)


def test_without_an_argument_it_takes_the_usual_history_and_goes_on(tmp_path: Path) -> None:
    """ITERLOG_URL, else iteration_history.jsonl here; the second run continues the numbers."""
    for first in (0, 2):
        told = json.loads(run("--json", "--no-kill", "--iterations", "2", cwd=tmp_path).stdout)
        assert (told["url"], told["first_iteration"]) == ("iteration_history.jsonl", first)
    told = json.loads(run("--json", "--no-kill", "--iterations", "1", cwd=tmp_path, ITERLOG_URL="other.jsonl").stdout)
    assert (told["url"], told["first_iteration"], told["kill"]) == ("other.jsonl", 0, None)


def test_json_is_one_object_that_tells_everything(tmp_path: Path) -> None:
    """The summary parses, and its best record is the one the history has."""
    done = run("--json", "--iterations", "5", "--seed", "3", "demo.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    told = json.loads(done.stdout)
    assert told["kept_its_word"] is True
    assert told["acknowledged_missing"] == []
    assert told["records"] == 5
    assert told["kill"]["pid"] > 0
    with iterlog.open_history(tmp_path / "demo.jsonl") as history:
        best = history.get(told["best"]["iteration"])
    assert best is not None
    assert best.metrics == told["best"]["metrics"]
    assert told["best_so_far"][-1] == best.metrics["sharpe_ratio"]


@pytest.mark.parametrize("words", [["memory://x"], ["--iterations", "0"], ["--seed", "x"], ["nope://x"]])
def test_wrong_usage_is_one_sentence_and_exit_2(words: list[str], tmp_path: Path) -> None:
    """Nothing is written, and the message is a line on stderr."""
    done = run(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_where_blocks_cannot_be_shown_the_chart_is_ascii(tmp_path: Path) -> None:
    """An encoding without block characters gets a chart all the same."""
    done = run("--iterations", "2", "--no-kill", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "\\u" not in done.stdout


def test_on_a_terminal_the_lines_stand_above_a_bar(tmp_path: Path) -> None:
    """With rich there is progress while it runs, and the same summary at the end."""
    pytest.importorskip("rich")
    parent, child = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [*COMMAND, "--iterations", "3", "demo.jsonl"], cwd=tmp_path, env=env, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    shown = b""
    with process, os.fdopen(parent, "rb", buffering=0) as terminal:
        try:
            while data := terminal.read(65536):
                shown += data
        except OSError:  # Linux reports the closed terminal as EIO
            assert process.wait() == 0
    assert process.returncode == 0
    assert b"3/3" in shown
    assert b"Best so far  " in shown


def test_the_bar_counts_a_record_whose_acknowledgement_was_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes by numbers, so that a record stored just before the kill does not leave the bar short."""
    pytest.importorskip("rich")
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    stored = {
        "event": "acknowledged",
        "status": "keep",
        "change": "LONG 1.0 to 0.5",
        "sharpe_ratio": 1.0,
        "error": None,
    }
    with _bar(3) as watch:
        watch({"event": "resumed", "number": 7, "dropped": []})
        watch({**stored, "number": 7})
        watch({"event": "killed", "pid": 1, "in_flight": 8, "appending": True})
        watch({"event": "resumed", "number": 9, "dropped": []})
        watch({**stored, "number": 9})
    assert "3/3" in capsys.readouterr().out


def outcome(**fields: object) -> Outcome:
    """Return an outcome without records."""
    report = iterlog.VerifyReport(0, iterlog.START)
    empty = {"acknowledged": (), "records": (), "best": None, "curve": (), "kill": None, "report": report}
    given = {"url": "x.jsonl", "seed": 1, "first": 0, "iterations": 1, "seconds": 1.0, **empty, **fields}
    return Outcome(**given)  # type: ignore[arg-type] # a test's shorthand


def test_a_loss_is_told_as_a_loss() -> None:
    """A summary of a history that lost something says so and names it."""
    text = "\n".join(summary(outcome(acknowledged=("0123456789abcdef",)), None))
    assert "LOST" in text
    assert "0123456789abcdef" in text


@pytest.mark.parametrize(
    ("kill", "words"),
    [
        (Kill(1, None, False, 3, ()), "between two iterations"),
        (Kill(1, 2, True, 3, ()), "was stored, though not acknowledged"),
        (Kill(1, 2, True, 2, ()), "was done again"),
        (
            Kill(1, 2, True, 2, ({"size": 17, "kept_at": "x.torn-0"},)),
            "17 torn bytes of its record were set aside in x",
        ),
        (Kill(1, 2, True, 2, ({"size": 17, "kept_at": None},)), "17 torn bytes of its record were left in place"),
    ],
)
def test_the_cost_of_the_crash_is_told(kill: Kill, words: str) -> None:
    """Each way the blow can fall has its sentence."""
    assert words in "\n".join(summary(outcome(kill=kill), None))


def test_the_chart_spans_from_the_lowest_to_the_highest() -> None:
    """Bars scale between the extremes; long curves are thinned out and keep their end; a flat one is flat."""
    assert chart([0.0, 1.0, 7.0]) == "▁▂█"
    assert chart([0.0, 7.0], blocks=False) == "_@"
    assert chart([2.0, 2.0]) == "▁▁"
    long = chart([float(i) for i in range(1000)])
    assert (len(long), long[0], long[-1]) == (60, "▁", "█")


def test_windows_is_told_what_to_do() -> None:
    """Importing the demo there is one clear error, before anything that Windows lacks is touched."""
    code = "import sys; sys.platform = 'win32'\nimport iterlog.demo"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "WSL" in done.stderr.splitlines()[-1]
    assert done.returncode == 1
