"""How small and how fast sealed segments are: ``python -m benchmarks.segments [--rounds N] [FILE ...]``.

Each set of lines is sealed as one segment at several levels, beside the bare ``zstd -19`` of the same bytes. A FILE is
a plain or compressed file of lines; without one, code of one lineage and of 20 interleaved ones is made up.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import zstandard

import iterlog
from benchmarks.workload import evolving_records
from iterlog.segments.footer import read_footer
from iterlog.segments.packing import Codec
from iterlog.segments.sealing import seal_bytes, verify_sealed
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

VARIANTS = ((Codec.ZSTD, 3), (Codec.ZSTD, 9), (Codec.ZSTD, 19), (Codec.GZIP, None), (Codec.GZIP, 6))


@dataclass(frozen=True)
class Sealing:
    """What one way of sealing some lines came to; times are medians, in seconds.

    Attributes:
        codec: The codec.
        level: Its level; None for the default, which depends on whether isal is installed.
        lines: How many lines there are.
        plain: Bytes of them.
        packed: Bytes of the frame or member.
        footer: Bytes of the footer behind it.
        seal_s: Compressing, hashing and building the footer.
        verify_s: Decoding and comparing.
        scan_s: Decoding into lines.
        line_s: One line from the middle.
        footer_s: Reading the footer.
    """

    codec: Codec
    level: int | None
    lines: int
    plain: int
    packed: int
    footer: int
    seal_s: float
    verify_s: float
    scan_s: float
    line_s: float
    footer_s: float


def lineages(count: int, records: int) -> bytes:
    """Return the plain bytes of interleaved lineages of evolving code.

    Args:
        count: How many lineages.
        records: How many records all of them have together.
    """
    loops = [evolving_records(records // count, seed=seed) for seed in range(1, count + 1)]
    mixed = itertools.chain.from_iterable(zip(*loops, strict=True))
    with iterlog.open_history(f"memory://lineages-{count}-{records}") as history:
        start = max((position for position, _ in history.lines()), default=iterlog.START)
        for number, record in enumerate(mixed):
            history.append(record.with_iteration(number))
        return b"".join(line + b"\n" for _, line in history.lines(start))


def measure(plain: bytes, codec: Codec, level: int | None, rounds: int) -> Sealing:
    """Seal some lines and read them back, several times."""
    seal_s, (sealed, footer) = _median(lambda: seal_bytes(plain, codec=codec, level=level), rounds)
    source = BytesSource(sealed)
    segment = SealedSegment(source)
    return Sealing(
        codec,
        level,
        footer.count,
        len(plain),
        footer.packed_size,
        len(sealed) - footer.packed_size,
        seal_s,
        _median(lambda: verify_sealed(source, footer.plain_sha256, footer.plain_size), rounds)[0],
        _median(lambda: sum(1 for _ in segment.lines()), rounds)[0],
        _median(lambda: segment.line(footer.count // 2), rounds)[0],
        _median(lambda: read_footer(source), rounds)[0],
    )


def main() -> None:
    """Print a table per set of lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is timed (default: 5)")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="lines to seal (.jsonl, .zst, .gz)")
    given = parser.parse_args()
    sets = {path.name: _plain_of(path) for path in given.files} or {
        "one lineage, 1,000 records": lineages(1, 1000),
        "20 lineages, 1,000 records": lineages(20, 1000),
    }
    for name, plain in sets.items():
        bare = len(zstandard.ZstdCompressor(level=19, write_checksum=True).compress(plain))
        print(f"{name}: {len(plain) / 1e6:.1f} MB; bare zstd -19: ratio {len(plain) / bare:.2f}\n")
        print("| codec | ratio | with footer | footer | seal MB/s | verify MB/s | scan MB/s | a line | the footer |")
        print("|---|---|---|---|---|---|---|---|---|")
        for codec, level in VARIANTS:
            print(_row(measure(plain, codec, level, 1 if level == 19 else given.rounds)), flush=True)
        print()


def _row(found: Sealing) -> str:
    def speed(seconds: float) -> str:
        return f"{found.plain / seconds / 1e6:.0f}"

    return (
        f"| {found.codec.value} {found.level or 'default'} | {found.plain / found.packed:.2f} "
        f"| {found.plain / (found.packed + found.footer):.2f} | {found.footer:,} B | {speed(found.seal_s)} "
        f"| {speed(found.verify_s)} | {speed(found.scan_s)} | {found.line_s * 1e3:.1f} ms "
        f"| {found.footer_s * 1e3:.1f} ms |"
    )


def _plain_of(path: Path) -> bytes:
    data = path.read_bytes()
    return b"".join(SealedSegment(BytesSource(data)).chunks()) if path.suffix in {".zst", ".gz"} else data


def _median(function: Callable[[], T], rounds: int) -> tuple[float, T]:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


if __name__ == "__main__":
    main()
