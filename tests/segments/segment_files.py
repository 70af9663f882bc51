"""What the tests of sealed segments build segments of, and how they look at what a reader makes of them."""

from __future__ import annotations

import datetime as dt
import functools
import math
import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from iterlog import CorruptionError, IterationRecord
from iterlog.lines import DamagedLineError, decode_line, encode_body, finish_line, finish_lines, salvage
from iterlog.segments.packing import Codec
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from iterlog.segments.footer import SegmentFooter

CODECS = list(Codec)
MOMENT = dt.datetime(2025, 1, 9, 12, 34, 56, 789012, tzinfo=dt.UTC)

TINY = [
    IterationRecord(number, "x = 1", {"loss": number / 3}, "go on", timestamp=MOMENT, id=f"{number:016x}")
    for number in range(3)
]


def line_of(number: int, metrics: dict[str, Any] | None = None, code: str | None = "x = 1", **fields: Any) -> bytes:
    """Make the line of a record."""
    record = IterationRecord(number, code, metrics or {}, "go on", **{"timestamp": MOMENT, **fields})
    return finish_line(number, encode_body(record))


def batch_of(*numbers: int, codes: Sequence[str | None] = ()) -> list[bytes]:
    """Make the lines of one append of several records."""
    bodies = []
    for number, code in zip(numbers, codes or [None] * len(numbers), strict=True):
        bodies.append((number, encode_body(IterationRecord(number, code, {}, "", timestamp=MOMENT))))
    return finish_lines(bodies)


def plain_of(lines: Iterable[bytes]) -> bytes:
    """Make a plain file of lines."""
    return b"".join(line + b"\n" for line in lines)


def tiny() -> bytes:
    """Make the plain bytes of the smallest segment that has everything."""
    return plain_of(finish_line(record.iteration or 0, encode_body(record)) for record in TINY)


@functools.cache
def loop_of(count: int, *, metrics: int = 6, seed: int = 1) -> bytes:
    """Make the plain bytes of a loop whose code changes a little each time and whose metrics have all their digits."""
    rng = random.Random(seed)
    code = [f"    value_{i} = window[-{rng.randint(1, 250)}] * {rng.random():.4f}\n" for i in range(80)]
    lines = []
    for number in range(count):
        code[rng.randrange(80)] = f"    value = window[-{rng.randint(1, 250)}] * {rng.random():.4f}\n"
        values = {f"metric_{i}": rng.gauss(1, 0.5) for i in range(metrics)}
        when = MOMENT + dt.timedelta(seconds=60 * number + rng.random())
        lines.append(line_of(number, values, "".join(code), timestamp=when, id=f"{rng.getrandbits(64):016x}"))
    return plain_of(lines)


class CountedSource(BytesSource):
    """Bytes in memory that note what is asked of them."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []
        self.tails: list[int] = []

    def read_at(self, offset: int, length: int) -> bytes:
        """Note and read."""
        self.reads.append((offset, length))
        return super().read_at(offset, length)

    def tail(self, length: int) -> tuple[bytes, int]:
        """Note and read."""
        self.tails.append(length)
        return super().tail(length)


def segment(sealed: bytes) -> SealedSegment:
    """Open a segment in memory."""
    return SealedSegment(BytesSource(sealed))


def plain_lines(plain: bytes) -> list[bytes]:
    """Return the lines of plain bytes that are not blank."""
    return [line for line in plain.split(b"\n") if line.strip()]


def what_reads(sealed: bytes) -> tuple[list[bytes], CorruptionError | None]:
    """Return the lines that come out of a segment, and the error they end in."""
    lines: list[bytes] = []
    try:
        for _, line in segment(sealed).lines():
            lines.append(line)
    except CorruptionError as error:
        return lines, error
    return lines, None


def check_rows(lines: list[bytes], footer: SegmentFooter) -> None:
    """Compare a footer with what decoding each line of its segment gives."""
    assert footer.count == len(lines)
    records = 0
    for row, line in enumerate(lines):
        fault, record = None, None
        try:
            record = decode_line(line)
        except DamagedLineError as damage:
            fault, record = damage.kind, salvage(line)
        assert footer.fault_of(row) == fault
        records += record is not None
        moment = record.timestamp if record else None
        assert footer.iterations[row] == (record.iteration if record else None)
        assert footer.time_of(row) == moment
        assert footer.successes[row] is (record.success if record else None)
        assert footer.code_hashes[row] == (record.code_hash[:16] if record and record.code_hash else None)
        for name, column in footer.metrics.items():
            value = record.metrics.get(name) if record else None
            if column[row] is None:
                assert type(value) not in {int, float} or column.others
            else:
                assert column[row] == value or same_number(column[row], value)
        assert not record or record.metrics.keys() <= footer.metrics.keys()
    assert footer.records == records


def tool(name: str) -> str:
    """Return the path of a command line tool, or skip; on a build machine it must be there."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed: apt-get install {name}")
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return path


def same_number(left: object, right: object) -> bool:
    """Whether two numbers are the same to the bit, NaN and the sign of zero included."""
    if isinstance(left, float) and isinstance(right, float):
        return left.hex() == right.hex() if left == left else math.isnan(right)  # noqa: PLR0124
    return left == right and isinstance(left, bool) == isinstance(right, bool)
