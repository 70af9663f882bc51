"""Standard output, which carries data, and standard error, which carries talk.

Text is written in the terminal's encoding, with escapes for what that cannot hold; JSON, CSV and code are UTF-8
whatever the locale says.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import NoReturn

import click

from iterlog.cli.escape import visible

_WIDTH_OFF_A_TERMINAL = 120


class OutputGoneError(BrokenPipeError):
    """Nobody reads standard output any more."""


class Output:
    """Standard output, as one command uses it.

    Attributes:
        terminal: Whether a person is reading.
        colour: Whether colours are wanted: on a terminal that has them, unless NO_COLOR is set.
        width: Columns of the terminal; a fixed number elsewhere.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise click.ClickException("standard output is closed")
        self._bytes = sys.stdout.buffer
        self._encoding = sys.stdout.encoding or "utf-8"
        self.terminal = sys.stdout.isatty()
        self.colour = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.width = shutil.get_terminal_size().columns if self.terminal else _WIDTH_OFF_A_TERMINAL

    def text(self, line: str = "") -> None:
        """Write a line for people; what comes from a record must have been made `visible` before."""
        self.data(self.encoded(line))

    def encoded(self, line: str) -> bytes:
        """Return a line for people as bytes."""
        return f"{line}\n".encode(self._encoding, "backslashreplace")

    def data(self, data: bytes) -> None:
        """Write bytes as they are."""
        try:
            self._bytes.write(data)
        except OSError as error:
            _refuse(error)

    def flush(self) -> None:
        """Hand on what was written so far."""
        flush_stdout()


def talk(message: str) -> None:
    """Say something on stderr, on one line, prefixed with the program's name."""
    if sys.stderr is None:
        return
    line = f"iterlog: {visible(message)}\n"
    encoding = sys.stderr.encoding or "utf-8"
    with contextlib.suppress(OSError):  # nobody listens: there is no other place to say so
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


def chat(message: str) -> None:
    """Say on stderr what only a person at a terminal wants to know."""
    if sys.stderr is not None and sys.stderr.isatty():
        talk(message)


def flush_stdout() -> None:
    """Hand on what was written so far.

    Raises:
        OutputGoneError: The reader is gone.
        click.ClickException: It cannot be written.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        _refuse(error)


def give_up_stdout() -> None:
    """Let what is still to be written go nowhere, so that the interpreter does not complain about it at its end."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor has no such end
        stdout = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stdout)
        os.close(nowhere)


def _refuse(error: OSError) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise OutputGoneError(*error.args) from error
    raise click.ClickException(f"cannot write the output: {error.strerror}") from error
