"""What a history in an object store costs, counted at the wire by a proxy: requests and bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from fault_proxy import FaultProxy
from many_commits import put_commits, put_segment
from places import history_url
from servers.fixtures import reachable

import iterlog
from iterlog import reader
from iterlog.remote.layout import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fault_proxy import Counts
    from servers import Place

PAYLOAD = "x = 1\n" * 500

# What listing a folder takes where adlfs asks for its name among its neighbours first.
LISTS = {"s3": 1, "az": 2, "gs": 1}
ABSENT = {"s3": {"LIST": 2}, "az": {"LIST": 2, "HEAD": 1}, "gs": {"LIST": 1, "GET": 1}}
"""What listing a folder takes where there is none."""


@dataclass
class Metered:
    """A bucket behind a proxy that counts."""

    place: Place
    proxy: FaultProxy

    @property
    def url(self) -> str:
        """A history in the bucket."""
        return history_url(self.place)

    def expected(self, **counts: int) -> dict[str, int]:
        """Return counts with the listings of this store."""
        scheme = self.place.server.scheme
        return {kind: count * (LISTS[scheme] if kind == "LIST" else 1) for kind, count in counts.items()}

    def with_absent(self, counts: dict[str, int], folders: int = 1) -> dict[str, int]:
        """Return counts with those of listing folders that are not there."""
        more = ABSENT[self.place.server.scheme]
        return {kind: counts.get(kind, 0) + folders * more.get(kind, 0) for kind in {*counts, *more}}


@pytest.fixture
def metered(honest: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metered]:
    """An empty bucket on each of the stores."""
    with FaultProxy(honest.server.address) as proxy:
        yield Metered(reachable(honest.through(proxy.address), monkeypatch), proxy)


def test_an_append_is_one_request(metered: Metered) -> None:
    """Each behind the first of a handle is one PUT; the first also proves the store and looks at the end."""
    with iterlog.open_history(metered.url) as history:
        with metered.proxy.counting() as first:
            history.append(iterlog.IterationRecord(None, PAYLOAD, {}, ""))
        # Nothing is there yet: the end, the probe twice, the marker asked for, created and read, and the commit.
        assert first.by_kind == metered.with_absent({"PUT": 4, "GET": 2}) | bucket_asked(metered, first)
        with metered.proxy.counting() as counts:
            for _ in range(10):
                history.append(iterlog.IterationRecord(None, PAYLOAD, {}, ""))
            history.extend([iterlog.IterationRecord(None, PAYLOAD, {}, "") for _ in range(20)])
        assert counts.by_kind == {"PUT": 11}
        payload = sum(len(line) + 1 for _, line in history.lines()) * 30 / 31
        assert counts.bytes_up <= 1.2 * payload
    with iterlog.open_history(metered.url) as history:
        with metered.proxy.counting() as counts:
            history.append(iterlog.IterationRecord(None, PAYLOAD, {}, ""))
        assert counts.by_kind == metered.expected(LIST=2, GET=2, PUT=1)


def bucket_asked(metered: Metered, counts: Counts) -> dict[str, int]:
    """Return what asking for the bucket itself adds where listing a missing one looks like listing an empty one."""
    if metered.place.server.scheme == "s3":
        return {}
    asked = [request for request in counts.requests if not request.key and request.kind != "LIST"]
    assert len(asked) <= 1
    extra = metered.with_absent({"PUT": 4, "GET": 2})
    for request in asked:
        extra[request.kind] = extra.get(request.kind, 0) + 1
    return extra


@pytest.mark.parametrize("commits", [10, 1001, 12_345])
def test_resume_costs_the_same_at_any_length(commits: int, metered: Metered) -> None:
    """Two listings, the newest commit, and the fence.

    Of the longest history the first and last commit of each full bucket stand there, and all of the newest bucket.
    """
    newest = (commits - 1) // BUCKET
    full = range(commits) if commits < 2 * BUCKET else range(newest * BUCKET, commits)
    ends = [bucket * BUCKET + i for bucket in range(newest) for i in (0, BUCKET - 1)] if newest > 1 else []
    put_commits(metered.place, [*ends, *full])
    with iterlog.open_history(metered.url) as history:
        history.repair()
        with metered.proxy.counting() as counts:
            point = history.resume()
        assert point.next_iteration == commits
        assert counts.by_kind == metered.expected(LIST=2, GET=1, PUT=1)
        with metered.proxy.counting() as counts:
            history.append(iterlog.IterationRecord(None, "", {}, ""))
        assert counts.by_kind == {"PUT": 4, "GET": 2}  # the probe and the marker, which the back door left out


@pytest.mark.parametrize("k", [1, 7])
def test_the_newest_records_are_two_listings_and_a_request_each(k: int, metered: Metered) -> None:
    """last() and tail(k) read what they return and nothing else."""
    put_commits(metered.place, range(30))
    with iterlog.open_history(metered.url) as history:
        with metered.proxy.counting() as counts:
            found = [history.last()] if k == 1 else history.tail(k)
        assert [record.iteration for record in found if record] == list(range(30 - k, 30))
        assert counts.by_kind == metered.expected(LIST=2, GET=k)


def test_reading_everything_is_a_request_for_a_thousand_commits(metered: Metered) -> None:
    """Of 3,005 commits three segments, the two listings, and the loose tail: a listing and its commits."""
    for bucket in range(3):
        put_segment(metered.place, bucket)
    put_commits(metered.place, range(3000, 3005))
    with iterlog.open_history(metered.url) as history:
        with metered.proxy.counting() as counts:
            assert [record.iteration for record in history.read()] == list(range(3005))
        assert counts.by_kind == metered.expected(LIST=3, GET=3 + 5)
        assert isinstance(history, iterlog.SupportsSegments)
        with metered.proxy.counting() as counts:
            assert len(list(history.footers())) == 3
        assert counts.by_kind == metered.expected(LIST=2, GET=3)


@dataclass
class Clock:
    """A clock that only sleeping moves on."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return its time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move it on."""
        self.pauses.append(seconds)
        self.now += seconds


def test_an_idle_follower_asks_once_a_look_and_less_and_less(metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    """In five quiet minutes it looks some eighty times, at last every ten seconds, with one request each."""
    put_commits(metered.place, range(3))
    clock = Clock()
    monkeypatch.setattr(reader, "time", clock)
    with iterlog.open_history(metered.url) as history:
        following = history.follow(poll_s=0.5, idle_s=300)
        assert [next(following).iteration for _ in range(3)] == [0, 1, 2]
        with metered.proxy.counting() as counts:
            assert list(following) == []
    assert counts.by_kind == {"GET": len(clock.pauses)}
    assert len(clock.pauses) < 100
    assert clock.pauses[0] == 0.5
    assert clock.pauses[-1] == 10


def test_the_own_counts_agree_with_the_wire(metered: Metered) -> None:
    """stats() tells what the proxy saw, through appends, reads, segments, and folders that are missing."""
    with metered.proxy.counting() as counts, iterlog.open_history(metered.url) as history:
        assert isinstance(history, iterlog.SupportsRequestCounts)
        assert list(history.read()) == []
        put_segment(metered.place, 0)
        put_commits(metered.place, range(1000, 1030))
        list(history.read())
        history.save(code=PAYLOAD, metrics={}, feedback="")
        history.resume()
        history.save(code=PAYLOAD, metrics={}, feedback="")
        assert isinstance(history, iterlog.SupportsSegments)
        list(history.compact())
        len(history)
        history.tail(5)
        told = history.stats()
    seen = counts.by_kind
    assert (told.puts, told.lists) == (seen["PUT"], seen["LIST"])
    assert told.gets == seen["GET"] + seen.get("HEAD", 0)
    assert told.requests == counts.total
    assert told.bytes_sent <= counts.bytes_up <= 1.2 * told.bytes_sent
    assert told.bytes_received <= counts.bytes_down
    assert told.objects >= 5
