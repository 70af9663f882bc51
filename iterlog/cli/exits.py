"""From what ends a command to its exit code: errors, Ctrl-C, a closed pipe.

A closed pipe is how ``iterlog cat | head -1`` ends and no error. Ctrl-C is what the user wanted and needs no words.
Everything iterlog raises on purpose is one line on stderr; anything else is a bug, and keeps its traceback.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import click

from iterlog.cli.output import OutputGoneError, flush_stdout, give_up_stdout, talk
from iterlog.errors import (
    ConfigError,
    CorruptionError,
    HistoryNotFoundError,
    IterlogError,
    MissingDependencyError,
    UnavailableError,
    WriteUncertainError,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class ExitCode(enum.IntEnum):
    """How a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    DAMAGE = 4
    STORAGE = 5
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The same in two words, for the help."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.ERROR: "error",
    ExitCode.USAGE: "wrong usage",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.DAMAGE: "damage found",
    ExitCode.STORAGE: "storage away",
    ExitCode.INTERRUPTED: "Ctrl-C",
}


class NotFoundError(click.ClickException):
    """The history is there, what was asked of it is not."""

    exit_code = ExitCode.NOT_FOUND


# The first class that fits decides: a missing package is a ConfigError, but no wrong usage.
_CODES: tuple[tuple[type[IterlogError], ExitCode], ...] = (
    (MissingDependencyError, ExitCode.ERROR),
    (ConfigError, ExitCode.USAGE),
    (HistoryNotFoundError, ExitCode.NOT_FOUND),
    (CorruptionError, ExitCode.DAMAGE),
    (UnavailableError, ExitCode.STORAGE),
    (WriteUncertainError, ExitCode.STORAGE),
)


def exit_code_of(error: IterlogError) -> ExitCode:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.ERROR)


def run(work: Callable[[], None]) -> int:
    """Do some work, write out what it printed, and return the exit code."""
    code = 0
    try:
        try:
            work()
        except click.exceptions.Exit as end:
            code = end.exit_code
        flush_stdout()
    except OutputGoneError:
        give_up_stdout()
    except (KeyboardInterrupt, IterlogError, click.ClickException, RecursionError) as error:
        code = _explain(error)
        try:
            flush_stdout()
        except (OutputGoneError, click.ClickException):
            give_up_stdout()
    return code


def _explain(error: BaseException) -> int:
    """Tell the user what went wrong and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, IterlogError):
        talk(str(error))
        return exit_code_of(error)
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "iterlog"
        talk(f"{error.format_message()}; see '{where} --help'")
        return ExitCode.USAGE
    if isinstance(error, click.ClickException):
        talk(error.format_message())
        return error.exit_code
    talk("a record is nested too deeply to be shown; 'iterlog cat --lines' writes it as it is stored")
    return ExitCode.ERROR
