"""Ways to run the command line: in this process, as a process of its own, and on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

import iterlog
from iterlog.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

RAW_CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What a terminal would act on, line feeds aside."""

# Ctrl-C is ignored by what a shell runs in the background, tests included: ask for it.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from iterlog.cli import main; main()"
)
COMMAND = ["env", "-u", "PYTHONUNBUFFERED", sys.executable, "-c", _PROGRAM]
"""Begins a command line; whether each line is handed on at once must be the program's doing."""


def call(*words: object, stdin: str | bytes | None = None) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin)


def run(
    *words: object, stdin: bytes = b"", cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a process."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
        timeout=60,
    )


def run_on_terminal(*words: object, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the command line with a terminal for its output; return the exit code and what the terminal was sent."""
    ours, theirs = pty.openpty()
    settings = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40", "NO_COLOR": "", **(env or {})}
    with subprocess.Popen(
        [*COMMAND, *map(str, words)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=os.environ | settings
    ) as process:
        os.close(theirs)
        sent = b""
        with contextlib.suppress(OSError):  # EIO is how the end of a terminal shows on Linux
            while block := os.read(ours, 1 << 16):
                sent += block
        os.close(ours)
        code = process.wait(timeout=60)
    return code, sent.decode().replace("\r\n", "\n")


def make_history(path: Path, count: int = 3, **fields: Any) -> Path:
    """Make a history of some records that differ in number, code, metric and feedback."""
    with iterlog.open_history(path) as history:
        history.extend(
            {
                "iteration": i,
                "code": f"x = {i}\n",
                "metrics": {"sharpe_ratio": i / 4, "total_trades": i},
                "feedback": f"try {i + 1}",
                "timestamp": f"2025-01-09T12:34:{i % 60:02}+00:00",
                **fields,
            }
            for i in range(count)
        )
    return path
