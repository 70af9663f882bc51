"""Two loops on one history: who resumes takes it over, and the other one stores nothing any more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from appended import commits, opened, record, records_in, stored, texts
from fault_proxy import FaultProxy, Hang, script

from iterlog import ConflictError
from iterlog.remote.committing import Committer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Place

    from iterlog.remote.commits import Commit
    from iterlog.remote.tail import Tail


@pytest.fixture
def proxy(s3: Place) -> Iterator[FaultProxy]:
    """A proxy between the older loop and the store."""
    with FaultProxy(s3.server.address) as started:
        yield started


def take_over_in_flight(place: Place, proxy: FaultProxy, *, asked: bool) -> tuple[list[str], BaseException | None]:
    """Resume while an append of the older loop is on its way; return what is stored, and the older loop's error."""
    errors: list[BaseException] = []
    with opened(place.through(proxy.address), read_timeout="30s") as older, opened(place) as newer:
        assert older.resume().next_iteration == 0
        older.save(code=None, metrics={}, feedback="first")

        def append() -> None:
            try:
                older.append(record("in flight", 1))
            except ConflictError as error:
                errors.append(error)

        with proxy.failing(script([Hang(asked=asked)], where=commits)):
            zombie = threading.Thread(target=append)
            zombie.start()
            while not proxy.played or (asked and len(stored(place)) < 3):
                time.sleep(0.01)
            point = newer.resume()
        newer.append(record("newer", point.next_iteration))
        proxy.release()
        zombie.join()
        newer.append(record("newer", point.next_iteration + 1))
        for _ in range(2):
            with pytest.raises(ConflictError):
                older.append(record("zombie"))
            with pytest.raises(ConflictError):
                older.resume()
        newer.append(record("newer", point.next_iteration + 2))
        assert [each.feedback for each in older] == texts(place)  # reading it may
    return texts(place), errors[0] if errors else None


def check_in_flight(place: Place, proxy: FaultProxy, *, asked: bool) -> None:
    """Check that the append came before the fence, where the newer loop saw it, or not at all."""
    found, error = take_over_in_flight(place, proxy, asked=asked)
    assert found == ["first", *(["in flight"] if asked else []), *["newer"] * 3]
    assert (error is None) == asked
    numbers = [each["iteration"] for each in records_in(stored(place))]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("asked", [False, True], ids=["behind the fence", "before the fence"])
def test_an_append_in_flight_lands_before_the_fence_or_not(s3: Place, proxy: FaultProxy, asked: bool) -> None:
    """The newer loop goes on behind it, or it gets ConflictError: never the same number twice."""
    check_in_flight(s3, proxy, asked=asked)


def test_ignoring_the_fence_is_caught(s3: Place, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that passes over a fence as over any other commit stores a number twice."""

    def passing(committer: Committer, tail: Tail, commit: Commit, known_at: float) -> Tail:
        committer._tail = tail.behind(commit, known_at)
        return committer._tail

    monkeypatch.setattr(Committer, "_tail_behind", passing)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_in_flight(s3, proxy, asked=False)


def test_not_fencing_is_caught(s3: Place, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where resuming only reads the end, the append in flight lands behind it, with a number that exists twice."""
    monkeypatch.setattr(Committer, "take_over", lambda committer: committer._look())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_in_flight(s3, proxy, asked=False)


def test_many_loops_take_over_one_after_the_other(s3: Place) -> None:
    """Six loops at once: the last to resume goes on, all others end, and each number stands once."""
    start, resumed = threading.Barrier(6), threading.Barrier(6)
    ended: list[str] = []
    stuck: list[BaseException] = []

    def loop(name: str) -> None:
        with opened(s3) as history:
            start.wait()
            try:
                number = history.resume().next_iteration
                resumed.wait()
                for turn in range(10):
                    history.append(record(f"{name} {turn}", number + turn))
                ended.append(name)
            except ConflictError:
                pass
            except BaseException as error:  # noqa: BLE001 - looked at below
                stuck.append(error)

    loops = [threading.Thread(target=loop, args=(str(name),)) for name in range(6)]
    for each in loops:
        each.start()
    for each in loops:
        each.join()
    assert stuck == []
    assert len(ended) == 1
    numbers = [each["iteration"] for each in records_in(stored(s3))]
    assert numbers == list(range(len(numbers)))


def test_resuming_again_costs_no_second_fence(s3: Place) -> None:
    """A handle that has the history keeps it; its appends and its resumes go on."""
    with opened(s3) as history:
        for turn in range(3):
            assert history.resume().next_iteration == turn
            history.save(code=None, metrics={}, feedback=str(turn))
    assert sum(b'"fence"' in body for body in stored(s3)) == 1


def test_who_never_took_it_over_goes_on(s3: Place) -> None:
    """Appends of others are no zombies: they pass the fence, and the loop passes them."""
    with opened(s3) as other, opened(s3) as loop:
        other.append(record("other 0"))
        loop.resume()
        for turn in range(1, 4):
            other.append(record(f"other {turn}"))
            loop.append(record(f"loop {turn}"))
    assert texts(s3) == ["other 0", "other 1", "loop 1", "other 2", "loop 2", "other 3", "loop 3"]
