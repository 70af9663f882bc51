"""One turn of a loop as a ``with`` block: what goes in, what is recorded, whatever the body does."""

from __future__ import annotations

import multiprocessing
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from iterlog import (
    ConflictError,
    HistoryClosedError,
    HistoryStore,
    IterationRecord,
    RecordError,
    ResumePoint,
    UnavailableError,
    iteration,
    open_history,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def history() -> Iterator[HistoryStore]:
    """A new history in memory."""
    with open_history(f"memory://{uuid.uuid4().hex}") as store:
        yield store


def last_of(history: HistoryStore) -> IterationRecord:
    """Return the newest record."""
    record = history.last()
    assert record is not None
    return record


def fail_in_iteration(
    history: HistoryStore, error: BaseException, /, run_id: str | None = None, **set_in_body: Any
) -> None:
    """Run an iteration whose body sets some attributes and raises."""
    with history.iteration(run_id=run_id) as it:
        for name, value in set_in_body.items():
            setattr(it, name, value)
        raise error


def test_a_success(history: HistoryStore) -> None:
    """Number and feedback go in; code, metrics and feedback come out as one record with the duration."""
    with history.iteration(run_id="run-1", tags=("a",)) as it:
        assert (it.number, it.feedback, it.last) == (0, "", None)
        it.code = "x = 1"
        it.metrics["sharpe_ratio"] = 1.5
        it.feedback_for_next = "more of this"
        assert len(history) == 0
    assert it.record == last_of(history)
    assert it.position is not None
    record = last_of(history)
    assert (record.iteration, record.code, record.metrics) == (0, "x = 1", {"sharpe_ratio": 1.5})
    assert (record.success, record.error, record.status) == (True, None, None)
    assert (record.run_id, record.tags) == ("run-1", ("a",))
    assert record.duration_s is not None
    assert record.duration_s >= 0
    with history.iteration() as it:
        assert (it.number, it.feedback, it.last) == (1, "more of this", record)


def test_a_failure(history: HistoryStore) -> None:
    """When the body raises, the record says so, with the code and metrics so far, and the exception goes on."""
    with pytest.raises(ZeroDivisionError):
        fail_in_iteration(history, ZeroDivisionError("division by zero"), code="1 / 0", metrics={"before": 1})
    record = last_of(history)
    assert (record.success, record.error) == (False, "ZeroDivisionError: division by zero")
    assert (record.code, record.metrics, record.status) == ("1 / 0", {"before": 1}, "crash")
    assert record.feedback == "Iteration 0 failed: ZeroDivisionError: division by zero"
    assert record.duration_s is not None
    with history.iteration() as it:
        assert (it.number, it.feedback) == (1, record.feedback)


def test_a_failure_that_was_explained(history: HistoryStore) -> None:
    """What the body said itself before it raised stands."""
    with pytest.raises(ValueError, match="x"):
        fail_in_iteration(
            history, ValueError("x"), error="bad candidate", status="discard", feedback_for_next="try less"
        )
    record = last_of(history)
    assert (record.error, record.status, record.feedback) == ("bad candidate", "discard", "try less")


def test_a_failure_that_was_handled(history: HistoryStore) -> None:
    """A body that catches its own error sets what is recorded."""
    with history.iteration() as it:
        it.success, it.error, it.used_fallback = False, "ValueError: x", True
    record = last_of(history)
    assert (record.success, record.error, record.used_fallback, record.status) == (False, "ValueError: x", True, None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interruption_is_recorded(history: HistoryStore, error: type[BaseException]) -> None:
    """Ctrl-C and the like are recorded too, and go on."""
    with pytest.raises(error):
        fail_in_iteration(history, error(), code="slow()")
    assert (last_of(history).error, last_of(history).code) == (error.__name__, "slow()")


class UnshowableError(Exception):
    """An error whose text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_without_a_text(history: HistoryStore) -> None:
    """An exception that cannot be shown is recorded by its name."""
    with pytest.raises(UnshowableError), history.iteration():
        raise UnshowableError
    assert "UnshowableError" in (last_of(history).error or "")


def test_unrecordable_metrics_are_an_error(history: HistoryStore) -> None:
    """A body that ends well with what cannot be stored gets a RecordError, and nothing is written."""
    with pytest.raises(RecordError, match="metrics"), history.iteration() as it:
        it.metrics = {"model": object()}
    assert len(history) == 0
    with history.iteration() as it:
        assert it.number == 0


class BrokenValue:
    """A measured value whose own code fails, as a closed tensor's does."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"no {name}")


def test_a_value_that_breaks_does_not_hide_a_failure(history: HistoryStore) -> None:
    """When the body raised, a value that fails at being looked at costs itself only."""
    with pytest.raises(ValueError, match="the reason"):
        fail_in_iteration(history, ValueError("the reason"), code="x = 1", metrics={"model": BrokenValue()})
    record = last_of(history)
    assert (record.code, record.metrics, record.success) == ("x = 1", {}, False)


def test_unrecordable_metrics_do_not_hide_a_failure(history: HistoryStore) -> None:
    """When the body raised, everything that can be stored is, and the error says what could not."""
    with pytest.raises(ValueError, match="the reason"):
        fail_in_iteration(
            history,
            ValueError("the reason"),
            run_id="run-1",
            code="x = 1",
            metrics={"model": object()},
            tags=["a", 5],
            feedback_for_next="go on",
        )
    record = last_of(history)
    assert (record.code, record.metrics, record.feedback, record.run_id) == ("x = 1", {}, "go on", "run-1")
    assert record.error is not None
    assert record.error.startswith("ValueError: the reason")
    assert "metrics['model']" in record.error
    assert (record.success, record.status, record.tags) == (False, "crash", ())


def test_an_iteration_begins_once(history: HistoryStore) -> None:
    """Its block cannot be entered again, not inside itself either."""
    it = history.iteration()
    with it, pytest.raises(HistoryClosedError):
        it.__enter__()
    with pytest.raises(HistoryClosedError):
        it.__enter__()
    assert len(history) == 1


@pytest.mark.parametrize("name", ["iteration", "duration_s", "id", "numbre", "feedback"])
def test_what_an_iteration_cannot_begin_with(history: HistoryStore, name: str) -> None:
    """A wrong name is refused at once, with those there are."""
    with pytest.raises(RecordError, match=f"{name!r}.*run_id"):
        history.iteration(**{name: "x"})


def test_a_failing_storage_does_not_hide_the_bodys_error(
    history: HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When neither the body nor the storage works, the storage's error has the body's as its context."""

    def full(*_: object) -> None:
        raise UnavailableError("full")

    monkeypatch.setattr(history, "_append", full)
    with pytest.raises(UnavailableError) as caught, history.iteration():
        raise ValueError("the reason")
    assert isinstance(caught.value.__context__, ValueError)
    monkeypatch.undo()
    with history.iteration() as it:
        assert it.number == 0


def test_iterations_of_threads_have_numbers_of_their_own(history: HistoryStore) -> None:
    """Iterations that run side by side never share a number, and together leave no gap."""
    barrier = threading.Barrier(8)

    def run(_: int) -> list[int]:
        numbers = []
        barrier.wait(10)
        for _ in range(10):
            with history.iteration() as it:
                numbers.append(it.number)
        return numbers

    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(number for part in pool.map(run, range(8)) for number in part)
    assert numbers == list(range(80))
    assert sorted(record.iteration or 0 for record in history) == numbers


def _ends_while_another_asks(history: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let one iteration end between another's question for a number and its answer, as far as the lock lets it."""
    first, second = history.iteration(), history.iteration()
    first.__enter__()
    real, ended = history._next_number, threading.Event()

    def end_first() -> None:
        first.__exit__(None, None, None)
        ended.set()

    ending = threading.Thread(target=end_first)

    def slow() -> int:
        number = real()
        if not ending.ident:
            ending.start()
            ended.wait(0.2)
        return number

    monkeypatch.setattr(history, "_next_number", slow)
    second.__enter__()
    ending.join(10)
    return [first.number, second.number]


def test_a_number_given_back_while_another_asks(history: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An iteration that ends while another one begins does not leave its number to it."""
    assert _ends_while_another_asks(history, monkeypatch) == [0, 1]


def test_asking_outside_the_lock_is_noticed(history: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: were the history asked before the lock is taken, the number would be handed out twice."""

    def reserve(
        self: iteration.Reservations, resume: Callable[[], ResumePoint], _next_number: Callable[[], int]
    ) -> tuple[int, IterationRecord | None]:
        point = resume()
        with self._lock:
            number = point.next_iteration + (point.next_iteration in self._taken)
            self._change(self._taken | {number})
        return number, point.last

    monkeypatch.setattr(iteration.Reservations, "reserve", reserve)
    assert _ends_while_another_asks(history, monkeypatch) == [0, 0]


def test_a_second_loop_is_refused(tmp_path: Path) -> None:
    """Beginning an iteration claims the history, as `resume` does."""
    with open_history(tmp_path / "h.jsonl") as one, open_history(tmp_path / "h.jsonl") as two:
        with one.iteration() as it:
            it.code = "x"
        with pytest.raises(ConflictError), two.iteration():
            pass
        assert len(two) == 1


def _iterate_in_child(history: HistoryStore) -> None:
    with pytest.raises(ConflictError), history.iteration():
        pass


def test_a_fork_while_a_number_is_being_reserved(tmp_path: Path) -> None:
    """A child forked at that moment is told that the parent's loop runs; it does not hang."""
    with open_history(tmp_path / "h.jsonl") as history:
        history.resume()
        child = multiprocessing.get_context("fork").Process(target=_iterate_in_child, args=(history,))
        with history._reservations._lock:
            child.start()
        child.join(30)
        assert child.exitcode == 0


def test_the_last_number_there_is(history: HistoryStore) -> None:
    """Behind the highest number nothing can be handed out, and nothing is written."""
    history.append({"iteration": 2**63 - 1, "code": None, "metrics": {}, "feedback": ""})
    with pytest.raises(RecordError, match="no number"):
        history.save(code=None, metrics={}, feedback="")
    assert len(history) == 1
