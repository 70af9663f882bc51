"""The servers themselves: that they are what the tests on them take them for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import ServerProcess
from servers.gcs import start_strict_gcs
from servers.s3 import start_moto
from watched import file_system

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import ObjectServer, Place
    from servers.gcs import GCSServer
    from servers.s3 import S3Server

WRITERS = 8
KEYS = 10


def test_the_back_door_of_each_server_reaches_what_it_wrote(honest: Place) -> None:
    """Objects come and go through the back door alone."""
    _holds_what_it_is_given(honest)


def test_the_back_door_of_each_careless_server_reaches_what_it_wrote(careless: Place) -> None:
    """Objects come and go through the back door of a server that ignores conditions."""
    _holds_what_it_is_given(careless)


def _holds_what_it_is_given(place: Place) -> None:
    door = place.back_door
    assert door.names() == []
    assert door.get("log/1") is None
    door.put("log/1", b"one\n--==0==--\n")
    door.put("log/1", b"two\n--==0==--\n")
    door.put("seg/1", bytes(range(256)))
    assert (door.get("log/1"), door.get("seg/1")) == (b"two\n--==0==--\n", bytes(range(256)))
    assert (door.names(), door.names("log/")) == (["log/1", "seg/1"], ["log/1"])
    door.delete("log/1")
    door.delete("log/1")
    assert door.names() == ["seg/1"]


def test_of_many_creators_one_wins(honest: Place) -> None:
    """Eight clients create the same keys at once: each key has one winner, and its bytes."""
    won = _race(honest)
    assert [len(winners) for winners in won] == [1] * KEYS
    assert [honest.back_door.get(f"log/{n}") for n in range(KEYS)] == [b"%d" % winners[0] for winners in won]


def test_of_many_creators_several_win_where_conditions_are_ignored(careless: Place) -> None:
    """The same race on the servers that are careless: the check above can fail."""
    assert [len(winners) for winners in _race(careless, writers=4, keys=2)] == [4, 4]


def _race(place: Place, writers: int = WRITERS, keys: int = KEYS) -> list[list[int]]:
    """Return for each key who was told that he created it."""
    at_once = threading.Barrier(writers)
    clients = [file_system(place) for _ in range(writers)]
    won: list[list[int]] = [[] for _ in range(keys)]

    def create(writer: int) -> None:
        for n, winners in enumerate(won):
            at_once.wait(60)
            try:
                clients[writer].pipe_file(f"{place.bucket}/log/{n}", b"%d" % writer, mode="create")
                winners.append(writer)
            except FileExistsError:
                continue

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(create, range(writers)))
    return won


def test_each_bucket_is_new(moto_server: S3Server) -> None:
    """Two buckets of one server share nothing."""
    one, other = moto_server.fresh(), moto_server.fresh()
    one.back_door.put("key", b"")
    assert other.back_door.names() == []


def test_no_secret_shows(honest: Place) -> None:
    """A place in a failing test's output shows no credentials, not even fake ones."""
    assert not any(value in repr(honest) for value in honest.environment.values() if value not in ("true", "false"))


@pytest.mark.parametrize("start", [start_moto, start_strict_gcs])
def test_a_killed_server_comes_back_with_all_it_acknowledged(
    start: Callable[[Path], ObjectServer], tmp_path: Path
) -> None:
    """``kill -9`` and a start on the same port: objects are as they were, and a key is still taken."""
    server = start(tmp_path)
    try:
        place = server.fresh()
        door = place.back_door
        for key in ("log/1", "log/2", "log/3"):
            door.put(key, key.encode())
        door.put("log/1", b"new")
        door.delete("log/2")
        server.process.kill()
        server.process.start()
        assert {key: door.get(key) for key in door.names()} == {"log/1": b"new", "log/3": b"log/3"}
        door.put("log/4", b"4")
        server.process.kill()
        server.process.start()
        assert door.names() == ["log/1", "log/3", "log/4"]
    finally:
        server.close()


def test_a_paused_server_answers_when_resumed(strict_gcs_server: GCSServer) -> None:
    """While paused it takes a request and does not answer it."""
    door = strict_gcs_server.fresh().back_door
    with ThreadPoolExecutor() as pool:
        strict_gcs_server.process.pause()
        try:
            put = pool.submit(door.put, "log/1", b"")
            with pytest.raises(TimeoutError):
                put.result(0.3)
        finally:
            strict_gcs_server.process.resume()
        put.result(30)
    assert door.names() == ["log/1"]


def test_a_server_that_cannot_start_tells_why() -> None:
    """What it printed is in the error."""
    process = ServerProcess(lambda _port: [sys.executable, "-c", "raise SystemExit('no such disk')"])
    with pytest.raises(RuntimeError, match="no such disk"):
        process.start()


def test_a_server_ends_with_a_test_run_that_is_killed() -> None:
    """No server outlives the process that started it, even when that could not clean up."""
    started = "import sys, time; from servers import ServerProcess; one = ServerProcess(lambda port: [sys.executable,"
    command = f"{started} '-m', 'http.server', str(port)]); one.start(); print(one.port, flush=True); time.sleep(60)"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as run:
        assert run.stdout is not None
        port = int(run.stdout.readline())
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
