"""A loop goes on while its store is away; nothing is lost, nothing doubled, and everybody can see it."""

from __future__ import annotations

import gc
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from away_history import AwayHistory, Place, Weather, make_place, numbers, record
from waiting import wait_until

import iterlog
from iterlog import ConflictError, SpoolState, UnavailableError, UnsupportedOperationError
from iterlog.spool import history as spooled
from iterlog.spool.drained import DrainedMap
from iterlog.spool.draining import Drain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A spooled history that does not exist yet, in fair weather."""
    yield from make_place(tmp_path, monkeypatch)


def run_a_loop(place: Place) -> None:
    """Append a thousand records while the store is away for a third of the time, in several ways."""
    forecast = {
        100: Weather.AWAY,
        200: Weather.FAIR,
        300: Weather.MIXED,
        400: Weather.APPLIED,
        450: Weather.FAIR,
        500: Weather.LOST,
        550: Weather.AWAY,
        650: Weather.FAIR,
    }
    weather = Weather.FAIR
    with place.open(durability="flush") as history:
        for i in range(1000):
            if i in forecast:
                wait_until(lambda: AwayHistory.calls[weather] > 5)  # noqa: B023 - called at once
                weather = forecast[i]
                place.let(weather)
                AwayHistory.calls.clear()
            if i % 10 == 7:
                history.extend([record(None, "first of two"), record(None, "second of two")])
            else:
                history.append(record(None))
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)


def test_a_loop_of_a_thousand(place: Place) -> None:
    """A thousand appends, a third of them in bad weather: each record is in the store once, and in order."""
    run_a_loop(place)
    assert place.stored() == list(range(1100))


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (Drain, "_settle", lambda _self, _store, _on_drained: None),
        (DrainedMap, "attempt", lambda _self, _end: None),
    ],
    ids=["no look at the store", "no note of the attempt"],
)
def test_doubling_is_noticed(
    place: Place, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, broken: Callable[..., Any]
) -> None:
    """Broken variants: who does not look for what an uncertain append left, or does not know of it, stores it twice."""
    monkeypatch.setattr(owner, name, broken)
    run_a_loop(place)
    stored = place.stored()
    assert len(stored) > 1100
    assert set(stored) == set(range(1100))


def test_appends_do_not_wait_for_a_store_that_hangs(place: Place) -> None:
    """While a call of the store does not return, appends do, and the backlog grows in plain sight."""
    with place.open() as history:
        history.append(record(0))
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        place.let(Weather.HANGING)
        history.append(record(1))
        wait_until(lambda: AwayHistory.hanging == 1)
        for i in range(2, 50):
            history.append(record(i))
        assert AwayHistory.hanging == 1  # the same call, all the time
        status = history.spool
        assert (status.state, status.records, status.path) == (SpoolState.DRAINING, 49, str(place.spool))
        assert status.bytes > 49 * 100
        assert status.oldest == record_at(history, 1).timestamp
        place.let(Weather.FAIR)
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
    assert place.stored() == list(range(50))


def record_at(history: iterlog.HistoryStore, number: int) -> iterlog.IterationRecord:
    """Return the record with a number."""
    found = history.get(number)
    assert found is not None
    return found


@pytest.mark.parametrize("weather", [Weather.APPLIED, Weather.LOST])
def test_an_uncertain_append_is_stored_once(place: Place, weather: Weather) -> None:
    """An append of which nobody knows is looked for in the store before it is repeated, batches as a whole."""
    with place.open() as history:
        history.append(record(0))
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        place.let(weather)
        history.extend([record(1), record(2), record(3)])
        wait_until(lambda: history.spool.error is not None)
        assert numbers(history) == [0, 1, 2, 3]
        assert [found.iteration for found in reversed(history)] == [3, 2, 1, 0]
        place.let(Weather.FAIR)
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        assert numbers(history) == [0, 1, 2, 3]
    assert place.stored() == [0, 1, 2, 3]


def test_the_same_record_twice_is_stored_twice(place: Place) -> None:
    """Who appends one record three times has it three times, also after an uncertain append."""
    same = record(0)
    with place.open() as history:
        history.append(same)
        place.let(Weather.APPLIED)
        history.append(same)
        history.append(same)
        wait_until(lambda: history.spool.error is not None)
        place.let(Weather.FAIR)
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        assert numbers(history) == [0, 0, 0]
    assert place.stored() == [0, 0, 0]


# opening, resuming and reading while the store is away


def test_a_restart_while_the_store_is_away(place: Place) -> None:
    """A loop that is started while the store is away resumes from what the spool knows, and goes on."""
    with place.open() as history:
        history.resume()
        history.append(record(None))
    place.let(Weather.AWAY)
    with place.open() as history:
        assert history.spool.state is SpoolState.AWAY
        point = history.resume()
        assert (point.next_iteration, point.feedback) == (1, "after None")
        with history.iteration() as it:
            it.feedback_for_next = "from afar"
        assert it.number == 1
        assert history.tail(2)[-1].feedback == "from afar"
    with place.open() as history:
        assert history.last().feedback == "from afar"
        assert history.save(code=None, metrics={}, feedback="").iteration == 2
        with pytest.raises(UnavailableError):
            list(history)
    assert place.stored() == [0]
    place.let(Weather.FAIR)
    with place.open() as history:
        assert numbers(history) == [0, 1, 2]
    assert place.stored() == [0, 1, 2]


def test_the_newest_record_of_others_is_known(place: Place) -> None:
    """The store's newest record and highest number are known while it is away, though they never came through here."""
    place.write(3, 41, 7)
    with place.open() as history:
        assert history.resume().next_iteration == 42
        history.append(record(None))
    place.write(60)
    with place.open() as history:
        assert history.last().iteration == 60
        history.append(record(5))
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        place.write(70)
        place.let(Weather.AWAY)
        with pytest.raises(UnavailableError):
            list(history)
        assert history.last().iteration == 5  # 70 was never seen
        assert history.resume().next_iteration == 61


def test_a_store_that_was_never_seen(place: Place) -> None:
    """No number is handed out that may exist already; records with numbers are taken, counted, and stored later."""
    place.write(0, 1, 2)
    place.let(Weather.AWAY)
    with place.open() as history:
        with pytest.raises(UnavailableError, match="iteration="):
            history.save(code=None, metrics={}, feedback="")
        with pytest.raises(UnavailableError):
            history.resume()
        with pytest.raises(UnavailableError):
            history.last()
        history.append(record(3))
        assert history.last().iteration == 3
        assert history.spool.records == 1
    place.let(Weather.FAIR)
    with place.open() as history:
        assert history.save(code=None, metrics={}, feedback="").iteration == 4
        assert numbers(history) == [0, 1, 2, 3, 4]
    assert place.stored() == [0, 1, 2, 3, 4]


def test_create_false_opens_what_only_waits(place: Place) -> None:
    """A history of which the store has nothing yet is not missing while some of it waits."""
    with pytest.raises(iterlog.HistoryNotFoundError):
        place.open(create=False)
    with place.open() as history:
        place.let(Weather.AWAY)
        history.append(record(0))
    place.let(Weather.FAIR)
    with place.open(create=False) as history:
        assert numbers(history) == [0]
    assert place.stored() == [0]


# closing


def test_closing_leaves_the_rest_and_says_so(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """close() names the command that drains what it had to leave; the next one who opens the history drains it."""
    with place.open() as history:
        place.let(Weather.AWAY)
        history.append(record(0))
    assert "iterlog drain" in caplog.records[-1].getMessage()
    assert not place.file.exists()
    place.let(Weather.FAIR)
    place.open().close()
    assert place.stored() == [0]


def test_closing_does_not_wait_for_a_store_that_hangs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """close() returns although a call of the store does not; what the store did in the end is not done again."""
    monkeypatch.setattr(spooled, "_CLOSE_WAIT_S", 0.2)
    history = place.open()
    place.let(Weather.HANGING)
    history.append(record(0))
    wait_until(lambda: AwayHistory.hanging == 1)
    history.close()
    assert AwayHistory.hanging == 1
    place.let(Weather.FAIR)
    wait_until(lambda: AwayHistory.hanging == 0)
    with place.open() as history:
        history.drain()
        assert numbers(history) == [0]
    assert place.stored() == [0]


def test_an_outage_is_logged_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Going away and coming back are one warning each, however often the store is tried."""
    with place.open() as history:
        place.let(Weather.AWAY)
        for i in range(5):
            history.append(record(i))
            with pytest.raises(UnavailableError):
                history.drain()
        place.let(Weather.FAIR)
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
    said = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "away" in said[0]
    assert str(place.spool) in said[0]
    assert "back" in said[1]


# a store that refuses for ever


@pytest.mark.parametrize(
    ("weather", "kind"),
    [
        (Weather.CONFLICT, ConflictError),
        (Weather.UNSUPPORTED, UnsupportedOperationError),
        (Weather.BROKEN, iterlog.ConfigError),
    ],
)
def test_a_store_that_refuses_for_ever(
    place: Place, weather: Weather, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """What is refused stays in the spool; the next append says so and writes nothing; mended, all goes through."""
    with place.open() as history:
        history.resume()
        place.let(weather)
        history.append(record(0))
        wait_until(lambda: history.spool.state is SpoolState.STUCK)
        for _ in range(2):
            with pytest.raises(kind, match="iterlog drain"):
                history.append(record(1))
            with pytest.raises(kind):
                history.save(code=None, metrics={}, feedback="")
        assert history.spool.records == 1
        assert numbers(history) == [0]
        assert [entry.levelname for entry in caplog.records].count("ERROR") == 1
        place.let(Weather.FAIR)
        assert history.drain().state is SpoolState.THROUGH
        history.append(record(1))
    assert place.stored() == [0, 1]


def test_a_second_loop_on_the_store(place: Place) -> None:
    """A loop that got the claim of the spool while the store was away does not overrun the one that has the store's."""
    with place.open() as first:
        first.append(record(0))
    place.let(Weather.AWAY)
    with place.open() as history:
        history.resume()
        history.append(record(1))
        with iterlog.open_history(place.file) as other:
            other.resume()
            place.let(Weather.FAIR)
            wait_until(lambda: history.spool.state is SpoolState.STUCK)
            with pytest.raises(ConflictError):
                history.append(record(2))
    assert place.stored() == [0]
    with place.open():
        pass
    assert place.stored() == [0, 1]


def test_a_reader_notices_that_the_store_is_back(place: Place) -> None:
    """A handle that only reads does not go on showing what it knew when the store went away."""
    with place.open() as history:
        history.append(record(0))
    with place.open() as reader:
        assert reader.last().iteration == 0
        place.let(Weather.AWAY)
        with pytest.raises(UnavailableError):
            list(reader)
        assert reader.last().iteration == 0
        place.let(Weather.FAIR)
        place.write(1)
        wait_until(lambda: reader.spool.state is SpoolState.THROUGH)
        assert reader.last().iteration == 1


def test_a_handle_that_is_dropped(place: Place) -> None:
    """A handle that nobody closes, as in a notebook, keeps no thread, and the next one goes on."""
    history = place.open()
    place.let(Weather.AWAY)
    history.append(record(0))
    del history
    gc.collect()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "iterlog-spool"])
    place.let(Weather.FAIR)
    with place.open() as again:
        again.drain()
    assert place.stored() == [0]
