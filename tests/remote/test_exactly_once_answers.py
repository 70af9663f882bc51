"""Each answer a server can give to the request that makes a commit, and to the one that looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from appended import commits, commits_and_looks, looks, opened, record, stored, texts
from fault_proxy import (
    Answer,
    AnswerAfter,
    CutAnswer,
    DropAfter,
    DropBefore,
    FaultProxy,
    Hang,
    ResetInBody,
    Slow,
    StaleList,
    always,
    script,
)

from iterlog import IterlogError, UnavailableError, WriteUncertainError
from iterlog.remote.client import ObjectExistsError, UndecidedError
from iterlog.remote.committing import Committer
from iterlog.remote.layout import commit_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fault_proxy import Fault
    from servers import Place

ON_A_COMMIT: list[Fault] = [
    DropBefore(),
    DropAfter(),
    CutAnswer(0),
    CutAnswer(20),
    CutAnswer(),
    ResetInBody(),
    Answer(500),
    Answer(503),
    Answer(429),
    Answer(409),
    Answer(412),
    AnswerAfter(500),
    AnswerAfter(503),
    AnswerAfter(412),
    AnswerAfter(409),
    Slow(before=0.2),
    Slow(after=0.2),
    Hang(),
    Hang(asked=True),
]
ON_A_LOOK: list[Fault] = [
    DropBefore(),
    DropAfter(),
    CutAnswer(20),
    CutAnswer(),
    Answer(500),
    Answer(503),
    Answer(429),
    Answer(412),
    Hang(asked=True),
]


@pytest.fixture
def near(s3: Place) -> Iterator[tuple[Place, FaultProxy]]:
    """A bucket that holds one record, reached through a proxy."""
    with FaultProxy(s3.server.address) as proxy:
        place = s3.through(proxy.address)
        with opened(place) as history:
            history.append(record("before"))
        yield place, proxy


def append_through(place: Place, proxy: FaultProxy, fault: Fault, times: int = 1) -> None:
    """Append two records while the first commit's request, and those after it, meet a fault."""
    with opened(place, read_timeout="1s") as history:
        with proxy.failing(script([fault] * times, where=commits)):
            history.append(record("meant"))
        assert fault in [played for _, played in proxy.played]
        history.append(record("after"))
        proxy.release()
        assert [each.iteration for each in history] == [0, 1, 2]
    assert texts(place) == ["before", "meant", "after"]


@pytest.mark.parametrize("fault", ON_A_COMMIT, ids=repr)
def test_a_commit_survives_each_fault(fault: Fault, near: tuple[Place, FaultProxy]) -> None:
    """Whatever happens to the request, the record is there once, and the next one behind it."""
    append_through(*near, fault)


@pytest.mark.parametrize("fault", [DropBefore(), DropAfter(), Answer(503), AnswerAfter(500), Answer(412)], ids=repr)
def test_a_commit_survives_a_fault_again_and_again(fault: Fault, near: tuple[Place, FaultProxy]) -> None:
    """The same bytes go to the same name until something tells."""
    append_through(*near, fault, times=4)


@pytest.mark.parametrize("fault", [DropAfter(), CutAnswer(), AnswerAfter(500), Answer(409), Answer(412)], ids=repr)
@pytest.mark.parametrize("name", ["azure", "gcs"])
def test_other_stores_too(name: str, fault: Fault, request: pytest.FixtureRequest) -> None:
    """Lost answers, and a conflict that is none, on the other two kinds of store."""
    place: Place = request.getfixturevalue(name)
    with FaultProxy(place.server.address) as proxy:
        near = place.through(proxy.address)
        for variable, value in near.environment.items():
            request.getfixturevalue("monkeypatch").setenv(variable, value)
        with opened(near) as history:
            history.append(record("before"))
        append_through(near, proxy, fault)


@pytest.mark.parametrize("fault", ON_A_LOOK, ids=repr)
@pytest.mark.parametrize("rival", [False, True], ids=["ours stands", "another's stands"])
def test_the_look_at_a_commit_survives_each_fault(rival: bool, fault: Fault, near: tuple[Place, FaultProxy]) -> None:
    """The answer to the commit is lost, and the look that would tell fails: it is made again."""
    place, proxy = near
    with opened(place, read_timeout="1s") as history, opened(place) as other:
        history.append(record("first"))
        lost, looked = script([AnswerAfter(500)] * 2, where=commits), script([fault] * 2, where=looks)
        if rival:
            other.append(record("rival"))
        with proxy.failing(lambda request: lost(request) or looked(request)):
            history.append(record("meant"))
        assert fault in [played for _, played in proxy.played]
        history.append(record("after"))
        proxy.release()
    assert texts(place) == ["before", "first", *(["rival"] if rival else []), "meant", "after"]


def test_a_listing_that_is_behind_costs_time_only(near: tuple[Place, FaultProxy]) -> None:
    """Who is shown an old end finds the names behind it taken, and goes on until one is free."""
    place, proxy = near
    with opened(place) as other:
        for i in range(7):
            other.append(record(f"other {i}"))
    with proxy.failing(always(StaleList(back=100), where=lambda request: request.kind == "LIST")), opened(place) as one:
        one.append(record("meant"))
        one.append(record("after"))
    assert [fault for _, fault in proxy.played]
    assert texts(place) == ["before", *(f"other {i}" for i in range(7)), "meant", "after"]


def test_past_the_deadline_nobody_knows_and_the_handle_ends(
    near: tuple[Place, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handle that cannot find out says so, sends nothing more, and a new one finds the record or not."""
    place, proxy = near
    history = opened(place)
    history.append(record("first"))
    monkeypatch.setattr(history._committer, "_deadline_s", 1.0)
    with proxy.failing(always(AnswerAfter(500), where=commits_and_looks)):
        with pytest.raises(WriteUncertainError):
            history.append(record("meant"))
        with proxy.counting() as counts, pytest.raises(WriteUncertainError):
            history.append(record("again"))
        assert counts.of("PUT") == 0
    with pytest.raises(WriteUncertainError):
        history.resume()
    history.close()
    with opened(place) as later:
        assert [each.feedback for each in later] == ["before", "first", "meant"]
        later.append(record("after"))
    assert texts(place) == ["before", "first", "meant", "after"]


def test_a_server_that_is_away_is_told_as_such_only_when_nothing_was_sent(near: tuple[Place, FaultProxy]) -> None:
    """A first request that reached nobody may be made again; one on a connection there was may have arrived."""
    place, proxy = near
    with opened(place) as history:
        with proxy.away(), pytest.raises(UnavailableError):
            history.append(record("never"))
        history.append(record("after"))
    assert texts(place) == ["before", "after"]


def another_always(_self: Committer, _key: str) -> bytes | None:
    """Take what stands there for another's, without a look."""
    return b"another's"


def another_where_it_exists(self: Committer, number: int, body: bytes) -> bytes | None:
    """Take "it exists" for another's, and any other failure for none."""
    try:
        self._client.create(commit_key(number), body)
    except ObjectExistsError:
        return b"another's"
    except UndecidedError:
        return b"nothing"
    return None


def ours_where_it_exists(self: Committer, number: int, body: bytes) -> bytes | None:
    """Take "it exists" for our own."""
    try:
        self._client.create(commit_key(number), body)
    except ObjectExistsError:
        return None
    return None


@pytest.mark.parametrize("fault", [DropAfter(), AnswerAfter(500), Answer(412), Answer(409)], ids=repr)
@pytest.mark.parametrize(("name", "careless"), [("_looked_at", another_always), ("_create", another_where_it_exists)])
def test_who_believes_an_answer_is_caught(
    name: str, careless: object, fault: Fault, near: tuple[Place, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look at the object a record is stored twice, or a number is left free."""
    monkeypatch.setattr(Committer, name, careless)
    with pytest.raises((AssertionError, IterlogError)):
        append_through(*near, fault)


def test_who_takes_anothers_for_its_own_is_caught(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is acknowledged and stands nowhere."""
    monkeypatch.setattr(Committer, "_create", ours_where_it_exists)
    with opened(s3) as one, opened(s3) as other:
        one.append(record("first"))
        other.append(record("second"))
        one.append(record("third"))
    assert texts(s3) != ["first", "second", "third"]
    assert len(stored(s3)) == 2
