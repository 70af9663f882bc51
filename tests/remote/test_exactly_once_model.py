"""A commit against everything a store can do and say: once where it was acknowledged, never where it was refused."""

from __future__ import annotations

import itertools
import random
import types
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from scripted_store import ANSWERS, LOOKS, Clock, Deed, ScriptedStore, Word

from iterlog import IterationRecord, UnavailableError, WriteUncertainError
from iterlog.lines import encode_body, finish_line
from iterlog.remote import committing
from iterlog.remote.client import MissingObjectError, ObjectExistsError, RefusedError, UndecidedError
from iterlog.remote.commits import append_body
from iterlog.remote.committing import Committer
from iterlog.remote.layout import commit_key
from iterlog.remote.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCRIPTS = 3000
"""Scripts of chance; those of two requests are tried all."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only sleeping moves."""
    clock = Clock()
    monkeypatch.setattr(committing, "time", types.SimpleNamespace(sleep=clock.sleep, monotonic=clock.monotonic))
    monkeypatch.setattr(committing, "now", clock.monotonic)
    return clock


def line(number: int, text: str = "") -> bytes:
    """Make the line of a record with an id of its own."""
    return finish_line(number, encode_body(IterationRecord(number, None, {}, text)))


def committer(store: ScriptedStore, kind: type[Committer] = Committer) -> Committer:
    """Make a committer that has done what the first append of a handle does."""
    made = kind(store, "s3://bucket/runs", commits_from=lambda _number: [])
    made._checked = True
    committing._proven.add(store.identity)
    return made


class AnothersWhenItExists(Committer):
    """Takes "it exists" for another's commit, and goes on to the next number."""

    def _create(self, number: int, body: bytes) -> bytes | None:
        try:
            self._client.create(commit_key(number), body)
        except ObjectExistsError:
            return b"another's"
        except (UndecidedError, RefusedError):
            return super()._create(number, body)
        return None


class OursWhenItExists(Committer):
    """Takes "it exists" for the answer to an earlier attempt of its own."""

    def _create(self, number: int, body: bytes) -> bytes | None:
        try:
            self._client.create(commit_key(number), body)
        except ObjectExistsError:
            return None
        except (UndecidedError, RefusedError):
            return super()._create(number, body)
        return None


class MovesOn(Committer):
    """Goes on to the next number when nothing tells what became of this one."""

    def _create(self, number: int, body: bytes) -> bytes | None:
        try:
            self._client.create(commit_key(number), body)
        except (UndecidedError, ObjectExistsError):
            stored = self._looked_at(commit_key(number))
            return None if stored == body else stored or b"nothing"
        except RefusedError:
            return super()._create(number, body)
        return None


class EncodesAgain(Committer):
    """Sends other bytes at the second attempt, so that it does not know those of the first."""

    def _create(self, number: int, body: bytes) -> bytes | None:
        try:
            self._client.create(commit_key(number), body)
        except (UndecidedError, ObjectExistsError):
            text = body.partition(b'"feedback":"')[2].partition(b'"')[0].decode()
            return super()._create(number, line(number, text) + b"\n")
        except RefusedError:
            return super()._create(number, body)
        return None


class SaysNothingWasWritten(Committer):
    """Refuses, where an earlier attempt may have been carried out."""

    def _looked_at(self, key: str) -> bytes | None:
        try:
            return self._client.get(key)
        except (MissingObjectError, UndecidedError, RefusedError) as error:
            raise UnavailableError("nothing was written") from error


BROKEN = [AnothersWhenItExists, OursWhenItExists, MovesOn, EncodesAgain, SaysNothingWasWritten]

Script = tuple["Sequence[tuple[Deed, Word]]", "Sequence[Word]", int, int]


def all_short() -> Iterator[Script]:
    """Yield each script of two creations and the looks behind them, without and with a rival."""
    for creates in itertools.product(ANSWERS, repeat=2):
        for gets in itertools.product(LOOKS, repeat=2):
            for rivals in range(2):
                yield creates, gets, rivals, 0


def by_chance() -> Iterator[Script]:
    """Yield longer ones."""
    for seed in range(SCRIPTS):
        chance = random.Random(seed)
        creates = chance.choices(ANSWERS, k=chance.randrange(1, 9))
        yield creates, chance.choices(LOOKS, k=chance.randrange(9)), chance.randrange(4), seed


def check(script: Script, kind: type[Committer] = Committer) -> str:
    """Append three records while the store follows a script, and check what is stored; return how it went."""
    creates, gets, rivals, seed = script
    others = [line(i, "rival") + b"\n" for i in range(rivals)]
    store = ScriptedStore(list(creates), list(gets), list(others), random.Random(seed))
    handle = committer(store, kind)
    handle._tail = Tail(-1, 0, -1, 0.0)
    outcome = "stored"
    acknowledged, refused, unknown = [], [], []
    for text in ("first", "second", "third"):
        made: list[bytes] = []

        def make(number: int, text: str = text, made: list[bytes] = made) -> list[bytes]:
            made.append(line(number, text))
            return made[-1:]

        try:
            acknowledged.append((handle.append(make), text))
        except UnavailableError:
            refused.append(text)
            outcome = "refused"
        except WriteUncertainError:
            unknown.append(text)
            outcome = "unknown"
    store.settle()
    commits = store.commits()
    found = Counter(
        text for text in ("first", "second", "third") for body in commits if b'"feedback":"%b"' % text.encode() in body
    )
    for number, text in acknowledged:
        assert found[text] == 1
        assert b'"feedback":"%b"' % text.encode() in commits[number]
    assert [found[text] for text in refused] == [0] * len(refused)
    assert all(found[text] <= 1 for text in unknown)
    assert sum(b"rival" in body for body in commits) == rivals - len(store.rivals)
    assert [number for number, _ in acknowledged] == sorted(number for number, _ in acknowledged)
    return outcome


def test_a_commit_is_made_once_whatever_a_store_does_and_says() -> None:
    """Every short script, and thousands of long ones: dense, in order, once if acknowledged, never if refused."""
    outcomes = Counter(check(script) for script in itertools.chain(all_short(), by_chance()))
    assert outcomes.keys() == {"stored", "refused"}  # all end well, for the last answer is the truth


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_careless_committer_is_caught(kind: type[Committer]) -> None:
    """The same scripts find each way of getting it wrong."""
    caught = 0
    for script in itertools.chain(all_short(), itertools.islice(by_chance(), 300)):
        try:
            check(script, kind)
        except AssertionError:
            caught += 1
    assert caught


@pytest.mark.parametrize("word", [Word.NOTHING, Word.EXISTS])
@pytest.mark.parametrize("deed", list(Deed))
def test_a_commit_that_stays_undecided_ends_the_handle(deed: Deed, word: Word) -> None:
    """While nothing tells, the same bytes go to the same name; past the deadline the handle does no more."""
    store = ScriptedStore([(deed, word)] * 1000, [Word.NOTHING] * 1000)
    handle = committer(store)
    with pytest.raises(WriteUncertainError):
        handle.append(lambda number: [line(number)])
    sent = 1000 - len(store.creates)
    assert sent > 10
    with pytest.raises(WriteUncertainError):
        handle.append(lambda number: [line(number)])
    with pytest.raises(WriteUncertainError):
        handle.take_over()
    assert 1000 - len(store.creates) == sent
    store.settle()
    assert len(store.commits()) == (deed is not Deed.NOT)


def test_a_store_that_is_away_from_the_start_is_told_as_such() -> None:
    """Where no attempt can have been carried out, the caller may try again, and the handle goes on."""
    store = ScriptedStore([(Deed.NOT, Word.REFUSED)] * 4)
    handle = committer(store)
    with pytest.raises(UnavailableError):
        handle.append(lambda number: [line(number)])
    assert handle.append(lambda number: [line(number)]) == 0
    assert len(store.commits()) == 1


def test_after_it_exists_nobody_says_that_nothing_was_written() -> None:
    """A client's own second attempt found the first one's commit; that the store is away then refutes nothing."""
    store = ScriptedStore([(Deed.DONE, Word.EXISTS)] + [(Deed.NOT, Word.REFUSED)] * 1000, [Word.REFUSED] * 1000)
    with pytest.raises(WriteUncertainError):
        committer(store).append(lambda number: [line(number)])
    assert len(store.commits()) == 1


def test_who_is_far_behind_looks_instead_of_losing_each_race() -> None:
    """A hundred commits of others cost a few lost races, for who appends and for who took the history over."""
    for takes_over in (False, True):
        store = ScriptedStore()
        handle, other = committer(store), committer(store)
        if takes_over:
            handle.take_over()
        handle.append(lambda number: [line(number)])
        for _ in range(100):
            other.append(lambda number: [line(number)])
        before = store.counter, store.requests
        handle.append(lambda number: [line(number)])
        puts = [key for key in store.objects if key.startswith("log/")]
        assert len(puts) == 102 + takes_over
        assert handle.tail is not None
        assert handle.tail.next_number == 102
        assert store.requests - before[1] < 120


def test_bodies_differ_although_lines_are_the_same() -> None:
    """Lines without an id get one with their commit, or two writers would take one commit for both of theirs."""
    foreign = b'{"iteration":0,"metrics":{}}'
    assert append_body([foreign], 0)[0] != append_body([foreign], 0)[0]
