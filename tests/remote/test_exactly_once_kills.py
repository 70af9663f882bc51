"""Processes that end at any moment, writers and servers: what was acknowledged is there, once, and the next goes on."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from appended import check_writers, commits, opened, record, records_in, stored, texts
from fault_processes import Child
from fault_proxy import FaultProxy, Hang, always, script
from servers.fixtures import reachable
from servers.s3 import start_moto

from iterlog import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Place

KILLS = int(os.environ.get("ITERLOG_TEST_KILLS", "12"))


def write_until_killed(place: Place, name: str, pipe: int, begin: int = 0) -> None:
    """Append for ever; say what is begun and what is acknowledged."""
    with opened(place, read_timeout="1s") as history:
        turn = begin
        while True:
            os.write(pipe, b"b")
            history.append(record(f"{name} {turn}"))
            os.write(pipe, b"a")
            turn += 1


def counted(said: bytes) -> tuple[int, int]:
    """Return how many appends were acknowledged, and begun."""
    return said.count(b"a"), said.count(b"b")


def test_writers_killed_at_any_moment(s3: Place) -> None:
    """One after the other, while two live on: no acknowledged record is missing, none is there twice, no gap."""
    chance = random.Random(1)
    acknowledged: dict[str, int] = {}
    begun: dict[str, int] = {}
    survivors = [Child(lambda pipe, i=i: write_until_killed(s3, f"survivor{i}", pipe)) for i in range(2)]  # type: ignore[misc] # mypy infers no lambda with a default
    for kill in range(KILLS):
        name = f"victim{kill}"
        child = Child(lambda pipe, name=name: write_until_killed(s3, name, pipe))  # type: ignore[misc] # as above
        first = os.read(child.pipe, 1)  # it has begun
        time.sleep(chance.uniform(0, 0.4))
        acknowledged[name], begun[name] = counted(first + child.kill())
    for i, child in enumerate(survivors):
        acknowledged[f"survivor{i}"], begun[f"survivor{i}"] = counted(child.kill())
    found = records_in(stored(s3))
    check_writers(found, acknowledged, begun)
    assert [each["iteration"] for each in found] == list(range(len(found)))
    with opened(s3) as history:
        assert history.resume().next_iteration == len(found)
        assert history.verify().ok


@pytest.mark.parametrize("asked", [False, True], ids=["not forwarded", "carried out"])
def test_a_writer_killed_while_its_commit_is_on_its_way(s3: Place, asked: bool) -> None:
    """What becomes of the request alone decides; who resumes meanwhile is not overtaken by it."""
    with FaultProxy(s3.server.address) as proxy:
        near = s3.through(proxy.address)
        with opened(near) as history:
            history.append(record("before"))
        with proxy.failing(script([Hang(asked=asked)], where=commits)):
            child = Child(lambda _pipe: opened(near).append(record("on its way")))
            while not proxy.played:
                time.sleep(0.01)
            if asked:
                while len(stored(s3)) < 2:
                    time.sleep(0.01)
            child.kill()
        with opened(near) as next_run:
            point = next_run.resume()
            assert point.next_iteration == 1 + asked
            assert point.feedback == ("on its way" if asked else "before")
            proxy.release()
            next_run.append(record("after"))
        time.sleep(0.2)
    assert texts(s3) == ["before", *(["on its way"] if asked else []), "after"]
    assert [each["iteration"] for each in records_in(stored(s3))] == list(range(2 + asked))


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A bucket on a server of its own, which may be killed and keeps what it acknowledged."""
    server = start_moto(tmp_path)
    try:
        yield reachable(server.fresh(), monkeypatch)
    finally:
        server.close()


def test_a_server_killed_at_any_moment(mortal: Place) -> None:
    """Four writers go on over three kills and restarts: every acknowledged record is there, none twice, no gap."""
    acknowledged = dict.fromkeys(map(str, range(4)), 0)
    begun = dict(acknowledged)
    ended = threading.Event()

    def write(name: str) -> None:
        with opened(mortal, read_timeout="2s") as history:
            while not ended.is_set():
                begun[name] = acknowledged[name] + 1
                try:
                    history.append(record(f"{name} {acknowledged[name]}"))
                except UnavailableError:
                    time.sleep(0.05)
                else:
                    acknowledged[name] += 1

    writers = [threading.Thread(target=write, args=(name,)) for name in acknowledged]
    for writer in writers:
        writer.start()
    chance = random.Random(2)
    for _ in range(3):
        time.sleep(chance.uniform(0.5, 1.5))
        mortal.server.process.kill()
        time.sleep(chance.uniform(0, 0.5))
        mortal.server.process.start()
    time.sleep(0.5)
    ended.set()
    for writer in writers:
        writer.join()
    found = records_in(stored(mortal))
    check_writers(found, acknowledged, begun)
    assert len(found) == sum(acknowledged.values()) > 10
    assert [each["iteration"] for each in found] == list(range(len(found)))


@pytest.mark.parametrize("asked", [False, True], ids=["not forwarded", "carried out"])
def test_an_interrupt_waits_for_the_outcome(s3: Place, asked: bool) -> None:
    """Ctrl-C while a commit is on its way surfaces when that is decided; nothing appears later."""
    with FaultProxy(s3.server.address) as proxy:
        assert interrupted(s3, proxy, asked=asked) == [b"interrupted"] * 2
        time.sleep(0.3)
        assert texts(s3) == ["before", "on its way"]
        with opened(s3) as next_run:
            assert next_run.resume().next_iteration == 2
            next_run.append(record("after"))
    assert texts(s3) == ["before", "on its way", "after"]


def test_an_interrupt_that_does_not_wait_is_caught(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting, KeyboardInterrupt surfaces while the request is under way, and its object appears later."""
    monkeypatch.setattr("iterlog.backends.remote.decided", lambda work: work())
    with FaultProxy(s3.server.address) as proxy:
        assert interrupted(s3, proxy, asked=False)[0] == b"interrupted early"


def interrupted(place: Place, proxy: FaultProxy, *, asked: bool) -> list[bytes]:
    """Interrupt a process twice as often as its commit answers: while it hangs; return what it said of each."""
    near = place.through(proxy.address)

    def append(pipe: int) -> None:
        history = opened(near, read_timeout="30s")
        history.append(record("before"))
        os.write(pipe, b"ready\n")
        try:
            history.append(record("on its way"))
        except KeyboardInterrupt:
            there = len(stored(place)) == 2
            os.write(pipe, b"interrupted" if there else b"interrupted early")
        os.write(pipe, b"\n" + (b"interrupted" if len(stored(place)) == 2 else b"nothing there"))
        history.close()

    child = Child(append)
    assert os.read(child.pipe, 6) == b"ready\n"
    with proxy.failing(always(Hang(asked=asked), where=commits)):
        while not proxy.played:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.3)
    proxy.release()
    return child.finish().split(b"\n")


def test_a_parent_and_its_children_share_a_handle(s3: Place) -> None:
    """Forked in the middle of a commit of another thread, with the handle in use: all append, nobody hangs."""
    with opened(s3) as history:
        history.append(record("parent 0"))
        ended = threading.Event()

        def go_on() -> None:
            turn = 1
            while not ended.is_set() or turn < 20:
                history.append(record(f"parent {turn}"))
                turn += 1

        parent = threading.Thread(target=go_on)
        parent.start()

        def append(name: str) -> None:
            for turn in range(10):
                history.append(record(f"{name} {turn}"))
            history.close()

        children = [Child(lambda _pipe, name=f"child{i}": append(name)) for i in range(4)]  # type: ignore[misc] # as above
        for child in children:
            child.finish()
        ended.set()
        parent.join()
    found = records_in(stored(s3))
    theirs = {f"child{i}": 10 for i in range(4)}
    check_writers(found, {**theirs, "parent": 20}, {**theirs, "parent": len(found)})
    assert [each["iteration"] for each in found] == list(range(len(found)))


def test_a_child_does_not_wait_for_what_its_parent_was_doing(s3: Place) -> None:
    """The parent's locks are held by threads that a fork does not copy."""
    with FaultProxy(s3.server.address) as proxy, opened(s3.through(proxy.address)) as history:
        history.append(record("before"))
        with proxy.failing(script([Hang()], where=commits)):
            thread = threading.Thread(target=history.append, args=(record("parent"),))
            thread.start()
            while not proxy.played:
                time.sleep(0.01)
        with history._client.counter._lock:
            child = Child(lambda _pipe: history.append(record("child")))
        child.finish()
        proxy.release()
        thread.join()
    assert texts(s3) == ["before", "child", "parent"]
