"""Handles that slept while others went on, filled buckets and collected them: a free name below a boundary is none."""

from __future__ import annotations

import types
from functools import partial
from typing import TYPE_CHECKING

import pytest
from scripted_store import Clock, ScriptedStore

from iterlog import ConflictError, IterationRecord, UnavailableError, WriteUncertainError
from iterlog.lines import encode_body, finish_line
from iterlog.remote import committing, layout
from iterlog.remote.client import Entry, UndecidedError
from iterlog.remote.commits import Commit, parse_commit
from iterlog.remote.committing import Committer
from iterlog.remote.layout import BOUNDARIES, boundary_key, commit_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.remote.tail import Tail

BUCKET = 4
DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only sleeping moves, and small buckets."""
    clock = Clock()
    monkeypatch.setattr(committing, "time", types.SimpleNamespace(sleep=clock.sleep, monotonic=clock.monotonic))
    monkeypatch.setattr(committing, "now", clock.monotonic)
    monkeypatch.setattr(layout, "BUCKET", BUCKET)
    return clock


class History(ScriptedStore):
    """A store whose oldest bucket can be collected, and what happens once in the middle of a creation."""

    def __init__(self) -> None:
        super().__init__()
        self.sealed: dict[str, bytes] = {}
        self.busy = 0
        self.before_answer: Callable[[], None] | None = None

    def create(self, key: str, data: bytes) -> None:
        """Create an object; its answer may come late."""
        try:
            super().create(key, data)
        finally:
            event, self.before_answer = self.before_answer, None
            if event is not None:
                event()

    def entries(self, folder: str) -> list[Entry]:
        """Return what stands in a folder, unless the store is busy."""
        if folder == BOUNDARIES and self.busy:
            self.busy -= 1
            raise UndecidedError("busy")
        return super().entries(folder)

    def go_on(self, *, takes_over: bool = False, appends: int = 12) -> None:
        """Let another handle append until some buckets are full."""
        other = handle_on(self)
        if takes_over:
            other.take_over()
        for _ in range(appends):
            other.append(lambda number: [line(number, "other")])

    def collect(self, *, but: int = -1) -> None:
        """Collect the oldest bucket, except for one commit that is not removed yet."""
        self.objects[boundary_key(0)] = b""
        for number in range(BUCKET):
            self.sealed[commit_key(number)] = self.objects[commit_key(number)]
            if number != but:
                del self.objects[commit_key(number)]

    def everything(self, first: int = 0) -> Iterator[Commit]:
        """Yield the commits as a reader sees them: a sealed bucket is read where it was sealed."""
        for number in range(first, 1000):
            key = commit_key(number)
            body = self.sealed.get(key) if number < BUCKET and self.sealed else self.objects.get(key)
            if body is None:
                return
            yield parse_commit(number, body)

    def texts(self) -> list[str]:
        """Return the text of each record a reader sees."""
        return [
            line.partition(b'"feedback":"')[2].partition(b'"')[0].decode()
            for commit in self.everything()
            for line in commit.lines
        ]


def line(number: int, text: str) -> bytes:
    """Make the line of a record."""
    return finish_line(number, encode_body(IterationRecord(number, None, {}, text)))


def handle_on(store: History, kind: type[Committer] = Committer) -> Committer:
    """Make a handle's committer."""
    return kind(store, "s3://bucket/runs", commits_from=store.everything)


def sleeper(store: History, *, takes_over: bool = False, kind: type[Committer] = Committer) -> Committer:
    """Make a handle that appended two records."""
    handle = handle_on(store, kind)
    if takes_over:
        handle.take_over()
    for _ in range(2 - takes_over):
        handle.append(lambda number: [line(number, "early")])
    return handle


class Confident(Committer):
    """Believes that what it created counts."""

    def _stands(self, number: int, body: bytes) -> bool:  # noqa: ARG002 - as it says
        return True


class Forgetful(Committer):
    """Believes after a lost race that it knows the end as of now."""

    def _tail_behind(self, tail: Tail, commit: Commit, known_at: float) -> Tail:  # noqa: ARG002 - as it says
        return super()._tail_behind(tail, commit, clock_of().monotonic())


class Impatient(Committer):
    """Believes that whatever stands below a boundary was made too late."""

    def _stands(self, number: int, body: bytes) -> bool:  # noqa: ARG002 - as it says
        return super()._stands(number, b"")


def append_after_a_collection(kind: type[Committer] = Committer) -> None:
    """Sleep ten days and append; the record must be there."""
    store, clock = History(), clock_of()
    handle = sleeper(store, kind=kind)
    store.go_on()
    store.collect()
    clock.sleep(10 * DAY_S)
    number = handle.append(lambda number: [line(number, "late")])
    assert number == 14
    assert store.texts() == ["early"] * 2 + ["other"] * 12 + ["late"]
    assert not [key for key in store.objects if key.startswith("log/0000000000")]


def append_while_a_collection_runs(kind: type[Committer] = Committer) -> None:
    """Wake up when the name behind the last known commit is still taken, and the next one is already free."""
    store, clock = History(), clock_of()
    handle = sleeper(store, kind=kind)
    store.go_on()
    store.collect(but=2)
    clock.sleep(10 * DAY_S)
    handle.append(lambda number: [line(number, "late")])
    assert store.texts() == ["early"] * 2 + ["other"] * 12 + ["late"]


def fall_asleep_before_the_answer(kind: type[Committer] = Committer) -> None:
    """Commit, and hear of it only when the bucket was sealed and collected."""
    store, clock = History(), clock_of()
    handle = sleeper(store, kind=kind)

    def sleep() -> None:
        store.go_on()
        store.collect()
        clock.sleep(10 * DAY_S)

    store.before_answer = sleep
    assert handle.append(lambda number: [line(number, "in time")]) == 2
    assert store.texts() == ["early"] * 2 + ["in time"] + ["other"] * 12
    handle.append(lambda number: [line(number, "late")])
    assert store.texts() == ["early"] * 2 + ["in time"] + ["other"] * 12 + ["late"]


def clock_of() -> Clock:
    """Return the clock that stands for the module's."""
    clock: Clock = committing.__dict__["now"].__self__
    return clock


SLEEPS = [append_after_a_collection, append_while_a_collection_runs, fall_asleep_before_the_answer]


@pytest.mark.parametrize("sleep", SLEEPS, ids=lambda sleep: sleep.__name__)
def test_a_sleeper_loses_nothing_and_stores_nothing_twice(sleep: Callable[[], None]) -> None:
    """Its append counts where every reader finds it, whenever its bucket went."""
    sleep()


@pytest.mark.parametrize(
    ("kind", "sleep"),
    [
        (Confident, append_after_a_collection),
        (Forgetful, append_while_a_collection_runs),
        (Impatient, fall_asleep_before_the_answer),
    ],
)
def test_a_careless_sleeper_is_caught(kind: type[Committer], sleep: Callable[[type[Committer]], None]) -> None:
    """Each of these loses a record, or stores it twice."""
    with pytest.raises(AssertionError):
        sleep(kind)


@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.parametrize("busy", [3, 1000])
def test_a_sleeper_that_cannot_find_out_does_not_say_that_nothing_was_written(
    collected: bool, busy: int, clock: Clock
) -> None:
    """Its commit was made: it asks again what became of it, and past the deadline nobody knows."""
    store = History()
    handle = sleeper(store)
    if collected:
        store.go_on()
        store.collect()
    clock.sleep(10 * DAY_S)
    store.busy = busy
    if busy == 1000:
        with pytest.raises(WriteUncertainError):
            handle.append(lambda number: [line(number, "late")])
    else:
        handle.append(lambda number: [line(number, "late")])
        assert store.texts() == ["early"] * 2 + ["other"] * 12 * collected + ["late"]


def test_a_sleeper_that_says_so_is_caught(clock: Clock) -> None:
    """Its caller tries again, and the record is there twice."""

    class Hasty(Committer):
        def _surely_stands(self, number: int, body: bytes) -> bool:
            return self._stands(number, body)

    store = History()
    handle = sleeper(store, kind=Hasty)
    clock.sleep(10 * DAY_S)
    store.busy = 1
    with pytest.raises(UnavailableError):
        handle.append(lambda number: [line(number, "late")])
    assert store.texts() == ["early"] * 2 + ["late"]


@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.parametrize("resumes", [False, True])
def test_a_zombie_that_slept_meets_the_fence(collected: bool, resumes: bool, clock: Clock) -> None:
    """The loop before the present one, waking up, stores nothing, also where the fence itself was collected."""
    store = History()
    zombie = sleeper(store, takes_over=True)
    store.go_on(takes_over=True)
    if collected:
        store.collect()
    clock.sleep(10 * DAY_S)
    before = store.texts()
    wakes = zombie.take_over if resumes else partial(zombie.append, lambda number: [line(number, "zombie")])
    with pytest.raises(ConflictError):
        wakes()
    with pytest.raises(ConflictError):
        zombie.append(lambda number: [line(number, "zombie")])
    assert store.texts() == before
    assert not collected or not [key for key in store.objects if key.startswith("log/0000000000")]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_loop_that_slept_goes_on_where_nobody_took_it_over(resumes: bool, clock: Clock) -> None:
    """Appends of others, and a collection, are no reason to stop."""
    store = History()
    loop = sleeper(store, takes_over=True)
    store.go_on()
    store.collect()
    clock.sleep(10 * DAY_S)
    if resumes:
        assert loop.take_over().next_number == 13
    loop.append(lambda number: [line(number, "late")])
    assert store.texts() == ["early"] + ["other"] * 12 + ["late"]
    assert loop.tail is not None
    assert loop.tail.next_number == 14
