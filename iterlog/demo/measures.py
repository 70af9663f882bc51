"""How well a strategy did, from its positions: six numbers, each defined once and here.

Timing, without look-ahead: the position decided at the close of day *t*, from closes up to and including *t*, earns the
return from close *t* to close *t+1*. Positions are shares of the capital, from -1 (all of it sold short) to 1; they are
held at that share, so growth compounds daily.

Costs: each change of the position costs `COST` per unit of capital traded, at the close at which it is decided. Turning
from long to short is one sale and one more. What is open at the end is closed at the last close, and that costs too.

A trade is a run of days with a position on one side; changing its size does not begin another. Its result holds its own
costs, and the results of all trades compound to the total return exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COST = 0.0005
"""Five basis points of what is traded."""
DAYS_PER_YEAR = 252
_NOTHING = 1e-12  # a standard deviation below this is rounding


@dataclass
class _Trade:
    growth: float = 1.0
    days: int = 0


def measure(closes: Sequence[float], positions: Sequence[float], *, cost: float = COST) -> dict[str, float | int]:
    """Return the metrics of positions on closes.

    Args:
        closes: Prices above 0, at least two.
        positions: One per close but the last, from -1 to 1.
        cost: What trading a unit of capital costs.

    Returns:
        ``sharpe_ratio``: mean of the daily net returns over their sample standard deviation, times √252; no risk-free
            rate; 0 when they do not vary.
        ``total_return``: what one unit of capital gained, net.
        ``max_drawdown``: the deepest fall of the capital from its highest close before, the start included; 0 or
            below, -0.2 is a fall of 20 %.
        ``win_rate``: the share of trades with a net gain; 0 without trades.
        ``total_trades``: how many trades there were, the one open at the end included.
        ``avg_holding_period``: mean days per trade; 0 without trades.

    Raises:
        ValueError: The lengths do not fit.
    """
    daily, trades = _run(closes, positions, cost)
    capital = list(accumulate(daily, lambda total, growth: total * growth, initial=1.0))
    peaks = accumulate(capital, max)
    return {
        "sharpe_ratio": _sharpe([growth - 1 for growth in daily]),
        "total_return": capital[-1] - 1,
        "max_drawdown": min(now / peak - 1 for now, peak in zip(capital, peaks, strict=True)),
        "win_rate": sum(trade.growth > 1 for trade in trades) / len(trades) if trades else 0.0,
        "total_trades": len(trades),
        "avg_holding_period": sum(trade.days for trade in trades) / len(trades) if trades else 0.0,
    }


def _run(closes: Sequence[float], positions: Sequence[float], cost: float) -> tuple[list[float], list[_Trade]]:
    """Return each day's growth factor and the trades."""
    daily: list[float] = []
    trades: list[_Trade] = []
    held = 0.0
    for (before, after), position in zip(pairwise(closes), positions, strict=True):
        growth = 1.0
        if held and held * position <= 0:
            growth = _closed(trades[-1], held, cost)
            held = 0.0
        if position:
            if not held:
                trades.append(_Trade())
            # A short position can lose more than everything; the capital ends at nothing.
            gain = max(0.0, (1 - cost * abs(position - held)) * (1 + position * (after / before - 1)))
            trades[-1].growth *= gain
            trades[-1].days += 1
            growth *= gain
        held = position
        daily.append(growth)
    if held:
        daily[-1] *= _closed(trades[-1], held, cost)
    return daily, trades


def _closed(trade: _Trade, held: float, cost: float) -> float:
    """Charge a trade for leaving its position; return the factor."""
    factor = 1 - cost * abs(held)
    trade.growth *= factor
    return factor


def _sharpe(returns: list[float]) -> float:
    if len(returns) < 2:  # noqa: PLR2004 - a sample deviation takes two
        return 0.0
    mean = math.fsum(returns) / len(returns)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1))
    return mean / deviation * math.sqrt(DAYS_PER_YEAR) if deviation > _NOTHING else 0.0
