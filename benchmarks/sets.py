"""How fast long rotating sets are searched and scanned: ``python -m benchmarks.sets [--files N] [--rounds N]``.

A set of N sealed files of 1,000 small records each is written (default: 1,000 files, a million records, 115 MB). Each
thing a history does with it takes turns with what cannot be done without: opening the files and reading so many bytes
of their ends, or decompressing them and splitting what comes out. Sealing takes turns with the codec alone. To compare
two versions, run this in a checkout of each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

import iterlog
from benchmarks.contests import Contest
from benchmarks.segments import lineages
from iterlog.backends.rotating import RotatingHistory
from iterlog.lines import encode_body, finish_line
from iterlog.rotation.layout import plain_name, sealed_name
from iterlog.segments import frames
from iterlog.segments.packing import Codec
from iterlog.segments.sealing import seal_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINES = 1000
_HEAD = 1 << 10
_FOOTER = 1 << 16


def write_set(directory: Path, files: int) -> int:
    """Write a set of sealed files of small records; return the plain bytes in it."""
    directory.mkdir()
    rng = random.Random(1)
    size = 0
    for first in range(0, files * LINES, LINES):
        plain = b"".join(_line(number, rng) for number in range(first, first + LINES))
        size += len(plain)
        (directory / sealed_name(first, first + LINES, Codec.ZSTD)).write_bytes(seal_bytes(plain)[0])
    (directory / plain_name(files * LINES)).touch()
    return size


def _line(number: int, rng: random.Random) -> bytes:
    record = iterlog.IterationRecord(
        number,
        f"x = {rng.random():.6f}",
        {"loss": rng.random(), "accuracy": rng.random(), "trades": rng.randint(0, 400)},
        "go on",
        timestamp=dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=30 * number + rng.random()),
        id=f"{rng.getrandbits(64):016x}",
    )
    return finish_line(number, encode_body(record)) + b"\n"


def set_contests(directory: Path, files: int, rounds: int) -> Iterator[Contest]:
    """Measure what a history does with a set that `write_set` wrote."""
    rng = random.Random(2)
    paths = sorted(directory.glob("*.zst"))

    def opened() -> RotatingHistory:
        history = iterlog.open_history(f"rotating://{directory}", create=False)
        assert isinstance(history, RotatingHistory)
        return history

    def numbers(history: RotatingHistory) -> None:
        wanted = rng.randrange(files * LINES)
        found = history.get(wanted)
        assert found is not None
        assert found.iteration == wanted

    known = opened()
    numbers(known)
    heads, footers = (f"the last {size >> 10} KiB of each file" for size in (_HEAD, _FOOTER))
    one = "a file decompressed and split"
    whole = "all files decompressed and split"
    scanned = len(known)

    def is_scanned(lines: Iterator[object]) -> None:
        assert sum(1 for _ in lines) == scanned

    def best_loss() -> None:
        assert max(max(footer.metrics["loss"].values) for _, footer in known.footers()) > 0

    yield _contest("last", lambda: opened().last(), lambda: _split(paths[:1]), one, rounds)
    yield _contest("first get", lambda: numbers(opened()), lambda: _ends(paths, _HEAD), heads, rounds)
    yield _contest("next get", lambda: numbers(known), lambda: _split(paths[:1]), one, rounds)
    yield _contest("len", lambda: len(opened()), lambda: _ends(paths, _HEAD), heads, rounds)
    yield _contest("all footers", lambda: deque(known.footers(), 0), lambda: _ends(paths, _FOOTER), footers, rounds)
    yield _contest("one metric of all footers", best_loss, lambda: _ends(paths, _FOOTER), footers, rounds)
    few = max(1, rounds // 3)
    yield _contest("lines", lambda: is_scanned(known.lines()), lambda: _split(paths), whole, few)
    yield _contest("records", lambda: is_scanned(known.read()), lambda: _split(paths), whole, few)


def seal_contest(plain: bytes, name: str, rounds: int) -> Contest:
    """Seal bytes, footer and all, beside the codec alone."""

    def codec() -> None:
        compressor = frames.compressor(None, len(plain))
        compressor.compress(plain)
        compressor.flush()

    return _contest(f"seal {name}", lambda: seal_bytes(plain), codec, "the codec alone", rounds)


def _ends(paths: list[Path], size: int) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.pread(descriptor, size, max(0, os.fstat(descriptor).st_size - size))
        finally:
            os.close(descriptor)


def _split(paths: list[Path]) -> None:
    for path in paths:
        for _ in zstandard.ZstdDecompressor().decompress(path.read_bytes()).split(b"\n"):
            pass


def _contest(name: str, ours: Callable[[], object], limit: Callable[[], object], against: str, rounds: int) -> Contest:
    times = [(_timed(ours), _timed(limit)) for _ in range(rounds)]
    return Contest(
        name,
        "ms",
        statistics.median(mine for mine, _ in times) * 1e3,
        statistics.median(least for _, least in times) * 1e3,
        against,
        statistics.median(mine / least for mine, least in times),
        rounds,
    )


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Print a row per thing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="sealed files in the set (default: 1000)")
    parser.add_argument("--rounds", type=int, default=15, help="how often each thing takes its turn (default: 15)")
    parser.add_argument("--directory", type=Path, help="where to write the set (default: here)")
    given = parser.parse_args()
    print("| what | ours | raw limit | ours / limit | rounds |\n|---|---|---|---|---|")
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=given.directory or Path.cwd(), prefix="iterlog-benchmark-") as name:
        directory = Path(name) / "set"
        size = write_set(directory, given.files)
        for contest in set_contests(directory, given.files, given.rounds):
            taken[contest.name] = contest.ours
            _show(contest, size if contest.name in {"lines", "records"} else 0)
    for count in (1, 20):
        plain = lineages(count, 1000)
        _show(seal_contest(plain, f"of {count} lineage{'s'[: count - 1]}", given.rounds), len(plain))
    print(
        f"\nAll footers take 1/{taken['records'] / taken['all footers']:.0f} of the time of all records, "
        f"and with one metric of each 1/{taken['records'] / taken['one metric of all footers']:.0f}."
    )


def _show(contest: Contest, size: int) -> None:
    def speed(taken: float) -> str:
        return f" ({size / taken / 1e3:.0f} MB/s)" if size else ""

    print(
        f"| {contest.name} | {contest.ours:.1f} ms{speed(contest.ours)} "
        f"| {contest.limit:.1f} ms{speed(contest.limit)}, {contest.against} "
        f"| {contest.ratio:.2f} | {contest.rounds} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
