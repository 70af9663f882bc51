"""Broken about what they can: doing without the ability what only the ability promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plain_store import PlainHistory

import iterlog
from broken_stores.catalogue import breaks

if TYPE_CHECKING:
    from iterlog import HistoryStore, IterationRecord, Position


def _append_guessing(history: HistoryStore, record: IterationRecord, **options: Any) -> Position:
    numbered = record.with_iteration(len(history)) if record.iteration is None else record
    return iterlog.HistoryStore.append(history, numbered, **options)


@breaks("test_numbers_are_handed_out_or_refused", append=_append_guessing)
class GuessesNumbers(PlainHistory):
    """Makes a number up, without keeping others from making up the same."""


@breaks("test_claim_keeps_a_second_loop_out")
class RefusesWithoutAClaim(PlainHistory):
    """Lets one loop resume and no other, and does not say that it can be claimed."""

    def _repair(self) -> None:
        resumed = vars(type(self)).get("resumed_by")
        if resumed not in {None, self}:
            raise iterlog.ConflictError("somebody resumed already", url=self.url)
        type(self).resumed_by = self  # type: ignore[attr-defined] # nothing else needs to know
