"""How far a long piece of work is, for a person at a terminal: one line on stderr that is written over and over."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from typing import Self

from iterlog.cli.escape import visible

_EVERY_S = 0.1
_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Counts what was done of each step, and shows it now and then; nothing off a terminal.

    At the end of its ``with`` block it leaves a clean line.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._shown_at = 0.0

    def add(self, step: str, count: int) -> None:
        """Take note of some work done."""
        self._counts[step] += count
        now = time.monotonic()
        if self._wanted and now - self._shown_at >= _EVERY_S:
            self._shown_at = now
            self._write(_CLEAR_LINE + ", ".join(f"{visible(name)} {done:,}" for name, done in self._counts.items()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._wanted and self._shown_at:
            self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody looks any more
            sys.stderr.write(text)
            sys.stderr.flush()
