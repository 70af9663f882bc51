"""The loop: propose, run, measure, tell the next one. This is the part to copy.

It is a plain function over a history. It may be killed between any two instructions: whoever calls it again goes on
where the records end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from iterlog.demo.candidate import METRICS, CandidateError, evaluate
from iterlog.demo.feedback import write_feedback
from iterlog.demo.program import KNOWN_GOOD, Program
from iterlog.demo.proposer import propose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from iterlog import HistoryStore, IterationRecord
    from iterlog.demo.market import Market

DEMO_TAG = "demo"


class Tell(Protocol):
    """How the loop reports to whoever watches; it decides nothing."""

    def __call__(self, event: str, number: int, record: IterationRecord | None = None) -> None:
        """Say that an iteration has ``"begun"``, is ``"appending"`` its record, or has it ``"acknowledged"``."""


def evolve(history: HistoryStore, market: Market, *, until: int, run_id: str, tell: Tell) -> None:
    """Run iterations until the next one would have the number ``until``, whatever an earlier run left.

    In place of a candidate that does not run, the known-good strategy does: the record says ``used_fallback=True`` and
    ``success=False`` with the error; ``code`` and ``metrics`` are those of the strategy that ran, and
    ``extra["failed_code"]`` keeps the one that did not.
    """
    best = find_best(history, market)
    while history.resume().next_iteration < until:
        with history.iteration(run_id=run_id, tags=(DEMO_TAG, market.tag)) as it:
            tell("begun", it.number)
            it.parent_id = best.id if best else None
            it.code, it.extra["change"] = propose(best.code if best else None, it.feedback, market.seed, it.number)
            try:
                it.metrics = evaluate(it.code, market)
                it.status = "keep" if best is None or score(it.metrics) > score(best.metrics) else "discard"
            except CandidateError as failure:
                it.success, it.error, it.status = False, str(failure), "crash"
                it.used_fallback, it.extra["failed_code"] = True, it.code
                it.code = KNOWN_GOOD
                it.metrics = evaluate(it.code, market)
            it.feedback_for_next = write_feedback(it, best)
            tell("appending", it.number)
        tell("acknowledged", it.number, it.record)
        if it.status == "keep":
            best = it.record


def find_best(history: HistoryStore, market: Market) -> IterationRecord | None:
    """Return the record to build on, the first of equals; None when there is none."""
    return max(candidates(history, market), key=lambda record: score(record.metrics), default=None)


def candidates(history: HistoryStore, market: Market) -> Iterator[IterationRecord]:
    """Yield the records whose own candidate ran, measured on this market.

    Only programs that the demo can have written count: what a history holds is somebody's text until then.
    """
    for record in history:
        ran = record.success and not record.used_fallback
        ours = {DEMO_TAG, market.tag} <= set(record.tags) and Program.parse(record.code)
        if ran and ours and _is_measured(record.metrics):
            yield record


def score(metrics: Mapping[str, Any]) -> float:
    """Return what the loop makes larger."""
    return float(metrics["sharpe_ratio"])


def _is_measured(metrics: Mapping[str, Any]) -> bool:
    """Whether every metric is there and a number."""
    values = [metrics.get(name) for name in METRICS]
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)
