"""The remote store beside bare calls of fsspec, on moto's S3: ``python -m benchmarks.remote [--appends N]``.

Moto answers in about a millisecond, a cloud in ten to fifty: what is ours in a ratio is larger here than there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from unittest import mock

import fsspec

import iterlog
from benchmarks.contests import Contest
from benchmarks.workload import evolving_records
from iterlog.remote.layout import BUCKET, commit_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STARTS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Server:
    """An S3 server of moto's, in a process of its own.

    Attributes:
        endpoint: Its address.
        system: s3fs on it, with options as the history has them.
    """

    endpoint: str
    system: fsspec.AbstractFileSystem

    def fresh(self) -> tuple[str, str]:
        """Return the bucket and prefix of a place nobody used, and the URL of a history there."""
        bucket = f"bench-{uuid.uuid4().hex}"
        self.system.mkdir(bucket)
        return f"{bucket}/run", f"s3://{bucket}/run?fs.endpoint_url={self.endpoint}"

    def put_commits(self, root: str, bodies: list[bytes], first: int = 0) -> None:
        """Put the objects of commits from a number on, without a history."""

        def put(number: int) -> None:
            self.system.pipe_file(f"{root}/{commit_key(number)}", bodies[number])

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(put, range(first, len(bodies))))


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """Run moto's server for the length of a block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark"}
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with (
        mock.patch.dict(os.environ, environment),
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            _wait_for(port)
            endpoint = f"http://127.0.0.1:{port}"
            options = {"endpoint_url": endpoint, "use_listings_cache": False, "skip_instance_cache": True}
            yield Server(endpoint, fsspec.filesystem("s3", **options))
        finally:
            process.kill()


def append_contest(server: Server, writers: int, rounds: int) -> Contest:
    """Append through histories and create the same objects by bare calls, taking turns; each writer its own place."""
    records = list(evolving_records(rounds))
    places = [server.fresh() for _ in range(writers)]
    bodies = [line + b"\n" for line in _lines(records)]
    ours: list[float] = []
    limit: list[float] = []
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(writers) as pool:
        histories = [stack.enter_context(iterlog.open_history(url)) for _, url in places]
        for history in histories:
            history.append(records[0])  # finds the end, proves the store

        def append(writer: int, number: int) -> None:
            histories[writer].append(records[number])

        def create(writer: int, number: int) -> None:
            server.system.pipe_file(f"{places[writer][0]}/bare/{number:016d}", bodies[number], mode="create")

        for number in range(1, rounds):
            turns = [(append, ours), (create, limit)]
            for work, times in turns if number % 2 else turns[::-1]:
                times.append(_timed(partial(_by_all, pool, work, number, writers)))
    name = f"append to S3, {writers} writer{'s' if writers > 1 else ''}"
    return _contest(name, ours, limit, "pipe_file(mode='create')", len(bodies[0]))


def resume_contest(server: Server, commits: int, rounds: int) -> Contest:
    """Open a long history and resume, beside the same with ten commits, taking turns."""
    urls = {}
    for count in (10, commits):
        root, urls[count] = server.fresh()
        bodies = [line + b"\n" for line in _lines(list(evolving_records(count, code_size=100)))]
        server.put_commits(root, bodies)

    def resume(count: int) -> None:
        with iterlog.open_history(urls[count]) as history:
            if history.resume().next_iteration < count:
                raise AssertionError("the history does not resume behind its last record")

    ours: list[float] = []
    limit: list[float] = []
    for number in range(rounds):
        turns = [(commits, ours), (10, limit)]
        for count, times in turns if number % 2 else turns[::-1]:
            times.append(_timed(lambda count=count: resume(count)))  # type: ignore[misc] # as above
    return _contest(f"resume at {commits:,} commits", ours, limit, "the same at 10")


def read_contest(server: Server, buckets: int, rounds: int) -> Contest:
    """Read a sealed history whole, beside fetching its segments by one bare call, taking turns."""
    root, url = server.fresh()
    with iterlog.open_history(url) as history:
        assert isinstance(history, iterlog.SupportsSegments)
        records = list(evolving_records(BUCKET * buckets))
        bodies = [line + b"\n" for line in _lines(records)]
        history.append(records[0])
        server.put_commits(root, bodies, first=1)
        sealed = [f"{root}/{kept.name}" for kept in history.compact()]
        ours: list[float] = []
        limit: list[float] = []

        def read() -> None:
            if sum(1 for _ in history) != len(records):
                raise AssertionError("not all records were read")

        turns: list[tuple[Callable[[], object], list[float]]] = [
            (read, ours),
            (lambda: server.system.cat(sealed), limit),
        ]
        for number in range(rounds):
            for work, times in turns if number % 2 else turns[::-1]:
                times.append(_timed(work))
    size = sum(map(len, bodies)) // len(bodies)
    return _contest(f"read {len(records):,} sealed records", ours, limit, "fs.cat of the segments", size)


def _by_all(pool: ThreadPoolExecutor, work: Callable[[int, int], None], number: int, writers: int) -> None:
    list(pool.map(work, range(writers), [number] * writers))


def _lines(records: list[iterlog.IterationRecord]) -> list[bytes]:
    with iterlog.open_history(f"memory://{uuid.uuid4().hex}") as memory:
        for record in records:
            memory.append(record)
        return [line for _, line in memory.lines()]


def _contest(name: str, ours: list[float], limit: list[float], against: str, bytes_each: int = 0) -> Contest:
    ratio = statistics.median(one / other for one, other in zip(ours, limit, strict=True))
    return Contest(name, "ms", statistics.median(ours), statistics.median(limit), against, ratio, len(ours), bytes_each)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--appends", type=int, default=300, help="appends of each contestant (default: 300)")
    parser.add_argument("--commits", type=int, default=12_345, help="length of the long history (default: 12345)")
    given = parser.parse_args()
    with served() as server:
        print("| what | ours | raw limit | ours / limit | rounds |\n|---|---|---|---|---|")
        measures = [
            partial(append_contest, server, 1, given.appends),
            partial(append_contest, server, 8, given.appends // 4),
            partial(resume_contest, server, given.commits, 20),
            partial(read_contest, server, 2, 5),
        ]
        for measure in measures:
            each = measure()
            print(
                f"| {each.name} | {each.ours:.2f} {each.unit} | {each.limit:.2f} {each.unit}, {each.against} | "
                f"{each.ratio:.2f} | {each.rounds} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
