"""Synthetic daily closes: seeded, and hard enough that no single rule wins all the time.

The price changes between three regimes: it trends up, it trends down, or it is pulled back to where the regime began.
How long one lasts is random, 50 days on average. Same seed, same prices, on every machine.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

LEARNING_DAYS = 756
"""Returns a candidate is judged on: three years of 252 trading days."""
HELD_BACK_DAYS = 252
"""Returns behind them that never decide anything; they show how much of a result was luck."""

_NOISE = 0.009  # a day's standard deviation, about 14 % a year
_DRIFT = 0.0012
_PULL = 0.12  # share of the distance to the anchor that a day takes back
_CHANGE = 1 / 50  # a day's chance that the regime ends


@dataclass(frozen=True)
class Market:
    """One series of closes.

    Attributes:
        seed: What it was made from.
        closes: One more than there are returns.
    """

    seed: int
    closes: tuple[float, ...]

    @classmethod
    def from_seed(cls, seed: int) -> Market:
        """Make the series of a seed."""
        rng = random.Random(f"market {seed}")  # noqa: S311 - prices, not secrets
        regimes = {"up": (_DRIFT, 0.0), "down": (-_DRIFT, 0.0), "range": (0.0, _PULL)}
        regime, level, anchor = "range", math.log(100), math.log(100)
        closes = [100.0]
        for _ in range(LEARNING_DAYS + HELD_BACK_DAYS):
            if rng.random() < _CHANGE:
                regime, anchor = rng.choice(sorted(set(regimes) - {regime})), level
            drift, pull = regimes[regime]
            level += drift - pull * (level - anchor) + rng.gauss(0, _NOISE)
            closes.append(round(math.exp(level), 4))
        return cls(seed, tuple(closes))

    @property
    def tag(self) -> str:
        """The label of records measured on it: results of different series do not compare."""
        return f"market-{self.seed}"
