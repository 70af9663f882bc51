"""Keeping a copy up with a history for good, through outages."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from archive_samples import append_to, lines_of, make_source
from sync_places import every_pair, place

import iterlog
from iterlog.backends.memory import MemoryHistory
from iterlog.copying import chase
from iterlog.jobs import sync as sync_room
from iterlog.jobs.sync import follow, sync

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from iterlog import Durability, Position

_AT_ONCE_S = 0.001


class DroppingHistory(MemoryHistory):
    """A history in memory that fails some appends, before or after it stored them."""

    failures: list[Exception] = []  # noqa: RUF012 - one list for all handles

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        failure = self.failures.pop() if self.failures else None
        if failure is None or isinstance(failure, iterlog.WriteUncertainError):
            position = super()._append(lines, durability)
        if failure is not None:
            raise failure
        return position


iterlog.register_backend("dropping", DroppingHistory)


@every_pair
def test_what_is_appended_follows(tmp_path: Path, from_kind: str, to_kind: str) -> None:
    """Each round that copied something is told of; ending it frees the copy."""
    one, other = place(from_kind, tmp_path, "one"), place(to_kind, tmp_path, "other")
    sync(make_source(tmp_path / "run.jsonl", 60), one)
    rounds = follow(one, other, poll_s=_AT_ONCE_S)
    assert next(rounds).copied == len(lines_of(one))
    for i in range(3):
        append_to(one, 2, first=1000 + 2 * i)
        done = next(rounds)
        assert (done.copied, done.damaged, done.lag.records) == (2, 0, 0)
    rounds.close()
    assert lines_of(other) == lines_of(one)
    assert sync(one, other, verify=True).copied == 0


def test_a_copy_that_is_up_to_date_is_told_of_once(tmp_path: Path) -> None:
    """The first round says where the copy stands, also when there is nothing to copy."""
    source = make_source(tmp_path / "run.jsonl", 10)
    sync(source, tmp_path / "copy.jsonl")
    rounds = follow(source, tmp_path / "copy.jsonl", poll_s=_AT_ONCE_S)
    assert next(rounds).copied == 0
    append_to(source, 1)
    assert next(rounds).copied == 1
    rounds.close()


FAILURES = [iterlog.UnavailableError("away"), iterlog.WriteUncertainError("nobody knows")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_an_outage_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    """Nothing is lost and nothing doubled, whether the failed append was stored or not; it is logged once."""
    monkeypatch.setattr(chase, "_SHORTEST_PAUSE_S", _AT_ONCE_S)
    monkeypatch.setattr(chase, "_LONGEST_PAUSE_S", _AT_ONCE_S)
    source, copy = make_source(tmp_path / "run.jsonl", 30), f"dropping://{uuid.uuid4().hex}"
    rounds = follow(source, copy, poll_s=_AT_ONCE_S)
    next(rounds)
    append_to(source, 2)
    monkeypatch.setattr(DroppingHistory, "failures", [failure] * 5)
    if isinstance(failure, iterlog.WriteUncertainError):
        append_to(source, 200, first=2000)  # what was stored by the failed appends is copied no more
    next(rounds)
    rounds.close()
    assert lines_of(copy) == lines_of(source)
    assert sum("waits until" in record.getMessage() for record in caplog.records) == 1


def test_away_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot begin is told so, rather than left waiting for a mistyped place."""
    source = make_source(tmp_path / "run.jsonl", 10)
    monkeypatch.setattr(DroppingHistory, "failures", [iterlog.UnavailableError("away")])
    with pytest.raises(iterlog.UnavailableError):
        next(follow(source, f"dropping://{uuid.uuid4().hex}"))


def test_a_copy_that_differs_ends_it(tmp_path: Path) -> None:
    """Waiting would not mend it."""
    source, other = make_source(tmp_path / "run.jsonl", 10), make_source(tmp_path / "other.jsonl", 12)
    before = other.read_bytes()
    with pytest.raises(iterlog.ConflictError):
        next(sync_room.follow(source, other))
    assert other.read_bytes() == before
