"""What one iteration tells the next, in words: how it went, against the best, and one piece of advice."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iterlog import Iteration, IterationRecord

_MANY_TRADES = 60
_FEW_TRADES = 8
_DEEP = -0.15


class Advice(enum.StrEnum):
    """What the next candidate should do with the best one; `iterlog.demo.proposer` looks for these words."""

    BE_CAREFUL = "go back to the best strategy and change one number"
    TRADE_LESS = "trade less"
    TRADE_MORE = "trade more"
    PROTECT = "protect the capital"
    REFINE = "refine the numbers"
    NEW_RULE = "change a rule"
    NEW_SIGNAL = "try another signal"

    @classmethod
    def in_words(cls, feedback: str) -> Advice:
        """Return the advice a feedback ends with, `REFINE` when it has none."""
        return next((advice for advice in cls if feedback.endswith(f"Next: {advice}.")), cls.REFINE)


def write_feedback(it: Iteration, best: IterationRecord | None) -> str:
    """Return the feedback of an iteration whose code, metrics and error are set.

    Args:
        it: The iteration.
        best: The best record before it.
    """
    if it.error:
        return f"Iteration {it.number} did not run: {it.error}. Next: {Advice.BE_CAREFUL}."
    told = f"Iteration {it.number} ({it.extra['change']}): {in_words(it.metrics)}."
    if best is None:
        return f"{told} Next: {Advice.REFINE}."
    reached = best.metrics["sharpe_ratio"]
    if it.metrics["sharpe_ratio"] > reached:
        return f"{told} Better than the {reached:.2f} of iteration {best.iteration}. Next: {Advice.REFINE}."
    verdict = f"No better than the {reached:.2f} of iteration {best.iteration}"
    return f"{told} {verdict}. Next: {_advice(best, it.number)}."


def in_words(metrics: Mapping[str, Any]) -> str:
    """Return the metrics of a strategy as people say them."""
    return (
        f"Sharpe ratio {metrics['sharpe_ratio']:.2f}, return {metrics['total_return']:+.1%}, "
        f"drawdown {metrics['max_drawdown']:.1%}, {metrics['total_trades']} trades, {metrics['win_rate']:.0%} of them "
        f"won, {metrics['avg_holding_period']:.1f} days each"
    )


def _advice(best: IterationRecord, number: int) -> Advice:
    """Go through the weak sides of the best strategy, then through what else can be done about it."""
    metrics = best.metrics
    weak = {
        Advice.TRADE_LESS: metrics["total_trades"] > _MANY_TRADES,
        Advice.TRADE_MORE: metrics["total_trades"] < _FEW_TRADES,
        Advice.PROTECT: metrics["max_drawdown"] < _DEEP,
    }
    options = [advice for advice, applies in weak.items() if applies]
    options += [Advice.NEW_SIGNAL, Advice.REFINE, Advice.NEW_RULE, Advice.REFINE]
    return options[(number - (best.iteration or 0) - 1) % len(options)]
