"""The process a candidate runs in: started as a script by `iterlog.demo.candidate`, imports nothing of iterlog.

A job comes as JSON on stdin, ``{"answer": [position, …]}`` or ``{"error": text}`` goes out on what was stdout. Before
the candidate's first line runs, its stdin, stdout and stderr are the null device and its limits are set; a limit ends
the process by a signal that names it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
from typing import Any

SOURCE_NAME = "<candidate>"
_MEMORY = 1 << 30


def main() -> None:
    """Run one job and end the process at once, whatever threads or exit handlers the candidate left behind."""
    job = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _limit(job["cpu_s"], job["wall_s"])
    outcome = json.dumps(_outcome(job["code"], tuple(job["closes"]))).encode()
    while outcome:
        outcome = outcome[os.write(answer, outcome) :]
    os._exit(0)


def _limit(cpu_s: float, wall_s: float) -> None:
    for signum in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(signum, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    # Whoever started this watches the clock too; the alarm is for the day when they were killed in the middle.
    signal.setitimer(signal.ITIMER_REAL, wall_s)
    limits = {resource.RLIMIT_AS: _MEMORY, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS grants no limit on memory; time is what matters
            resource.setrlimit(kind, (most, most))


def _outcome(code: str, closes: tuple[float, ...]) -> dict[str, Any]:
    try:
        return {"answer": _positions(code, closes)}
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a candidate are its failures
        return {"error": _described(error)}


def _positions(code: str, closes: tuple[float, ...]) -> list[float]:
    """Ask for a position at every close but the last, showing nothing that comes later."""
    names: dict[str, Any] = {"__name__": "candidate", "math": math}
    exec(compile(code, SOURCE_NAME, "exec"), names)  # noqa: S102 - the demo's own candidate, in this guarded process
    decide = names["decide"]
    held, positions = 0.0, []
    for today in range(1, len(closes)):
        held = float(decide(closes[:today], held))
        positions.append(held)
    return positions


def _described(error: BaseException) -> str:
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == SOURCE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    text = f"{type(error).__name__}: {getattr(error, 'msg', error)}".rstrip(": ")[:300]
    return f"{text} (line {line})" if line else text


if __name__ == "__main__":
    main()
