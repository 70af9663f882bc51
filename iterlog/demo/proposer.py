"""Writing the next candidate: the best source so far, changed as the last feedback advises, and sometimes spoiled.

This stands where a language model would: text in, text out. Like one it slips now and then and hands in source that
does not compile, fails half-way, never ends, or leaves the process. Everything it does follows from the seed, the
iteration's number, the best source and the feedback, so a loop that was killed writes the same candidate again.
"""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING, Any

from iterlog.demo.feedback import Advice
from iterlog.demo.program import KNOWN_GOOD, PARAMETERS, RULES, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SLIP = 0.14  # how often a candidate is spoiled
_SECOND_CHANGE = 0.35
_ATTEMPTS = 20  # a change may change nothing, a number at the end of its range for one

_FIRST_LINE = "    if len(closes) < 101:\n"
SLIPS: Mapping[str, tuple[str, str]] = {
    "a colon forgotten": ("def decide(closes, held):", "def decide(closes, held)"),
    "a name misspelled": (_FIRST_LINE, f"    strength = signol(closes)\n{_FIRST_LINE}"),
    "tomorrow's close asked for": (_FIRST_LINE, f"    tomorrow = closes[len(closes)]\n{_FIRST_LINE}"),
    "a wait that never ends": (_FIRST_LINE, f"    while held == held:\n        pass\n{_FIRST_LINE}"),
    "no position but NaN": (_FIRST_LINE, f"    held = math.nan\n    return held\n{_FIRST_LINE}"),
    "a division by nothing": (_FIRST_LINE, f"    change = closes[-1] / (held - held)\n{_FIRST_LINE}"),
    "the process left": (_FIRST_LINE, f"    raise SystemExit(3)\n{_FIRST_LINE}"),
}
"""What spoils a candidate, always: a description, the text to replace, the text in its place."""


def propose(best: str | None, feedback: str, seed: int, number: int) -> tuple[str, str]:
    """Write a candidate.

    Args:
        best: The source of the best strategy so far; None begins with the known-good one, unchanged.
        feedback: What the last iteration left.
        seed: Makes the random choices, together with the number.
        number: The iteration's number.

    Returns:
        The source, and in words what was changed.
    """
    parent = Program.parse(best)
    if parent is None:
        return KNOWN_GOOD, "the known-good strategy"
    rng = random.Random(f"proposal {seed} {number}")  # noqa: S311 - a search, not a secret
    advice = Advice.in_words(feedback)
    program = _changed(parent, advice, rng)
    source, change = program.source(), _difference(parent, program)
    if advice is not Advice.BE_CAREFUL and rng.random() < _SLIP:
        slip = rng.choice(list(SLIPS))
        return source.replace(*SLIPS[slip]), f"{change}; {slip}"
    return source, change


def _changed(parent: Program, advice: Advice, rng: random.Random) -> Program:
    program = parent
    for _ in range(_ATTEMPTS):
        program = _CHANGES[advice](program, rng)
        if advice is not Advice.BE_CAREFUL and rng.random() < _SECOND_CHANGE:
            program = _refine(program, rng)
        if program.source() != parent.source():
            break
    return program


def _refine(program: Program, rng: random.Random) -> Program:
    return _moved(program, rng.choice(program.used()), rng.choice((-2, -1, 1, 2)))


def _step(program: Program, rng: random.Random) -> Program:
    return _moved(program, rng.choice(program.used()), rng.choice((-1, 1)))


def _slower(program: Program, rng: random.Random) -> Program:
    return _moved(program, rng.choice(_pace(program)), 1)


def _faster(program: Program, rng: random.Random) -> Program:
    return _moved(program, rng.choice(_pace(program)), -1)


def _pace(program: Program) -> list[str]:
    """Return the numbers that say how slowly a program changes its mind."""
    return [name for name in ("FAST", "SLOW", "LOOKBACK", "WINDOW", "ENTRY") if name in program.used()]


def _protect(program: Program, rng: random.Random) -> Program:
    name = rng.choice(("filter", "LONG", "SHORT", "CALM", "FALL"))
    return _other_rule(program, "filter", rng) if name == "filter" else _moved(program, name, -1)


def _new_rule(program: Program, rng: random.Random) -> Program:
    return _other_rule(program, rng.choice(("filter", "exit")), rng)


def _new_signal(program: Program, rng: random.Random) -> Program:
    return _other_rule(program, "signal", rng)


def _other_rule(program: Program, kind: str, rng: random.Random) -> Program:
    others = sorted(set(RULES[kind]) - {getattr(program, kind)})
    choice: dict[str, Any] = {kind: rng.choice(others)}
    return dataclasses.replace(program, **choice)


def _moved(program: Program, name: str, steps: int) -> Program:
    """Move a number along its range."""
    values = PARAMETERS[name]
    place = min(max(values.index(program.numbers[name]) + steps, 0), len(values) - 1)
    return dataclasses.replace(program, numbers={**program.numbers, name: values[place]})


_CHANGES: Mapping[Advice, Callable[[Program, random.Random], Program]] = {
    Advice.BE_CAREFUL: _step,
    Advice.TRADE_LESS: _slower,
    Advice.TRADE_MORE: _faster,
    Advice.PROTECT: _protect,
    Advice.REFINE: _refine,
    Advice.NEW_RULE: _new_rule,
    Advice.NEW_SIGNAL: _new_signal,
}


def _difference(before: Program, after: Program) -> str:
    """Return what differs between two programs, in words."""
    rules = [
        f"{kind} {getattr(before, kind)} to {getattr(after, kind)}"
        for kind in RULES
        if getattr(before, kind) != getattr(after, kind)
    ]
    numbers = [
        f"{name} {before.numbers[name]} to {after.numbers[name]}"
        for name in after.used()
        if after.numbers[name] != before.numbers[name]
    ]
    return ", ".join(rules + numbers) or "nothing changed"
