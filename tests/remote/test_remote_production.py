"""Clients in real processes: shared by handles, left alone by forked children, and gone when the last handle is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from places import history_url

import iterlog
from iterlog.remote import sharing

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Place

_HEAD = """
import os, sys, threading, time
import iterlog

def saved(history, code):
    return history.save(code=code, metrics={}, feedback="")
"""


def said(source: str, *arguments: str, options: tuple[str, ...] = ("-W", "default")) -> str:
    """Run a program that warns of all it leaves open; return what it printed. It must end by itself, in silence."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, *options, "-c", _HEAD + source, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def read(url: str) -> list[str | None]:
    """Return the code of all records."""
    with iterlog.open_history(url) as history:
        return [record.code for record in history.read()]


@pytest.mark.parametrize("last", ["history.close()", "del history"])
def test_a_process_ends_in_silence_closed_or_not(last: str, honest: Place) -> None:
    """No session, socket or loop is complained of, and nothing holds the end up."""
    url = history_url(honest)
    said(f"history = iterlog.open_history(sys.argv[1]); saved(history, 'a'); list(history.read())\n{last}", url)
    assert read(url) == ["a"]


def test_nothing_is_left_after_the_last_close(honest: Place) -> None:
    """No thread and no open file, however often a history is opened and closed."""
    source = """
def used():
    with iterlog.open_history(sys.argv[1]) as one, iterlog.open_history(sys.argv[1]) as other:
        saved(one, "a")
        list(other.read())

def left():
    deadline = time.monotonic() + 20
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return [thread.name for thread in threading.enumerate()], sorted(os.listdir("/proc/self/fd"))

used()
before = left()
for _ in range(5):
    used()
print(before[0], left() == before)
"""
    assert said(source, history_url(honest)) == "['MainThread'] True\n"


def test_handles_share_one_client_until_the_last_is_closed(honest: Place) -> None:
    """As many as there are, of as many histories; other options make another."""
    url = history_url(honest)
    before = len(sharing._all_shared)
    with iterlog.open_history(url) as first:
        with iterlog.open_history(url) as second, iterlog.open_history(url.replace("/runs", "/other")) as third:
            assert len(sharing._all_shared) == before + 1
            second.save(code="a", metrics={}, feedback="")
            third.save(code="b", metrics={}, feedback="")
            with iterlog.open_history(url, read_timeout="19s") as other:
                assert len(sharing._all_shared) == before + 2
                assert other.last() == second.last()
        first.save(code="c", metrics={}, feedback="")
    assert len(sharing._all_shared) == before
    assert read(url) == ["a", "c"]


FORKED = """
history = iterlog.open_history(sys.argv[1])
saved(history, "parent")
child = os.fork()
if not child:
    saved(history, "child")
    {last}
assert os.waitpid(child, 0)[1] == 0
saved(history, "parent again")
print(history.resume().next_iteration)
"""


@pytest.mark.parametrize("last", ["history.close(); sys.exit()", "sys.exit()"])
def test_a_forked_child_makes_its_own_client_and_ends(last: str, honest: Place) -> None:
    """It goes on with the handle, ends in order or at once, and the parent's connections live on."""
    url = history_url(honest)
    assert said(FORKED.format(last=last), url, options=()) == "3\n"
    assert read(url) == ["parent", "child", "parent again"]


def test_a_child_that_is_forked_while_a_request_is_under_way_does_not_wait_for_it(s3: Place) -> None:
    """Locks that other threads of the parent hold are not the child's."""
    source = """
history = iterlog.open_history(sys.argv[1])
saved(history, "parent")
ended = threading.Event()
def keep_on():
    while not ended.is_set():
        saved(history, "thread")
thread = threading.Thread(target=keep_on)
thread.start()
for _ in range(2):
    child = os.fork()
    if not child:
        saved(history, "child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
ended.set()
thread.join()
print(sum(record.code == "child" for record in history.read()))
"""
    assert said(source, history_url(s3), options=()) == "2\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes_appends(method: str, s3: Place, tmp_path: Path) -> None:
    """Multiprocessing's own ways to start and to end processes, with a handle open in the parent."""
    program = tmp_path / "pool.py"
    program.write_text(
        _HEAD
        + """
import multiprocessing

def work(i):
    with iterlog.open_history(sys.argv[1]) as history:
        return saved(history, str(i)).iteration

if __name__ == "__main__":
    history = iterlog.open_history(sys.argv[1])
    saved(history, "parent")
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        assert sorted(pool.map(work, range(6))) == [1, 2, 3, 4, 5, 6]
    saved(history, "parent")
"""
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, program, history_url(s3), method], env=environment, timeout=100, check=True)
    assert len(read(history_url(s3))) == 8


def test_a_batch_that_was_never_closed_is_committed_at_the_end(s3: Place) -> None:
    """Also where a new connection to a host's name is needed for it, when Python has ended its own threads."""
    url = history_url(s3, batch_records=100).replace("127.0.0.1", "localhost")
    said(
        "history = iterlog.open_history(sys.argv[1])\n"
        "for i in range(3):\n"
        "    history.append(iterlog.IterationRecord(None, str(i), {}, ''))\n"
        "print('no more')",
        f"{url}&fs.config_kwargs.connector_args.keepalive_timeout=0.01",
    )
    assert read(url) == ["0", "1", "2"]


def test_an_asynchronous_loop_appends_and_reads(honest: Place) -> None:
    """Side by side through aappend and aread, and also with calls that block, from inside a running loop."""

    async def work(history: iterlog.HistoryStore) -> list[str | None]:
        records = [iterlog.IterationRecord(None, str(i), {}, "") for i in range(8)]
        await asyncio.gather(*(history.aappend(record) for record in records))
        history.save(code="blocking", metrics={}, feedback="")
        return [record.code async for record in history.aread()]

    with iterlog.open_history(history_url(honest)) as history:
        codes = asyncio.run(work(history))
    assert sorted(codes[:-1], key=str) == [str(i) for i in range(8)]
    assert codes[-1] == "blocking"


def test_threads_use_and_close_handles_of_one_client(s3: Place) -> None:
    """Some open and close while others work, and none is left without the client."""
    url = history_url(s3)
    errors: list[BaseException] = []

    def work(i: int) -> None:
        try:
            for _ in range(4):
                with iterlog.open_history(url) as history:
                    history.save(code=str(i), metrics={}, feedback="")
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(map(str, read(url))) == sorted(str(i) for i in range(4) for _ in range(4))
