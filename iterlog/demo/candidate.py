"""Running a candidate so that nothing it does can stop the loop.

Each candidate gets a process of its own. Restricting ``exec`` inside the worker was refused: an endless loop cannot be
stopped from a thread, ``sys.exit`` and exhausted memory hit the worker, and a filter on builtins keeps nobody out. A
process costs some 30 ms and can always be killed. Inside, `iterlog.demo.runner` limits processor time, memory and
files; here the clock is watched, and the whole process group is killed when it runs out.

This guards against mistakes, not malice: the demo runs only source that its own generator wrote. A loop that runs a
model's code should put this process into a container without network.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterlog.demo.market import LEARNING_DAYS
from iterlog.demo.measures import measure

if TYPE_CHECKING:
    from iterlog.demo.market import Market

CPU_S = 0.8
"""Processor time a candidate may use, however busy the machine is; a good one takes a twentieth of it."""
WALL_S = 10.0
"""Time by the clock, for a candidate that sleeps."""

METRICS = (
    "sharpe_ratio",
    "total_return",
    "max_drawdown",
    "win_rate",
    "total_trades",
    "avg_holding_period",
    "held_back_sharpe_ratio",
)
"""What `evaluate` returns."""

_RUNNER = Path(__file__).with_name("runner.py")
_ENDED_BY = {
    -signal.SIGPROF: "it used more than {cpu_s:g} s of processor time",
    -signal.SIGALRM: "it took longer than {wall_s:g} s",
}


class CandidateError(Exception):
    """The candidate did not run, or not to its end, or its answer is no answer; the message says why."""


def evaluate(code: str, market: Market, *, cpu_s: float = CPU_S, wall_s: float = WALL_S) -> dict[str, float | int]:
    """Run a candidate on a market and measure it.

    Args:
        code: Source that defines ``decide(closes, held)``; see `iterlog.demo.program`.
        market: The prices.
        cpu_s: Processor time it may use.
        wall_s: Time by the clock it may take.

    Returns:
        The metrics of `iterlog.demo.measures` over the learning days, and ``held_back_sharpe_ratio`` over the rest.

    Raises:
        CandidateError: It failed in any way at all.
    """
    positions = run(code, market.closes, cpu_s=cpu_s, wall_s=wall_s)
    learnt = measure(market.closes[: LEARNING_DAYS + 1], positions[:LEARNING_DAYS])
    held_back = measure(market.closes[LEARNING_DAYS:], positions[LEARNING_DAYS:])
    return {**learnt, "held_back_sharpe_ratio": held_back["sharpe_ratio"]}


def run(code: str, closes: tuple[float, ...], *, cpu_s: float = CPU_S, wall_s: float = WALL_S) -> list[float]:
    """Return the position a candidate decides at every close but the last; raises what `evaluate` raises."""
    job = {"code": code, "closes": closes, "cpu_s": cpu_s, "wall_s": wall_s}
    answer, status = _ask(json.dumps(job).encode(), wall_s)
    match _read(answer):
        case {"error": str(reason)}:
            raise CandidateError(reason)
        case {"answer": [*positions]}:
            return _checked(positions, len(closes) - 1)
    reason = _ENDED_BY.get(status, f"its process ended without an answer (status {status})")
    raise CandidateError(reason.format(cpu_s=cpu_s, wall_s=wall_s))


def _read(answer: bytes) -> object:
    try:
        return json.loads(answer)
    except ValueError:
        return None


def _ask(job: bytes, wall_s: float) -> tuple[bytes, int]:
    """Give a job to a new runner; return what it wrote and how it ended (negative: the signal)."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-I", "-S", str(_RUNNER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        try:
            answer, _ = process.communicate(job, timeout=wall_s)
        except subprocess.TimeoutExpired:
            return b"", -signal.SIGALRM
        finally:
            if process.returncode is None:  # not waited for yet, so the number is still its own
                os.killpg(process.pid, signal.SIGKILL)
    return answer, process.returncode


def _checked(positions: list[Any], days: int) -> list[float]:
    if len(positions) != days:
        raise CandidateError(f"it decided on {len(positions)} days of {days}")
    for day, position in enumerate(positions):
        if not isinstance(position, float) or not -1 <= position <= 1:  # NaN is neither above nor below
            raise CandidateError(f"it decided {position} on day {day}; a position is a number from -1 to 1")
    return positions
