"""Eight writers while a quarter of all requests goes wrong: everything once, in order, without a gap."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from appended import check_writers, opened, record, records_in, stored
from fault_processes import Child
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
    by_chance,
)

from iterlog import UnavailableError
from iterlog.remote.client import ObjectExistsError
from iterlog.remote.committing import Committer
from iterlog.remote.layout import commit_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fault_proxy import Fault
    from servers import Place

WRITERS, APPENDS = 8, 50
FAULTS: list[Fault] = [
    DropBefore(),
    DropAfter(),
    CutAnswer(0),
    CutAnswer(30),
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
    Slow(before=0.05),
    Slow(after=0.05),
    Hang(),
    Hang(asked=True),
    StaleList(back=3),
]
SEEDS = [int(seed) for seed in os.environ.get("ITERLOG_TEST_STORMS", "1").split(",")]
"""More storms for who has the time: ``ITERLOG_TEST_STORMS=1,2,3``."""


@contextlib.contextmanager
def storm(place: Place, seed: int, rate: float = 0.25) -> Iterator[tuple[Place, FaultProxy]]:
    """Reach a bucket through a proxy that breaks a share of all requests; those that hang go on now and then."""
    ended = threading.Event()
    with FaultProxy(place.server.address) as proxy, proxy.failing(by_chance(seed, FAULTS, rate)):

        def release() -> None:
            while not ended.wait(0.4):
                proxy.release()

        releasing = threading.Thread(target=release)
        releasing.start()
        try:
            yield place.through(proxy.address), proxy
        finally:
            ended.set()
            releasing.join()
            sys.stderr.write(
                f"storm {seed}, {len(proxy.played)} faults: {Counter(str(fault) for _, fault in proxy.played)}\n"
            )


def write(place: Place, name: str, appends: int = APPENDS) -> None:
    """Append again and again; what was refused is tried again, as its error allows."""
    with opened(place, read_timeout="1s") as history:
        for turn in range(appends):
            while True:
                try:
                    history.append(record(f"{name} {turn}"))
                except UnavailableError:
                    time.sleep(0.1)
                else:
                    break


def run(writers: list[threading.Thread]) -> None:
    """Run threads to their end."""
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def threads_of(place: Place, appends: int = APPENDS) -> list[threading.Thread]:
    """Make a thread per writer, each with a handle of its own."""
    return [threading.Thread(target=write, args=(place, str(name), appends)) for name in range(WRITERS)]


def check(place: Place, appends: int = APPENDS) -> None:
    """Check that all is there once, each writer's in order, with dense numbers."""
    found = records_in(stored(place))
    check_writers(found, {str(name): appends for name in range(WRITERS)})
    assert [each["iteration"] for each in found] == list(range(WRITERS * appends))


@pytest.mark.parametrize("seed", SEEDS)
def test_handles_in_a_storm(s3: Place, seed: int) -> None:
    """Eight handles in threads, fifty appends each."""
    with storm(s3, seed) as (near, proxy):
        run(threads_of(near))
        assert len(proxy.played) > WRITERS * APPENDS / 4
    check(s3)


@pytest.mark.parametrize("seed", SEEDS)
def test_processes_in_a_storm(s3: Place, seed: int) -> None:
    """Eight processes, forked where a handle is in use, fifty appends each."""
    with storm(s3, 1000 + seed) as (near, proxy):
        with opened(near) as history:
            history.resume()
            children = [Child(lambda _pipe, name=name: write(near, str(name))) for name in range(WRITERS)]  # type: ignore[misc] # mypy infers no lambda with a default
            for child in children:
                child.finish()
        assert len(proxy.played) > WRITERS * APPENDS / 4
    check(s3)


@pytest.mark.parametrize("name", ["azure", "gcs"])
def test_a_storm_on_other_stores(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other two kinds of store, ten appends each."""
    place: Place = request.getfixturevalue(name)
    with storm(place, 7) as (near, _):
        for variable, value in near.environment.items():
            monkeypatch.setenv(variable, value)
        run(threads_of(near, 10))
    check(place, 10)


def test_one_handle_shared_by_all(s3: Place) -> None:
    """Eight threads with one handle, while every tenth request goes wrong, and one that reads all the time."""
    ended, looks = threading.Event(), 0
    with storm(s3, 3, 0.1) as (near, _), opened(near, read_timeout="1s") as history:

        def read() -> None:
            nonlocal looks
            seen: list[str] = []
            while not ended.is_set():
                with contextlib.suppress(UnavailableError):
                    now = [each.feedback for each in history]
                    assert now[: len(seen)] == seen
                    seen = now
                    looks += 1

        def append(name: int) -> None:
            for turn in range(10):
                history.append(record(f"{name} {turn}"))

        reader = threading.Thread(target=read)
        reader.start()
        run([threading.Thread(target=append, args=(name,)) for name in range(WRITERS)])
        ended.set()
        reader.join()
    check(s3, 10)
    assert looks


def test_a_committer_that_moves_on_is_caught_by_a_storm(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that goes to the next number after any failure leaves gaps, or stores records twice."""

    def create(committer: Committer, number: int, body: bytes) -> bytes | None:
        try:
            committer._client.create(commit_key(number), body)
        except ObjectExistsError:
            return b"another's"
        except Exception:  # noqa: BLE001 - as it says
            return b"nothing"
        return None

    monkeypatch.setattr(Committer, "_create", create)
    with storm(s3, 5) as (near, _):
        run(threads_of(near, 5))
    with pytest.raises(AssertionError):
        check(s3, 5)


@pytest.mark.parametrize("name", ["s3", "azure"])
def test_one_of_eight_processes_wins_each_key(name: str, request: pytest.FixtureRequest) -> None:
    """What all this stands on: of eight who create the same fifty objects at once, each object has one maker."""
    place: Place = request.getfixturevalue(name)

    started, start = os.pipe()

    def create(pipe: int, who: int) -> None:
        with opened(place) as history:
            history._client.entries("race")  # a connection is there
            os.write(pipe, b" ")
            os.read(started, 1)
            begin, won, chance = time.monotonic(), [], random.Random(who)
            for i in range(50):
                moment = begin + i * 0.12 + chance.uniform(0, 0.01)  # or who is ahead once stays ahead
                time.sleep(max(0.0, moment - time.monotonic()))
                try:
                    history._client.create(f"race/{i}", b"%d" % who)
                except ObjectExistsError:
                    continue
                won.append(i)
            os.write(pipe, " ".join(map(str, won)).encode())

    children = [Child(lambda pipe, who=who: create(pipe, who)) for who in range(8)]  # type: ignore[misc] # as above
    for child in children:
        assert os.read(child.pipe, 1) == b" "
    os.write(start, bytes(8))
    wins = [list(map(int, child.finish().split())) for child in children]
    sys.stderr.write(f"{name}: wins per process {[len(each) for each in wins]}\n")
    winners = {key: who for who, each in enumerate(wins) for key in each}
    assert sorted(key for each in wins for key in each) == list(range(50))
    assert all(place.back_door.get(f"runs/race/{key}") == b"%d" % who for key, who in winners.items())
    os.close(started)
    os.close(start)
