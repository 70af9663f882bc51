"""Numbers of iterations that are running, and what else asks the same handle for numbers meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.iteration import Reservations

if TYPE_CHECKING:
    from pathlib import Path


def save(history: iterlog.HistoryStore) -> int:
    """Append a record that wants a number; return the number it got."""
    number = history.save(code=None, metrics={}, feedback="").iteration
    assert number is not None
    return number


def test_save_inside_an_iteration_gets_another_number(tmp_path: Path) -> None:
    """A record saved while an iteration runs does not get the iteration's number."""
    with iterlog.open_history(tmp_path / "history.jsonl") as history:
        with history.iteration() as it:
            assert (it.number, save(history)) == (0, 1)
        assert [record.iteration for record in history] == [1, 0]
        assert history.resume().next_iteration == 2


def test_numbers_of_threads_that_save_and_iterate_are_distinct(tmp_path: Path) -> None:
    """Of threads that save and threads that iterate, on one handle, none gets a number that another got."""
    with iterlog.open_history(tmp_path / "history.jsonl", durability="flush") as history:

        def iterate() -> None:
            for _ in range(25):
                with history.iteration() as it:
                    it.code = "pass"

        def append() -> None:
            for _ in range(25):
                save(history)

        threads = [threading.Thread(target=work) for work in (iterate, append, iterate, append)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({record.iteration for record in history}) == len(history) == 100


def test_reservation_that_comes_too_late_takes_another_number() -> None:
    """A number that an append took between asking and reserving is not reserved."""
    answers = iter([5, 6, 6, 6])

    def next_number() -> int:
        return next(answers)

    def resume() -> iterlog.ResumePoint:
        return iterlog.ResumePoint(next_number(), "", None)

    assert Reservations().reserve(resume, next_number)[0] == 6


def test_attribute_that_would_be_lost_is_refused(tmp_path: Path) -> None:
    """Misspelt attributes and feedback set in the wrong place are errors, not silence."""
    with iterlog.open_history(tmp_path / "history.jsonl") as history, history.iteration() as it:
        with pytest.raises(AttributeError, match="metrics"):
            it.metric = {"loss": 1.0}  # type: ignore[attr-defined] # the mistake
        with pytest.raises(AttributeError, match="feedback_for_next"):
            it.feedback = "for the next one"
