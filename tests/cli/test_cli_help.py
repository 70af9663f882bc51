"""Help, version, completion, and what starting costs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from cli_helpers import call, run

import iterlog
from iterlog.cli.app import COMMANDS, app
from iterlog.cli.command import ExamplesFirst
from iterlog.cli.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

_SHELL_WORDS = {"|", ">", "&&"}


def _command(name: str) -> ExamplesFirst:
    command = app.get_command(click.Context(app), name)
    assert isinstance(command, ExamplesFirst)
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_begins_with_examples(name: str) -> None:
    """The first thing `iterlog COMMAND --help` says is how the command is used."""
    result = call(name, "--help")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Examples:"
    assert lines[1].strip().startswith(_command(name).examples[0][0])


def test_help_begins_with_examples_and_names_every_command() -> None:
    """`iterlog --help` begins with examples, and has a line for each command and exit code."""
    result = call("--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Examples:\n  iterlog demo")
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert line in result.stdout
    for code in ExitCode:
        assert f"{code.value} {code.meaning.split()[0]}" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_accepted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command line shown as an example is one the command takes."""
    monkeypatch.chdir(tmp_path)
    for source in ("results.ndjson", "batch.ndjson"):
        (tmp_path / source).touch()
    for example, meaning in _command(name).examples:
        assert meaning
        words = shlex.split(example)
        starts = [i + 1 for i, word in enumerate(words) if word == "iterlog"]
        for start in starts:
            until = next((i for i in range(start, len(words)) if words[i] in _SHELL_WORDS), len(words))
            command, *rest = words[start:until]
            with _command(command).make_context(command, rest):
                pass
        assert any(words[start] == name for start in starts)


def test_examples_of_the_program_name_commands() -> None:
    """The examples of `iterlog --help` use commands that exist, in a way they take."""
    assert isinstance(app, ExamplesFirst)
    for example, _ in app.examples:
        _, command, *rest = shlex.split(example)
        _command(command).make_context(command, rest).close()


def test_version() -> None:
    """`iterlog --version` says which version it is."""
    assert call("--version").stdout == f"iterlog {iterlog.__version__}\n"


def test_no_command_is_wrong_usage_and_shows_the_help() -> None:
    """`iterlog` alone shows the help, on stderr because nobody asked for it as data."""
    result = call()
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Examples:" in result.stderr


def test_mistyped_command_is_suggested() -> None:
    """A command with a typo is wrong usage, and the right one is named."""
    result = call("shwo")
    assert result.exit_code == ExitCode.USAGE
    assert "'show'" in result.stderr


@pytest.mark.parametrize("words", [["show", "--colour"], ["get"], ["get", "x"], ["tail", "-n", "-1"]])
def test_wrong_usage_is_one_line(words: list[str]) -> None:
    """Wrong options and arguments are one line on stderr, exit code 2, and no traceback."""
    result = call(*words)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr.startswith("iterlog: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_imports_neither_msgspec_nor_any_command(words: list[str]) -> None:
    """Help and version start fast: what only commands need is not imported."""
    program = (
        "import sys\nfrom iterlog.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    commands = {place.partition(":")[0] for place, _ in COMMANDS.values()}
    assert "iterlog.cli.app" in loaded
    assert not loaded & {"msgspec", "rich", "json", "logging", "asyncio", "iterlog.store", "iterlog.record", *commands}


def test_module_is_the_command() -> None:
    """`python -m iterlog` is the same as `iterlog`."""
    done = subprocess.run([sys.executable, "-m", "iterlog", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"iterlog {iterlog.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    """For each shell the completion script is printed and asks iterlog for the words."""
    done = run(env={"_ITERLOG_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0
    assert b"_ITERLOG_COMPLETE" in done.stdout
    assert f"{shell}_complete".encode() in done.stdout


def test_command_names_are_completed() -> None:
    """The beginning of a command is completed to the commands that begin so."""
    done = run(env={"_ITERLOG_COMPLETE": "bash_complete", "COMP_WORDS": "iterlog re", "COMP_CWORD": "1"})
    assert done.stdout.split() == [b"plain,repair", b"plain,resume"]


def test_options_and_files_are_completed() -> None:
    """Within a command, options are completed, and the history as a file name."""
    options = run(env={"_ITERLOG_COMPLETE": "bash_complete", "COMP_WORDS": "iterlog show --c", "COMP_CWORD": "2"})
    assert options.stdout.split() == [b"plain,--csv"]
    files = run(env={"_ITERLOG_COMPLETE": "bash_complete", "COMP_WORDS": "iterlog show ru", "COMP_CWORD": "2"})
    assert files.stdout.split() == [b"file,ru"]
