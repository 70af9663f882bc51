"""A trading strategy as source text: what the demo evolves.

A program is text; `Program` is what its lines mean, and the two turn into each other without loss. So a mutation reads
the text of the best candidate, changes parameters or replaces rules, and writes text again.

Reading is also the guard of the demo: `Program.parse` accepts exactly what `Program.source` can write, and nothing else
from a history is ever built upon and run again. Numbers come from fixed ranges and rules from the tables below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETERS: Mapping[str, tuple[float, ...]] = {
    "FAST": (3, 5, 8, 10, 12, 15, 20, 25),
    "SLOW": (20, 30, 40, 50, 60, 80, 100),
    "LOOKBACK": (5, 10, 15, 20, 30, 40, 60, 90),
    "WINDOW": (5, 8, 10, 12, 15, 20, 30, 40),
    "SPAN": (10, 15, 20, 25, 30, 40, 50),
    "DIRECTED": (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5),
    "ENTRY": (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.2, 1.5),
    "CALM": (0.006, 0.007, 0.008, 0.009, 0.01, 0.011, 0.012, 0.014),
    "FALL": (0.02, 0.03, 0.04, 0.05, 0.06, 0.08),
    "LONG": (0.0, 0.25, 0.5, 0.75, 1.0),
    "SHORT": (0.0, 0.25, 0.5, 0.75, 1.0),
}
"""Every number a program may have, with the values it may take, in order."""

_DEFAULTS = {
    "FAST": 10,
    "SLOW": 40,
    "LOOKBACK": 20,
    "WINDOW": 15,
    "SPAN": 20,
    "DIRECTED": 0.3,
    "ENTRY": 0.2,
    "CALM": 0.011,
    "FALL": 0.05,
    "LONG": 1.0,
    "SHORT": 1.0,
}

_TREND = "(average(closes[-FAST:]) - average(closes[-SLOW:])) / deviation(closes[-SLOW:])"
_REVERSION = "(average(closes[-WINDOW:]) - closes[-1]) / deviation(closes[-WINDOW:])"

RULES: Mapping[str, Mapping[str, str]] = {
    "signal": {
        "trend": f"    return {_TREND}",
        "momentum": "    return (closes[-1] - closes[-1 - LOOKBACK]) / deviation(closes[-LOOKBACK:])",
        "reversion": f"    return {_REVERSION}",
        "breakout": (
            "    low, high = min(closes[-LOOKBACK:]), max(closes[-LOOKBACK:])\n"
            "    return 2 * (closes[-1] - low) / (high - low) - 1"
        ),
        "switch": (
            f"    if directedness(closes[-SPAN:]) > DIRECTED:\n        return {_TREND}\n    return {_REVERSION}"
        ),
    },
    "filter": {
        "none": "",
        "calm": "    if deviation(daily_returns(closes[-21:])) > CALM:\n        return 0.0\n",
        "directed": "    if directedness(closes[-SPAN:]) < DIRECTED:\n        return 0.0\n",
        "fall": "    if held > 0 and closes[-1] < (1 - FALL) * max(closes[-20:]):\n        return 0.0\n",
    },
    "exit": {
        "hold": "    return held",
        "fade": "    return held if held * strength > 0 else 0.0",
        "flat": "    return 0.0",
    },
}
"""The rules of each kind, by name, as lines of source."""

_TEMPLATE = '''\
# signal: {signal}, filter: {filter}, exit: {exit}
{parameters}


def average(values):
    return sum(values) / len(values)


def deviation(values):
    middle = average(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1))


def daily_returns(closes):
    return [after / before - 1 for before, after in zip(closes, closes[1:])]


def directedness(closes):
    """Return how straight the way was: 1 for a line, near 0 for back and forth."""
    way = sum(abs(after - before) for before, after in zip(closes, closes[1:]))
    return abs(closes[-1] - closes[0]) / way


def signal(closes):
    """Return how strongly the closes speak for holding (above 0) or for selling short (below 0)."""
{signal_lines}


def decide(closes, held):
    """Return the share of the capital to hold until the next close, from -1 (all of it short) to 1."""
    if len(closes) < 101:
        return 0.0
{filter_lines}    strength = signal(closes)
    if strength > ENTRY:
        return LONG
    if strength < -ENTRY:
        return -SHORT
{exit_lines}
'''

_HEAD = re.compile(r"# signal: (\w+), filter: (\w+), exit: (\w+)\n((?:[A-Z]+ = [0-9.]+\n)+)\n\ndef ", re.ASCII)


@dataclass(frozen=True)
class Program:
    """What a candidate's source says.

    Attributes:
        signal, filter, exit: Names of rules in `RULES`.
        numbers: Values of `PARAMETERS`; those its rules do not use do not count.
    """

    signal: str = "trend"
    filter: str = "none"
    exit: str = "hold"
    numbers: Mapping[str, float] = field(default_factory=lambda: _DEFAULTS)

    @classmethod
    def parse(cls, source: str | None) -> Program | None:
        """Return the program a source text is, None when `source` did not write it to the letter."""
        head = _HEAD.match(source or "")
        if head is None or any(head[i + 1] not in RULES[kind] for i, kind in enumerate(RULES)):
            return None
        given = dict(line.split(" = ") for line in head[4].splitlines())
        written = {
            name: value for name, values in PARAMETERS.items() for value in values if str(value) == given.get(name)
        }
        program = cls(head[1], head[2], head[3], {**_DEFAULTS, **written})
        return program if program.source() == source else None

    def source(self) -> str:
        """Return the text, ready to run."""
        lines = {f"{kind}_lines": RULES[kind][getattr(self, kind)] for kind in RULES}
        parameters = "\n".join(f"{name} = {self.numbers[name]}" for name in self.used())
        return _TEMPLATE.format(signal=self.signal, filter=self.filter, exit=self.exit, parameters=parameters, **lines)

    def used(self) -> tuple[str, ...]:
        """Return the names of the numbers its rules use."""
        rules = " ".join(RULES[kind][getattr(self, kind)] for kind in RULES) + " ENTRY LONG SHORT"
        return tuple(name for name in PARAMETERS if re.search(rf"\b{name}\b", rules))


KNOWN_GOOD = Program().source()
"""The strategy a new history begins with, and that runs in place of a candidate that does not."""
