"""Records of the shape real loops make: Python source that changes a little from one iteration to the next."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from iterlog import IterationRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = ("signal", "price", "window", "fast", "slow", "trend", "volume", "entry", "exit", "stop", "ratio", "spread")


def evolving_records(count: int, *, seed: int = 1, code_size: int = 4300) -> Iterator[IterationRecord]:
    """Yield records of one lineage of evolving code.

    Args:
        count: How many.
        seed: The same seed gives the same code and metrics.
        code_size: Characters of code per record, about; 4,300 is the median of strategies that models write.
    """
    rng = random.Random(seed)
    lines: list[str] = []
    while sum(map(len, lines)) < code_size:
        lines.append(_line(rng))
    for number in range(count):
        for _ in range(rng.randint(1, 4)):
            lines[rng.randrange(len(lines))] = _line(rng)
        yield IterationRecord(
            number,
            "".join(lines),
            {
                "sharpe_ratio": rng.gauss(1, 0.5),
                "total_return": rng.gauss(0.2, 0.1),
                "max_drawdown": -rng.random() / 2,
                "win_rate": rng.random(),
                "total_trades": rng.randint(5, 400),
                "avg_holding_period": rng.uniform(1, 60),
            },
            "Sharpe is up. " + " ".join(rng.choices(_WORDS, k=40)),
        )


def _line(rng: random.Random) -> str:
    left, first, second = rng.choices(_WORDS, k=3)
    return f"    {left}_{rng.randint(1, 99)} = {first} * {rng.random():.4f} + {second}[-{rng.randint(1, 250)}:]\n"
