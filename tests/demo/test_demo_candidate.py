"""A candidate does what it likes in its own process, and the loop gets an error in words."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

import pytest

from iterlog.demo.candidate import METRICS, CandidateError, evaluate, run
from iterlog.demo.market import HELD_BACK_DAYS, LEARNING_DAYS, Market
from iterlog.demo.measures import measure
from iterlog.demo.program import KNOWN_GOOD
from iterlog.demo.proposer import SLIPS

if TYPE_CHECKING:
    from pathlib import Path

CLOSES = tuple(float(100 + day) for day in range(6))


def candidate(body: str) -> str:
    """Return a source whose ``decide`` has this body."""
    return f"def decide(closes, held):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"


def test_a_candidate_sees_the_closes_up_to_today_and_its_position() -> None:
    """Nothing that comes later is shown; the last close is never decided on."""
    seen = run(candidate("return len(closes) / 10 if closes[-1] == 99 + len(closes) else held"), CLOSES)
    assert seen == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert run(candidate("return held + 0.25 if held < 1 else -1"), CLOSES) == [0.25, 0.5, 0.75, 1.0, -1.0]


def test_a_candidate_cannot_change_what_it_will_be_shown() -> None:
    """The closes are a tuple of their own each day."""
    with pytest.raises(CandidateError, match="TypeError"):
        run(candidate("closes[0] = 1.0"), CLOSES)


def test_evaluate_measures_the_learning_days_and_holds_the_rest_back() -> None:
    """The metrics are those of the first days alone; the others only give the ratio that is held back."""
    market = Market.from_seed(3)
    found = evaluate(KNOWN_GOOD, market)
    positions = run(KNOWN_GOOD, market.closes)
    assert len(positions) == LEARNING_DAYS + HELD_BACK_DAYS
    learnt = measure(market.closes[: LEARNING_DAYS + 1], positions[:LEARNING_DAYS])
    assert {name: found[name] for name in learnt} == learnt
    assert tuple(found) == METRICS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no\\x1b[2J way')", "ValueError: no"),
        ("return nothing", r"NameError: .*nothing.* \(line 2\)"),
        ("return (", "SyntaxError"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("return decide(closes, held)", "RecursionError"),
        ("return float('nan')", "nan on day 0"),
        ("return 1e400", "inf on day 0"),
        ("return 1.5", "1.5 on day 0"),
        ("return 'long'", "ValueError"),
        ("return None", "TypeError"),
        ("return [0] * 10**12", "MemoryError"),
        ("import os; os.write(os.open('x', os.O_CREAT | os.O_WRONLY), b'x')", "OSError"),
        ("import os; os._exit(5)", r"without an answer \(status 5\)"),
        ("import os; os.abort()", r"without an answer \(status -6\)"),
        ("import os; os.close(3); os.close(4); return 0.0", "OSError|without an answer"),
    ],
)
def test_a_candidate_that_does_not_run_is_an_error_in_words(
    body: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises, returns or does to its process, the caller gets a CandidateError that says what it was."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CandidateError, match=reason):
        run(candidate(body), CLOSES)


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass",
    ],
)
def test_a_candidate_that_loops_for_ever_is_ended(body: str) -> None:
    """Processor time is limited by a signal that no handler in Python code sees."""
    with pytest.raises(CandidateError, match="processor time"):
        run(candidate(body), CLOSES, cpu_s=0.1)


@pytest.mark.parametrize(
    "body",
    [
        "import time; time.sleep(1000)",
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0)\ntime.sleep(1000)",
        "import os, time\nif os.fork() == 0:\n    time.sleep(1000)\nos._exit(0)",
    ],
)
def test_a_candidate_that_sleeps_hides_from_signals_or_leaves_a_child_is_ended(body: str) -> None:
    """The clock is watched from outside, and SIGKILL goes to the whole process group."""
    with pytest.raises(CandidateError, match="longer than"):
        run(candidate(body), CLOSES, wall_s=0.5)


def test_printed_garbage_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """Output of a candidate reaches neither the terminal nor its answer."""
    noise = "import os, sys\nprint('{\"answer\": [1]}\\x1b[2J' * 999)\nsys.stderr.write('x')\nos.write(1, b'\\xff')\n"
    assert run(candidate(f"{noise}return 0.0"), CLOSES) == [0.0] * 5
    assert capfd.readouterr() == ("", "")


def test_a_candidate_has_no_input_and_none_of_our_descriptors() -> None:
    """It reads the end of file at once, and a descriptor of ours is not open there."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        body = f"import os, sys\nassert sys.stdin.read() == ''\nos.fstat({writer})"
        with pytest.raises(CandidateError, match=r"OSError.*Bad file descriptor"):
            run(candidate(body), CLOSES)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("slip", SLIPS)
def test_every_slip_of_the_proposer_makes_a_candidate_fail(slip: str) -> None:
    """What the proposer spoils does not run, so that nothing it cannot read back ever becomes the best."""
    spoiled = KNOWN_GOOD.replace(*SLIPS[slip])
    assert spoiled != KNOWN_GOOD
    with pytest.raises(CandidateError):
        run(spoiled, CLOSES, cpu_s=0.1)
