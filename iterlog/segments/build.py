"""Making a footer of plain bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from iterlog.files.lines_of import whole_appends
from iterlog.lines import DamagedLineError, decode_line, lines_to_follow, salvage
from iterlog.record import MAX_ITERATION, IterationRecord
from iterlog.segments.columns import hash_heads, measures, truths, whole_numbers
from iterlog.segments.footer import SegmentFooter
from iterlog.segments.index import EPOCH, MadeIndex, damage_code, moment_of
from iterlog.segments.splitting import split_lines
from iterlog.values import unwire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iterlog.segments.limits import Budget

MAX_METRICS = 256
"""How many names of metrics get a column."""

MAX_NAME = 200
"""How many characters such a name has at most."""

_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch
_MICROSECOND = dt.timedelta(microseconds=1)
_CHECKSUM = slice(-18, -10)  # of a line of ours: ,"crc":"0123abcd"}


class _Glance(msgspec.Struct):
    """What a footer takes of a line; the code stays undecoded, which takes a quarter of the time."""

    iteration: int
    timestamp: str
    code: msgspec.Raw
    code_hash: str | None
    metrics: dict[str, Any]
    success: bool


_glance = msgspec.json.Decoder(_Glance).decode


def build_footer(chunks: Iterable[bytes], budget: Budget) -> SegmentFooter:
    """Return the footer of plain bytes.

    Args:
        chunks: The bytes, in order.
        budget: Counts the lines.

    Raises:
        BeyondLimitsError: A line is too long, or there are too many.
    """
    rows = _Rows()
    digest = hashlib.sha256()
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    lines = split_lines(measured(), budget)
    for stop, line in whole_appends(lines, lambda _offset, _count: None):
        rows.add(stop - len(line) - 1, line)
    return rows.footer(size, digest.hexdigest())


class _Rows:
    """The columns while they grow."""

    def __init__(self) -> None:
        self.records = 0
        self.offsets: list[int] = []
        self.iterations: list[int | None] = []
        self.timestamps: list[int | None] = []
        self.successes: list[bool | None] = []
        self.code_hashes: list[str | None] = []
        self.damage = bytearray()
        self.metrics: dict[str, list[object]] = {}
        self.all_metrics = True

    def add(self, offset: int, line: bytes) -> None:
        """Take the next line that readers are shown."""
        kind, record = None, _glance_at(line)
        if record is None:
            try:
                record = decode_line(line)
            except DamagedLineError as damage:
                kind, record = damage.kind, salvage(line)
        self.offsets.append(offset)
        self.damage.append(damage_code(kind))
        if record is None:
            for column in (self.iterations, self.timestamps, self.successes, self.code_hashes):
                column.append(None)
            return
        self.records += 1
        number, moment, code_hash = record.iteration, record.timestamp, record.code_hash
        self.iterations.append(number if number is not None and number <= MAX_ITERATION else None)
        self.timestamps.append(None if moment is None else (moment - EPOCH) // _MICROSECOND)
        self.successes.append(record.success)
        self.code_hashes.append(code_hash if type(code_hash) is str and _is_hash(code_hash) else None)
        self._add_metrics(len(self.offsets) - 1, record.metrics)

    def _add_metrics(self, line: int, metrics: dict[str, Any]) -> None:
        for name, value in metrics.items():
            column = self.metrics.get(name)
            if column is None:
                if len(self.metrics) >= MAX_METRICS or len(name) > MAX_NAME:
                    self.all_metrics = False
                    continue
                column = self.metrics[name] = []
            if len(column) < line:
                column.extend([None] * (line - len(column)))
            column.append(value)

    def footer(self, size: int, sha256: str) -> SegmentFooter:
        """Return the footer of all lines taken."""
        count = len(self.offsets)
        numbers = [number for number in self.iterations if number is not None]
        times = [time for time in self.timestamps if time is not None]
        return SegmentFooter(
            plain_size=size,
            plain_sha256=sha256,
            count=count,
            records=self.records,
            first_iteration=numbers[0] if numbers else None,
            last_iteration=numbers[-1] if numbers else None,
            lowest_iteration=min(numbers, default=None),
            highest_iteration=max(numbers, default=None),
            earliest=moment_of(min(times, default=None)),
            latest=moment_of(max(times, default=None)),
            index=MadeIndex(
                {
                    "offsets": whole_numbers(self.offsets),
                    "iterations": whole_numbers(self.iterations),
                    "timestamps": whole_numbers(self.timestamps),
                    "successes": truths(self.successes),
                    "code_hashes": hash_heads(self.code_hashes),
                },
                bytes(self.damage),
                {name: measures([*column, *[None] * (count - len(column))]) for name, column in self.metrics.items()},
            ),
            all_metrics=self.all_metrics,
        )


def _glance_at(line: bytes) -> IterationRecord | None:
    """Return what a footer needs of a line that an iterlog wrote; None for any other line."""
    if line[_CHECKSUM] != b',"crc":"' or lines_to_follow(line) is None:
        return None
    try:
        line.decode()  # what msgspec passes over it does not check
        seen = _glance(line)
        moment = dt.datetime.fromisoformat(seen.timestamp)
    except (msgspec.MsgspecError, ValueError):
        return None
    if moment.tzinfo is not dt.UTC or seen.iteration < 0 or bytes(seen.code)[:1] not in {b'"', b"n"}:
        return None
    metrics = seen.metrics
    for value in metrics.values():
        if type(value) is not float and type(value) is not int:
            metrics = unwire(metrics)
            break
    return IterationRecord.from_stored(
        {
            "iteration": seen.iteration,
            "timestamp": moment,
            "code_hash": seen.code_hash,
            "metrics": metrics,
            "success": seen.success,
        }
    )
