"""The loop on a history in memory: what it writes down, what it builds on, what it refuses to build on."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

import iterlog
from iterlog.demo import loop
from iterlog.demo.candidate import METRICS
from iterlog.demo.feedback import Advice
from iterlog.demo.loop import DEMO_TAG, evolve, find_best
from iterlog.demo.market import Market
from iterlog.demo.program import KNOWN_GOOD, Program
from iterlog.demo.proposer import SLIPS

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKET = Market.from_seed(14)
SPOILED = KNOWN_GOOD.replace(*SLIPS["a name misspelled"])
BETTER = Program(signal="breakout").source()


@pytest.fixture
def history() -> Iterator[iterlog.HistoryStore]:
    """Return an empty history in memory."""
    with iterlog.open_history(f"memory://{uuid.uuid4().hex}") as opened:
        yield opened


def silent(event: str, number: int, record: iterlog.IterationRecord | None = None) -> None:
    """Watch nothing."""


def run(history: iterlog.HistoryStore, until: int) -> list[iterlog.IterationRecord]:
    """Run the loop up to a number and return all records."""
    evolve(history, MARKET, until=until, run_id="run", tell=silent)
    return list(history)


def save(history: iterlog.HistoryStore, code: str | None, sharpe: Any, **fields: Any) -> iterlog.IterationRecord:
    """Store a record such as the loop writes."""
    metrics = {**dict.fromkeys(METRICS, 1.0), "sharpe_ratio": sharpe}
    return history.save(code=code, metrics=metrics, feedback="", **{"tags": (DEMO_TAG, MARKET.tag), **fields})


def propose_in_turn(monkeypatch: pytest.MonkeyPatch, *sources: str) -> list[tuple[str | None, str]]:
    """Have these candidates proposed, and return the list of what each proposal was given."""
    given: list[tuple[str | None, str]] = []

    def propose(best: str | None, feedback: str, seed: int, number: int) -> tuple[str, str]:  # noqa: ARG001
        given.append((best, feedback))
        return sources[number], f"change {number}"

    monkeypatch.setattr(loop, "propose", propose)
    return given


def test_a_candidate_that_does_not_run_is_replaced_and_kept(
    history: iterlog.HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has the known-good code with its metrics, the error, and the code that failed."""
    propose_in_turn(monkeypatch, KNOWN_GOOD, SPOILED)
    good, failed = run(history, 2)
    assert (failed.success, failed.used_fallback, failed.status) == (False, True, "crash")
    assert failed.error == "NameError: name 'signol' is not defined (line 35)"
    assert failed.extra["failed_code"] == SPOILED
    assert failed.code == KNOWN_GOOD
    assert failed.metrics == good.metrics
    assert failed.parent_id == good.id
    assert failed.error in failed.feedback
    assert failed.feedback.endswith(f"Next: {Advice.BE_CAREFUL}.")


def test_each_proposal_gets_the_best_code_and_the_last_feedback(
    history: iterlog.HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best code moves on only when the ratio rose; the feedback is always that of the iteration before."""
    given = propose_in_turn(monkeypatch, KNOWN_GOOD, BETTER, SPOILED, KNOWN_GOOD)
    records = run(history, 4)
    assert [record.status for record in records] == ["keep", "keep", "crash", "discard"]
    assert [best for best, _ in given] == [None, KNOWN_GOOD, BETTER, BETTER]
    assert [feedback for _, feedback in given] == ["", *(record.feedback for record in records[:3])]
    assert [record.parent_id for record in records] == [None, records[0].id, records[1].id, records[1].id]


def test_records_carry_what_the_demo_promises(history: iterlog.HistoryStore) -> None:
    """Every record has its run, its tags, its duration, all metrics, and feedback in words that ends with advice."""
    for number, record in enumerate(run(history, 3)):
        assert record.iteration == number
        assert record.run_id == "run"
        assert record.tags == (DEMO_TAG, MARKET.tag)
        assert record.duration_s
        assert set(record.metrics) == set(METRICS)
        assert f"Sharpe ratio {record.metrics['sharpe_ratio']:.2f}" in record.feedback
        assert any(record.feedback.endswith(f"Next: {advice}.") for advice in Advice)


def test_a_loop_in_pieces_is_the_loop_in_one(history: iterlog.HistoryStore) -> None:
    """Stopping and going on changes nothing: the same seed gives the same codes, metrics and feedback."""
    for until in (1, 2, 5, 8):
        pieces = run(history, until)
    with iterlog.open_history(f"memory://{uuid.uuid4().hex}") as other:
        whole = run(other, 8)
    fields = ("iteration", "code", "metrics", "feedback", "error", "status", "used_fallback", "extra")
    assert [[getattr(record, name) for name in fields] for record in pieces] == [
        [getattr(record, name) for name in fields] for record in whole
    ]


def test_the_first_of_equally_good_records_is_the_best(history: iterlog.HistoryStore) -> None:
    """A later record has to be better, not as good."""
    save(history, KNOWN_GOOD, 0.5)
    first = save(history, BETTER, 1.0)
    save(history, KNOWN_GOOD, 1.0)
    assert find_best(history, MARKET) == first


@pytest.mark.parametrize(
    ("code", "sharpe", "fields"),
    [
        ("import os", 9.0, {}),
        (KNOWN_GOOD + "import os\n", 9.0, {}),
        (None, 9.0, {}),
        (KNOWN_GOOD, 9.0, {"tags": (DEMO_TAG, "market-1")}),
        (KNOWN_GOOD, 9.0, {"tags": (MARKET.tag,)}),
        (KNOWN_GOOD, 9.0, {"success": False}),
        (KNOWN_GOOD, 9.0, {"used_fallback": True}),
        (KNOWN_GOOD, float("nan"), {}),
        (KNOWN_GOOD, float("inf"), {}),
        (KNOWN_GOOD, "9", {}),
        (KNOWN_GOOD, None, {}),
    ],
)
def test_what_the_demo_cannot_have_written_is_not_built_upon(
    history: iterlog.HistoryStore, code: str | None, sharpe: object, fields: dict[str, Any]
) -> None:
    """Foreign code, other prices, failures and metrics that are no numbers never become the best."""
    honest = save(history, BETTER, 0.1)
    save(history, code, sharpe, **fields)
    assert find_best(history, MARKET) == honest
