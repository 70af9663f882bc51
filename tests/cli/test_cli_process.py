"""The command line as a process: exit codes, pipes, Ctrl-C, the environment, terminals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import COMMAND, call, make_history, run, run_on_terminal

import iterlog
from iterlog.cli.exits import ExitCode, exit_code_of

_READING = [
    ["show"],
    ["cat"],
    ["tail"],
    ["tail", "-f"],
    ["last"],
    ["get", "0"],
    ["stats"],
    ["verify"],
    ["repair"],
]


@pytest.mark.parametrize("words", _READING, ids=" ".join)
def test_missing_history_is_not_found(tmp_path: Path, words: list[str]) -> None:
    """Commands that read end with 3 and one line when there is no history, and create none."""
    result = call(*words, tmp_path / "none.jsonl")
    assert result.exit_code == ExitCode.NOT_FOUND
    assert result.stdout == ""
    assert result.stderr.startswith("iterlog: there is no history")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_missing_default_history_says_how_to_name_one(tmp_path: Path) -> None:
    """Without a URL, and without a history at the default path, the message names the argument and the variable."""
    done = run("show", cwd=tmp_path, env={"ITERLOG_URL": ""})
    assert done.returncode == ExitCode.NOT_FOUND
    assert b"ITERLOG_URL" in done.stderr
    assert b"Traceback" not in done.stderr


def test_url_comes_from_the_argument_then_the_environment_then_the_default(tmp_path: Path) -> None:
    """An argument wins over ITERLOG_URL, which wins over the default path in the working directory."""
    make_history(tmp_path / "argument.jsonl", 1)
    make_history(tmp_path / "environment.jsonl", 2)
    make_history(tmp_path / "iteration_history.jsonl", 3)
    env = {"ITERLOG_URL": "environment.jsonl"}
    assert len(run("cat", "--lines", "argument.jsonl", cwd=tmp_path, env=env).stdout.splitlines()) == 1
    assert len(run("cat", "--lines", cwd=tmp_path, env=env).stdout.splitlines()) == 2
    assert len(run("cat", "--lines", cwd=tmp_path, env={"ITERLOG_URL": ""}).stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (iterlog.IterlogError("x"), 1),
        (iterlog.RecordError("x"), 1),
        (iterlog.ConflictError("x"), 1),
        (iterlog.HistoryClosedError("x"), 1),
        (iterlog.UnsupportedOperationError("x"), 1),
        (iterlog.MissingDependencyError("x"), 1),
        (iterlog.ConfigError("x"), 2),
        (iterlog.HistoryNotFoundError("x"), 3),
        (iterlog.CorruptionError("x"), 4),
        (iterlog.UnavailableError("x"), 5),
        (iterlog.WriteUncertainError("x"), 5),
    ],
)
def test_every_error_has_its_exit_code(error: iterlog.IterlogError, code: int) -> None:
    """The exit code says what the caller does next, as the class of the error does."""
    assert exit_code_of(error) == code


def test_wrong_urls_are_wrong_usage(tmp_path: Path) -> None:
    """An unknown scheme, an unknown option and a directory are exit code 2 and one line without a traceback."""
    for url in ("s4://bucket/x", f"{tmp_path}/a.jsonl?durabilty=sync", tmp_path):
        done = run("show", url)
        assert done.returncode == ExitCode.USAGE
        assert done.stderr.startswith(b"iterlog: ")
        assert done.stderr.count(b"\n") == 1


def test_storage_that_refuses_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system refuses is exit code 5."""
    path = make_history(tmp_path / "run.jsonl")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("iterlog.backends.jsonl.os.open", refuse)
    result = call("show", path)
    assert result.exit_code == ExitCode.STORAGE
    assert "permission denied" in result.stderr


def test_damage_is_warned_of_on_stderr_and_costs_its_line_only(tmp_path: Path) -> None:
    """Reading goes on behind a damaged line, with one warning; many warnings are counted, not printed."""
    path = make_history(tmp_path / "run.jsonl", 2)
    with path.open("ab") as file:
        file.write(b"{broken\n")
    result = call("cat", "--code", path)
    assert result.exit_code == 0
    assert result.stdout == "x = 0\nx = 1\n"
    assert result.stderr.startswith("iterlog: warning: ")
    assert result.stderr.count("\n") == 1
    with path.open("ab") as file:
        file.write(b"{broken\n" * 30)
    assert call("cat", path).stderr.count("\n") == 11
    assert call("cat", f"{path}?on_damage=raise").exit_code == ExitCode.DAMAGE


@pytest.mark.parametrize(
    "words", [["cat"], ["cat", "--lines"], ["cat", "--json"], ["show"], ["show", "--csv"], ["--help"]], ids=" ".join
)
def test_closed_pipe_is_no_error(tmp_path: Path, words: list[str]) -> None:
    """`iterlog … | head -1` prints one line, ends with 0 on both sides, and says nothing."""
    path = make_history(tmp_path / "run.jsonl", 3000, prompt="p" * 500)
    line = shlex.join([*COMMAND, *words, *([] if words == ["--help"] else [str(path)])])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | head -1"], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_pipe_closed_before_anything_is_written(tmp_path: Path) -> None:
    """A reader that is gone before the first byte is no error either."""
    path = make_history(tmp_path / "run.jsonl")
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run([*COMMAND, "show", path], stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(theirs)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A full disk behind `>` is exit code 1 and one line, not success."""
    path = make_history(tmp_path / "run.jsonl", 200)
    for words in (["cat", path], ["last", path], ["--help"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*COMMAND, *map(str, words)], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
            )
        assert done.returncode == ExitCode.ERROR
        assert done.stderr.startswith(b"iterlog: cannot write the output")
        assert done.stderr.count(b"\n") == 1


def test_closed_stdout_is_an_error(tmp_path: Path) -> None:
    """Without a standard output nothing can be shown, and that is said."""
    path = make_history(tmp_path / "run.jsonl")
    line = shlex.join([*COMMAND, "show", str(path)])
    done = subprocess.run(["sh", "-c", f"{line} >&-"], capture_output=True, check=False, timeout=60)
    assert done.returncode == ExitCode.ERROR
    assert done.stderr == b"iterlog: standard output is closed\n"


@pytest.mark.parametrize("words", [["-n", "1"], ["-n", "0"], ["-n", "1", "--json"]], ids=" ".join)
def test_follow_shows_what_is_appended_until_ctrl_c(tmp_path: Path, words: list[str]) -> None:
    """`tail -f` shows each record as it is appended; Ctrl-C ends it with 130 and without a word."""
    path = make_history(tmp_path / "run.jsonl")
    with subprocess.Popen(
        [*COMMAND, "tail", "-f", *words, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown: list[bytes] = []
        with iterlog.open_history(path) as history:
            if "0" not in words:  # the last record is shown before any is appended
                shown += _lines_until(b"try 3", process)
                history.save(code=None, metrics={}, feedback="while following")
            else:  # nothing tells when following begins: append until one comes through
                shown.append(_append_until_shown(history, process))
        if b"while following" not in shown[-1]:
            shown += _lines_until(b"while following", process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == ExitCode.INTERRUPTED
        assert process.stderr.read() == b""
        assert b"try 2" not in b"".join(shown)


def _lines_until(text: bytes, process: subprocess.Popen[bytes]) -> list[bytes]:
    """Return the lines that a process prints up to the one with some text."""
    assert process.stdout is not None
    lines: list[bytes] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was not shown, but {lines}")


def _append_until_shown(history: iterlog.HistoryStore, process: subprocess.Popen[bytes]) -> bytes:
    """Append a record every now and then until the process has printed its first line; return that."""
    import select  # noqa: PLC0415 - this helper alone waits for two things at once

    assert process.stdout is not None
    for _ in range(300):
        history.save(code=None, metrics={}, feedback="while following")
        if select.select([process.stdout], [], [], 0.2)[0]:
            return bytes(process.stdout.readline())
    raise AssertionError("nothing was shown")


def test_follow_ends_with_4_when_the_history_is_cut(tmp_path: Path) -> None:
    """A history that becomes shorter than what was shown ends `tail -f` as damage."""
    path = make_history(tmp_path / "run.jsonl")
    with subprocess.Popen(
        [*COMMAND, "tail", "-f", "-n", "1", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        _lines_until(b"try 3", process)
        os.truncate(path, 0)
        assert process.wait(60) == ExitCode.DAMAGE
        assert process.stderr.read().startswith(b"iterlog: ")


def test_json_is_valid_whatever_the_locale(tmp_path: Path) -> None:
    """In a locale without UTF-8 the JSON is UTF-8 all the same, and text for people is escaped, not broken."""
    path = make_history(tmp_path / "run.jsonl", 1, status="läuft 日本")
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    assert json.loads(run("cat", "--json", path, env=env).stdout.decode())["status"] == "läuft 日本"
    text = run("cat", path, env=env)
    assert text.returncode == 0
    assert b"l\\xe4uft \\u65e5\\u672c" in text.stdout


def test_terminal_has_colours_unless_they_are_unwanted(tmp_path: Path) -> None:
    """Colours are for terminals: none with NO_COLOR, none on a dumb terminal, none in a pipe."""
    path = make_history(tmp_path / "run.jsonl", 2, success=False, error="bad")
    code, sent = run_on_terminal("show", path)
    assert code == 0
    assert "\x1b[31mfailed\x1b[0m" in sent
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in run_on_terminal("show", path, env=env)[1]
    assert b"\x1b" not in run("show", path).stdout


def test_lines_fit_the_terminal(tmp_path: Path) -> None:
    """A table on a terminal has no line longer than the terminal is wide."""
    metrics = {f"a_rather_long_metric_{i}": i / 7 for i in range(20)}
    path = make_history(tmp_path / "run.jsonl", 3, metrics=metrics, feedback="long " * 100)
    for width in (30, 60, 80, 200):
        _, sent = run_on_terminal("show", path, env={"COLUMNS": str(width), "NO_COLOR": "1"})
        rows = [line for line in sent.splitlines() if not line.startswith("iterlog: ")]
        assert len(rows) == 4
        assert max(map(len, rows)) <= width


def test_code_is_shown_without_rich(tmp_path: Path) -> None:
    """On a terminal rich colours the code; where it is not installed, the same text is shown plain."""
    path = make_history(tmp_path / "run.jsonl", 1, code="def f():\n    return 'x'\n")
    assert "\x1b[" in run_on_terminal("get", "0", path, "--code")[1]
    hidden = "import sys; sys.modules['rich.console'] = None; sys.argv[1:] = {!r}; from iterlog.cli import main; main()"
    ours, theirs = os.openpty()
    program = hidden.format(["get", "0", str(path), "--code"])
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(theirs)
    assert done.returncode == 0
    assert done.stderr == b""
    assert os.read(ours, 4096).replace(b"\r\n", b"\n") == b"def f():\n    return 'x'\n"
    os.close(ours)


def test_talk_is_for_terminals(tmp_path: Path) -> None:
    """What only a person wants to know is not said into a pipe or a log."""
    path = make_history(tmp_path / "run.jsonl")
    assert "nothing to repair" in run_on_terminal("repair", path)[1]
    assert run("repair", path).stderr == b""


def test_files_are_left_as_they_are_by_reading(tmp_path: Path) -> None:
    """Reading a history of another program creates nothing beside it and works without the right to write."""
    path = tmp_path / "run.jsonl"
    path.write_text('{"iteration": 0, "code": "x = 1", "metrics": {}, "feedback": ""}\n')
    path.chmod(stat.S_IRUSR)
    before = path.read_bytes()
    for words in (["show"], ["cat"], ["tail"], ["last"], ["get", "0"], ["stats"], ["verify"]):
        assert call(*words, path).exit_code == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.jsonl"]
    assert path.read_bytes() == before
