"""What is measured: a durable append, a flush append, a scan, and resuming, each beside its raw limit."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

import iterlog
from benchmarks.workload import evolving_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Contest:
    """The result of one contest.

    Attributes:
        name: What was measured.
        unit: Of both times: ``µs`` per record, or ``ms`` per call.
        ours: Our median.
        limit: The raw limit's median.
        against: What the raw limit is.
        ratio: The median of ours to limit, round by round.
        rounds: How many rounds there were.
        bytes_each: Bytes per record, where records were written or read.
    """

    name: str
    unit: str
    ours: float
    limit: float
    against: str
    ratio: float
    rounds: int
    bytes_each: int = 0


def append_contest(directory: Path, durability: str, rounds: int) -> Contest:
    """Append the same bytes through a history and by hand, taking turns.

    Args:
        directory: Where both files are written: the disk that is measured.
        durability: ``sync`` against write + fdatasync, ``flush`` against a bare write.
        rounds: How many records each of them appends.
    """
    records = list(evolving_records(rounds))
    with iterlog.open_history("memory://append-contest") as memory:
        start = max((position for position, _ in memory.lines()), default=iterlog.START)
        memory.extend(records)
        lines = [line + b"\n" for _, line in memory.lines(start)]
    raw = os.open(directory / f"raw-{durability}", os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_WRONLY, 0o644)
    ours: list[float] = []
    limit: list[float] = []
    with iterlog.open_history(directory / f"history-{durability}.jsonl", durability=durability) as history:

        def append_ours(number: int) -> None:
            history.append(records[number])

        def append_raw(number: int) -> None:
            os.write(raw, lines[number])
            if durability == "sync":
                os.fdatasync(raw)

        for number in range(rounds):
            turns = [(append_ours, ours), (append_raw, limit)]
            for append, times in turns if number % 2 else turns[::-1]:
                times.append(_timed(append, number) * 1e6)
    os.close(raw)
    against = "write + fdatasync" if durability == "sync" else "write"
    size = statistics.median(map(len, lines))
    return _result(f"append, durability={durability}", "µs", ours, limit, against, bytes_each=int(size))


def scan_contest(directory: Path, records: int, rounds: int) -> Contest:
    """Read a history and let msgspec decode the same bytes, which it has in memory, taking turns."""
    path = directory / "scan.jsonl"
    with iterlog.open_history(path, durability="flush") as history:
        for record in evolving_records(records):
            history.append(record)
        data = path.read_bytes()
        decoder = msgspec.json.Decoder()
        ours: list[float] = []
        limit: list[float] = []
        for number in range(rounds):
            turns: list[tuple[Callable[[int], object], list[float]]] = [
                (lambda _: sum(1 for _ in history), ours),
                (lambda _: len(decoder.decode_lines(data)), limit),
            ]
            for scan, times in turns if number % 2 else turns[::-1]:
                times.append(_timed(scan, number) / records * 1e6)
    return _result("scan", "µs", ours, limit, "msgspec decode_lines", bytes_each=len(data) // records)


def resume_contest(directory: Path, records: int, rounds: int) -> Contest:
    """Open a long history and resume, beside the same with 100 records, taking turns."""
    paths = {}
    for count in (100, records):
        paths[count] = directory / f"resume-{count}.jsonl"
        with iterlog.open_history(paths[count], durability="flush") as history:
            code_size = 500  # the point is the number of records, not of bytes
            batch: list[iterlog.IterationRecord] = []
            for record in evolving_records(count, code_size=code_size):
                batch.append(record)
                if len(batch) == 1000 or record.iteration == count - 1:
                    history.extend(batch)
                    batch = []

    def resume(count: int) -> None:
        with iterlog.open_history(paths[count]) as history:
            if history.resume().next_iteration != count:
                raise AssertionError("the history does not resume behind its last record")

    ours: list[float] = []
    limit: list[float] = []
    for _ in range(rounds):
        limit.append(_timed(resume, 100) * 1e3)
        ours.append(_timed(resume, records) * 1e3)
    return _result(f"open + resume at {records:,} records", "ms", ours, limit, "the same at 100 records")


def _timed(function: Callable[[int], object], argument: int) -> float:
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def _result(
    name: str, unit: str, ours: list[float], limit: list[float], against: str, *, bytes_each: int = 0
) -> Contest:
    return Contest(
        name,
        unit,
        statistics.median(ours),
        statistics.median(limit),
        against,
        statistics.median(mine / raw for mine, raw in zip(ours, limit, strict=True)),
        len(ours),
        bytes_each,
    )
