"""Broken at resuming, at iterations and at the claim."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog import HistoryStore, IterationRecord, Position, ResumePoint


@breaks("test_resume_of_a_new_history_begins_at_zero")
class BeginsAtOne(MemoryHistory):
    """Counts from 1."""

    def _next_number(self) -> int:
        return max(1, super()._next_number())


@breaks("test_resume_goes_on_behind_the_last_record")
class RepeatsTheLast(MemoryHistory):
    """Resumes with the iteration that is there already."""

    def _next_number(self) -> int:
        return max(0, self._shared.highest)


def _resume_from_success(history: HistoryStore) -> ResumePoint:
    point = iterlog.HistoryStore.resume(history)
    last = next((record for record in reversed(history) if record.success), None)
    return dataclasses.replace(point, last=last, feedback=last.feedback if last else "")


@breaks("test_resume_gives_the_feedback_of_a_failure", resume=_resume_from_success)
class PassesOverFailures(MemoryHistory):
    """Gives the feedback of the last success."""


@breaks("test_resume_never_names_a_number_again")
class ResumesBehindTheNewest(MemoryHistory):
    """Resumes behind the newest record, also where an older one had a higher number."""

    def _next_number(self) -> int:
        return iterlog.HistoryStore._next_number(self)


@breaks("test_resume_costs_the_same_at_any_length")
class ReadsEverythingToResume(MemoryHistory):
    """Finds the end by reading from the beginning."""

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        return iterlog.HistoryStore._scan_back(self)


def _plain_iteration(history: HistoryStore, **_fields: Any) -> iterlog.Iteration:
    return iterlog.Iteration(history, {})


@breaks("test_iteration_is_recorded_when_its_block_ends", iteration=_plain_iteration)
class DropsFieldsOfIterations(MemoryHistory):
    """Passes over what iteration() is given."""


def _append_successes(history: HistoryStore, record: IterationRecord, **options: Any) -> Position:
    return iterlog.HistoryStore.append(history, record, **options) if record.success else iterlog.START


@breaks("test_iteration_that_raises_is_recorded_as_failed", append=_append_successes)
class KeepsSuccessesOnly(MemoryHistory):
    """Finds failures not worth keeping."""


def _next_for_everybody(history: HistoryStore) -> tuple[int, IterationRecord | None]:
    point = history.resume()
    return point.next_iteration, point.last


@breaks("test_open_iterations_have_numbers_of_their_own", _reserve_number=_next_for_everybody)
class OneNumberForAll(MemoryHistory):
    """Gives each open iteration the number behind the last record."""


@breaks("test_claim_keeps_a_second_loop_out")
class ClaimsNothing(MemoryHistory):
    """Says that it can be claimed, and lets everybody in."""

    def _claim(self) -> None:
        """Do nothing."""


@breaks("test_claim_ends_with_its_handle")
class ClaimsForEver(MemoryHistory):
    """Keeps the claim when the handle is closed."""

    def _close(self) -> None:
        """Release nothing."""


@breaks("test_taking_over_ends_the_loop_before")
class ForgetsItsFence(MemoryHistory, iterlog.SupportsFence):
    """Lets a loop take over and the one before it go on."""

    def _claim(self) -> None:
        pass

    def _take_over(self) -> None:
        pass
