"""The three functions on a history behind a spool: nothing waits for the store, and nothing is lost."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from away_history import AwayHistory, Place, Weather, make_place
from waiting import wait_until

import iterlog
from iterlog import loop
from iterlog.spool.files import SpoolFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A spooled history as the default one."""
    monkeypatch.delenv("ITERLOG_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    for found in make_place(tmp_path, monkeypatch):
        monkeypatch.setattr(iterlog, "HISTORY_FILE", f"{found.url}?spool={found.spool}")
        yield found
        found.let(Weather.FAIR)
        loop._close_all()


def save(*numbers: int) -> None:
    """Save iterations with the feedback "after N"."""
    for number in numbers:
        iterlog.save_iteration_result(number, f"x = {number}", {}, f"after {number}")


def test_nothing_waits_for_the_store(place: Place) -> None:
    """While the store hangs or is away, saving returns, and feedback and number are those of what was saved."""
    save(0)
    wait_until(lambda: place.file.exists() and place.stored() == [0])
    place.let(Weather.HANGING)
    save(1)
    wait_until(lambda: AwayHistory.hanging == 1)
    save(2, 3)
    assert (iterlog.load_previous_feedback(), iterlog.get_last_iteration_number()) == ("after 3", 3)
    place.let(Weather.AWAY)
    save(4)
    assert (iterlog.load_previous_feedback(), iterlog.get_last_iteration_number()) == ("after 4", 4)
    place.let(Weather.FAIR)
    wait_until(lambda: place.stored() == [0, 1, 2, 3, 4])


def test_a_restart_while_the_store_is_away(place: Place) -> None:
    """The next process asks the spool, and goes on."""
    save(0)
    loop._close_all()
    place.let(Weather.AWAY)
    assert (iterlog.load_previous_feedback(), iterlog.get_last_iteration_number()) == ("after 0", 0)
    save(1)
    loop._close_all()
    assert place.stored() == [0]
    place.let(Weather.FAIR)
    assert iterlog.get_last_iteration_number() == 1
    loop._close_all()
    assert place.stored() == [0, 1]


def test_a_spool_whose_disk_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What not even the spool can take is kept elsewhere, and merged, once and in order."""
    save(0)

    def full(*_: object) -> None:
        raise iterlog.UnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SpoolFiles, "append", full)
        save(1, 2)
        assert iterlog.get_last_iteration_number() == 2
    save(3)
    loop._close_all()
    assert place.stored() == [0, 1, 2, 3]


def test_a_history_that_other_machines_reach_has_a_spool(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote default history is opened behind its spool, unless its URL says otherwise; a local one is not."""
    del place
    remote = f"fsspec+memory://bucket-{uuid.uuid4().hex}/run"
    for url, spooled in ((remote, True), (f"{remote}?spool=false", False), ("run.jsonl", False)):
        monkeypatch.setattr(iterlog, "HISTORY_FILE", url)
        last = iterlog.get_last_iteration_number()
        save(last + 1)
        assert isinstance(loop._default()._store, iterlog.SupportsSpool) is spooled
        loop._close_all()
        with iterlog.open_history(url) as history:
            found = history.last()
            assert found is not None
            assert found.iteration == last + 1
