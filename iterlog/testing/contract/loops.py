"""The contract about loops: where to go on, one iteration as a block, and who may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.testing.contract.base import ContractBase
from iterlog.testing.effort import Effort, effort_of
from iterlog.testing.samples import fill, filled, numbers, sample

if TYPE_CHECKING:
    from collections.abc import Callable


class Loops(ContractBase):
    """Tests of resume, iteration and the claim."""

    def test_resume_of_a_new_history_begins_at_zero(self, url: str) -> None:
        """A new history resumes at iteration 0, with no feedback and nothing lost."""
        with iterlog.open_history(url) as history:
            assert history.resume() == iterlog.ResumePoint(0, "", None, ())

    def test_resume_goes_on_behind_the_last_record(self, url: str) -> None:
        """A reopened history resumes behind its last record, with that record and its feedback."""
        last = filled(url, 3)[-1]
        with iterlog.open_history(url) as history:
            assert history.resume() == iterlog.ResumePoint(3, last.feedback, last, ())

    def test_resume_gives_the_feedback_of_a_failure(self, url: str) -> None:
        """A failed iteration's feedback is what the next one gets: it was written for it."""
        with iterlog.open_history(url) as history:
            fill(history, 1)
            history.append(sample(1, success=False, error="timeout", feedback="use fewer assets"))
            point = history.resume()
        assert (point.next_iteration, point.feedback) == (2, "use fewer assets")
        assert point.last is not None
        assert not point.last.success

    def test_resume_never_names_a_number_again(self, url: str) -> None:
        """Where numbers are handed out, resume goes on behind the highest one, however long ago it was (promise 7)."""
        with iterlog.open_history(url) as history:
            history.append(sample(9))
            history.append(sample(2))
            expected = 10 if isinstance(history, iterlog.SupportsNumbering) else 3
            assert history.resume().next_iteration == expected
        with iterlog.open_history(url) as history:
            assert history.resume().next_iteration == expected

    def test_resume_costs_the_same_at_any_length(self, url: str, make_url: Callable[[], str]) -> None:
        """resume() and last() do the same work, in calls and memory, at any length (promise 9)."""
        other = make_url()
        short, long = _effort_at_length(other, 20), _effort_at_length(url, 500)
        assert long.calls <= 2 * short.calls
        assert long.peak <= 2 * short.peak + 64 * 1024

    def test_iteration_is_recorded_when_its_block_ends(self, url: str) -> None:
        """The with block gets number and feedback, and leaves one record with what was set and how long it took."""
        filled(url, 1)
        with iterlog.open_history(url) as history:
            with history.iteration(run_id="run-7") as it:
                assert (it.number, it.feedback) == (1, "what 0 taught")
                it.code = "pass"
                it.metrics["sharpe_ratio"] = 2.0
                it.feedback_for_next = "better"
                assert len(history) == 1
            stored = history.last()
            assert stored is not None
            assert stored == it.record
            assert (stored.iteration, stored.code, stored.metrics) == (1, "pass", {"sharpe_ratio": 2.0})
            assert (stored.feedback, stored.run_id, stored.success) == ("better", "run-7", True)
            assert stored.duration_s is not None
            assert [position for position, _ in history.entries()][-1] == it.position

    def test_iteration_that_raises_is_recorded_as_failed(self, url: str) -> None:
        """An exception in the block goes on, and leaves a record with the error and the code as far as it was set."""
        with iterlog.open_history(url) as history:
            with pytest.raises(ZeroDivisionError):
                _divide_by_zero(history)
            stored = history.last()
            assert stored is not None
            assert (stored.iteration, stored.code, stored.success) == (0, "1 / 0", False)
            assert "ZeroDivisionError" in (stored.error or "")
            assert history.resume().next_iteration == 1
            assert "ZeroDivisionError" in history.resume().feedback

    def test_open_iterations_have_numbers_of_their_own(self, url: str) -> None:
        """Iterations of one handle that run at the same time have different numbers (promise 7)."""
        with iterlog.open_history(url) as history:
            with history.iteration() as outer, history.iteration() as inner:
                assert (outer.number, inner.number) == (0, 1)
            numbered = isinstance(history, iterlog.SupportsNumbering)
            with history.iteration() as following:
                # The inner one ended first: the newest record is not the highest, and only some stores remember.
                assert following.number == 2 or not numbered
        assert numbers(url)[:2] == [1, 0]

    def test_claim_keeps_a_second_loop_out(self, url: str) -> None:
        """With a claim a second loop is refused, but may append; without one resume() never refuses (promise 7)."""
        with iterlog.open_history(url) as running, iterlog.open_history(url) as second:
            fill(running, 1)
            assert running.resume().next_iteration == 1
            assert running.resume().next_iteration == 1
            if not isinstance(running, iterlog.SupportsClaim):
                assert second.resume().next_iteration == 1
                return
            with pytest.raises(iterlog.ConflictError):
                second.resume()
            with pytest.raises(iterlog.ConflictError), second.iteration():
                pytest.fail("the block must not begin")
            second.append(sample(1))
            assert [record.iteration for record in running] == [0, 1]

    def test_taking_over_ends_the_loop_before(self, url: str) -> None:
        """With a fence the handle that resumed first stores nothing more, one that never did goes on (promise 7)."""
        with (
            iterlog.open_history(url) as first,
            iterlog.open_history(url) as second,
            iterlog.open_history(url) as other,
        ):
            if not isinstance(first, iterlog.SupportsFence):
                pytest.skip("the backend has no fence")
            fill(other, 1)
            assert first.resume().next_iteration == 1
            first.append(sample(1))
            assert second.resume().next_iteration == 2
            for _ in range(2):
                with pytest.raises(iterlog.ConflictError):
                    first.append(sample(2))
            with pytest.raises(iterlog.ConflictError):
                first.resume()
            assert [record.iteration for record in first] == [0, 1]
            second.append(sample(2))
            other.append(sample(3))
            assert second.resume().next_iteration == 4
        assert numbers(url) == [0, 1, 2, 3]

    def test_claim_ends_with_its_handle(self, url: str) -> None:
        """Closing the handle of a loop lets the next one run, and a handle without the claim cannot end it."""
        with iterlog.open_history(url) as third:
            with iterlog.open_history(url) as running:
                running.resume()
                iterlog.open_history(url).close()
                if isinstance(running, iterlog.SupportsClaim):
                    with pytest.raises(iterlog.ConflictError):
                        third.resume()
            assert third.resume().next_iteration == 0


def _divide_by_zero(history: iterlog.HistoryStore) -> None:
    with history.iteration() as it:
        it.code = "1 / 0"
        it.metrics["n"] = object()  # what a crash leaves behind may be anything
        raise ZeroDivisionError("division by zero")


def _effort_at_length(url: str, length: int) -> Effort:
    """Return what resume() and last() cost a new handle on a history of a length, imports and caches warm."""
    with iterlog.open_history(url) as history:
        for first in range(0, length, 20):
            history.extend([sample(first + i, code="pass\n" * 300) for i in range(20)])
    with iterlog.open_history(url) as history:
        history.resume()
    with iterlog.open_history(url) as history:
        return effort_of(lambda: (history.resume(), history.last()))
