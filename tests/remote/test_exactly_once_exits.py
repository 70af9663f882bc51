"""The end of a process: nobody waits for ever, and what was batched is committed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from appended import commits, opened, record, stored, texts
from fault_proxy import FaultProxy, Hang, always

if TYPE_CHECKING:
    from servers import Place

_BEGINNING = """
import asyncio, json, os, sys, threading, time
import iterlog
url, options = sys.argv[1], json.loads(sys.argv[2])
def opened(**more):
    return iterlog.open_history(url, storage_options=options, connect_timeout="2s", **more)
def record(text):
    return {"code": None, "metrics": {}, "feedback": text}
"""

_TELLING = ("-W", "ignore", "-W", "always::ResourceWarning")

PROGRAMS = {
    "closed": "with opened() as history: history.append(record('one'))",
    "not closed": "history = opened(); history.append(record('one'))",
    "dropped": "opened().append(record('one'))",
    "batched and closed": "with opened(batch_records=10) as history: history.append(record('one'))",
    "batched and not closed": "history = opened(batch_records=10); history.append(record('one'))",
    "batched and dropped": "opened(batch_records=10).append(record('one'))",
    "batched by time and not closed": "history = opened(batch_interval='1h'); history.append(record('one'))",
    "an exception": "history = opened(batch_records=10); history.append(record('one')); raise SystemExit(0)",
    "read and not closed": "history = opened(); history.append(record('one')); lines = iter(history); next(lines)",
    "a thread that goes on": """
history = opened()
assert not len(history)
threading.Thread(target=lambda: (time.sleep(0.5), history.append(record('one')))).start()
""",
    "asyncio": "asyncio.run(opened(batch_records=10).aappend(record('one')))",
}


def started(place: Place, program: str) -> subprocess.Popen[str]:
    """Start a program that tells of what it does not close."""
    options = json.dumps(place.options)
    return subprocess.Popen(
        [sys.executable, *_TELLING, "-c", _BEGINNING + program, f"{place.url}/runs", options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said_by(process: subprocess.Popen[str], *, first: bool = False) -> str:
    """Return the first line that a process says, or let it go on and return what it complains of until its end."""
    if first:
        assert process.stdout is not None
        return process.stdout.readline()
    return process.communicate("\n", timeout=90)[1]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_process_ends_and_its_record_is_there(s3: Place, program: str) -> None:
    """With and without close, dropped, in batches: it ends by itself, says nothing, and nothing is lost."""
    process = started(s3, program)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert texts(s3) == ["one"]


WAITING = """
history = opened(batch_records=10)
history.append(record('one'))
print("waiting", flush=True)
input()
"""


def commit_at_the_end(place: Place) -> None:
    """End a process whose batch waits, when its connections are closed and its store's name is forgotten."""
    with FaultProxy(place.server.address) as proxy:
        process = started(place.through(proxy.address.replace("127.0.0.1", "localhost")), WAITING)
        assert said_by(process, first=True) == "waiting\n"
        with proxy.away():
            time.sleep(11)  # longer than aiohttp remembers a name
        assert said_by(process) == ""
    assert process.returncode == 0
    assert texts(place) == ["one"]


def test_a_batch_is_committed_at_the_end_without_a_connection(s3: Place) -> None:
    """Where the store's name must be looked up again, it is reached all the same."""
    commit_at_the_end(s3)


def test_a_process_whose_store_is_away_at_the_end_says_so(s3: Place) -> None:
    """What waits cannot be committed: a warning tells, and the process ends."""
    with FaultProxy(s3.server.address) as proxy:
        process = started(s3.through(proxy.address), "import logging; logging.basicConfig()\n" + WAITING)
        assert said_by(process, first=True) == "waiting\n"
        with proxy.away():
            said = said_by(process)
    assert process.returncode == 0
    assert "not all could be committed" in said
    assert texts(s3) == []


def test_an_interrupted_program_ends(s3: Place) -> None:
    """Ctrl-C while the store hangs: the outcome is waited for, a second one gives up, and the process ends."""
    with FaultProxy(s3.server.address) as proxy, proxy.failing(always(Hang(), where=commits)):
        process = started(s3.through(proxy.address), "opened(read_timeout='60s').append(record('one'))")
        while not proxy.played and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert process.returncode != 0


def iterlog_threads() -> set[threading.Thread]:
    """Return the threads that histories started."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("iterlog")}


def test_nothing_is_left_of_a_closed_handle(s3: Place) -> None:
    """No thread, and no descriptor beyond those that the clients share."""
    others = iterlog_threads()  # of handles that earlier tests of this process never closed
    with opened(s3) as first:
        first.append(record("first"))
        before = len(list(Path("/dev/fd").iterdir()))
        for _ in range(10):
            with opened(s3, batch_interval="1h") as history:
                history.append(record("one"))
                assert len(list(history)) > 1
        assert len(list(Path("/dev/fd").iterdir())) <= before + 16  # what reading side by side has opened
    assert iterlog_threads() - others == set()
    assert len(stored(s3)) == 11


def test_reading_does_not_wait_for_a_commit_that_hangs(s3: Place) -> None:
    """While one thread's append waits for its outcome, others read through the same handle."""
    with FaultProxy(s3.server.address) as proxy, opened(s3.through(proxy.address), read_timeout="60s") as history:
        history.append(record("first"))
        with proxy.failing(always(Hang(), where=commits)):
            appending = threading.Thread(target=history.append, args=(record("second"),))
            appending.start()
            while not proxy.played:
                time.sleep(0.01)
            assert [each.feedback for each in history] == ["first"]
            assert len(history) == 1
            assert history.tail(1)[0].feedback == "first"
            assert history.verify().ok
            assert appending.is_alive()
        proxy.release()
        appending.join()
    assert texts(s3) == ["first", "second"]
