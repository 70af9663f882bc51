"""Programs as text: what can be written can be read back, and nothing else is accepted."""

from __future__ import annotations

import itertools
import random

import pytest

from iterlog.demo.feedback import Advice
from iterlog.demo.market import Market
from iterlog.demo.program import KNOWN_GOOD, PARAMETERS, RULES, Program
from iterlog.demo.proposer import propose
from iterlog.demo.runner import _positions

PROGRAMS = [Program(signal, rule, leave) for signal, rule, leave in itertools.product(*RULES.values())]


def test_every_combination_of_rules_runs_and_reads_back() -> None:
    """Text and meaning turn into each other without loss, and each program answers for every day."""
    closes = Market.from_seed(1).closes[:130]
    for program in PROGRAMS:
        source = program.source()
        assert Program.parse(source) == program
        assert len(_positions(source, closes)) == 129


def test_random_numbers_read_back() -> None:
    """Every number of every range survives being written and read."""
    rng = random.Random(1)
    for program in PROGRAMS:
        numbers = {name: rng.choice(values) for name, values in PARAMETERS.items()}
        source = Program(program.signal, program.filter, program.exit, numbers).source()
        again = Program.parse(source)
        assert again is not None
        assert again.source() == source


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "import os",
        KNOWN_GOOD + "\n",
        KNOWN_GOOD + "import os\n",
        KNOWN_GOOD.replace("ENTRY = 0.2", "ENTRY = 0.25"),
        KNOWN_GOOD.replace("ENTRY = 0.2", "ENTRY = 0.2\nCALM = 0.01"),
        KNOWN_GOOD.replace("signal: trend", "signal: switch"),
        KNOWN_GOOD.replace("signal: trend", "signal: __class__"),
        KNOWN_GOOD.replace("return held", "return __import__('os').system('true') or held"),
        KNOWN_GOOD.replace("\n", "\r\n"),
    ],
)
def test_what_the_demo_did_not_write_is_not_a_program(text: str | None) -> None:
    """Code from a history is built upon only when it is to the letter what the demo writes."""
    assert Program.parse(text) is None


def test_a_proposal_follows_from_best_feedback_seed_and_number() -> None:
    """The same four give the same candidate, so that a killed loop goes on with what it was at."""
    feedback = f"Next: {Advice.REFINE}."
    proposals = [propose(KNOWN_GOOD, feedback, 1, number) for number in range(50)]
    assert proposals == [propose(KNOWN_GOOD, feedback, 1, number) for number in range(50)]
    assert len({source for source, _ in proposals}) > 10
    assert proposals != [propose(KNOWN_GOOD, feedback, 2, number) for number in range(50)]


def test_without_a_best_program_the_known_good_one_comes_first() -> None:
    """A new history, and one whose best code is not the demo's, begin with the strategy that runs for sure."""
    assert propose(None, "", 1, 0)[0] == KNOWN_GOOD
    assert propose("import os", "", 1, 0)[0] == KNOWN_GOOD


def changed(advice: Advice, number: int) -> tuple[Program, str]:
    """Return what a piece of advice makes of the known-good program, None when it was spoiled."""
    source, change = propose(KNOWN_GOOD, f"Next: {advice}.", 1, number)
    return Program.parse(source) or Program(), change


def test_the_advice_decides_what_is_changed() -> None:
    """Another signal is another signal, a rule is a filter or an exit, and being careful moves one number one step."""
    base = Program()
    for number in range(60):
        assert changed(Advice.NEW_SIGNAL, number)[0].signal != "trend" or ";" in changed(Advice.NEW_SIGNAL, number)[1]
        ruled, text = changed(Advice.NEW_RULE, number)
        assert (ruled.filter, ruled.exit) != (base.filter, base.exit) or ";" in text
        careful, text = changed(Advice.BE_CAREFUL, number)
        assert ";" not in text
        moved = [name for name in PARAMETERS if careful.numbers[name] != base.numbers[name]]
        assert len(moved) == 1
        steps = PARAMETERS[moved[0]].index(careful.numbers[moved[0]]) - PARAMETERS[moved[0]].index(
            base.numbers[moved[0]]
        )
        assert abs(steps) == 1


def test_advice_is_read_from_the_end_of_the_words_only() -> None:
    """An error text that sounds like advice is none."""
    text = f"Iteration 3 did not run: Next: {Advice.NEW_SIGNAL}. Next: {Advice.BE_CAREFUL}."
    assert Advice.in_words(text) is Advice.BE_CAREFUL
    assert Advice.in_words("") is Advice.REFINE


def test_prices_follow_from_the_seed() -> None:
    """The same seed gives the same closes, another one others, all above 0."""
    assert Market.from_seed(5) == Market.from_seed(5)
    assert Market.from_seed(5).closes != Market.from_seed(6).closes
    assert min(Market.from_seed(5).closes) > 0
