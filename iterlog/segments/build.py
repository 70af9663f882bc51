"""Making a footer of plain bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from iterlog.checksums import crc32
from iterlog.lines import DamagedLineError, decode_line, salvage
from iterlog.record import MAX_ITERATION
from iterlog.segments.columns import hash_heads, measures, truths, whole_numbers
from iterlog.segments.footer import SegmentFooter
from iterlog.segments.index import EPOCH, MadeIndex, damage_code, moment_of
from iterlog.segments.splitting import split_blocks, whole_blocks
from iterlog.values import unwire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from iterlog.segments.limits import Budget
    from iterlog.segments.splitting import LineBlock

MAX_METRICS = 256
"""How many names of metrics get a column."""

MAX_NAME = 200
"""How many characters such a name has at most."""

_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch
_fromisoformat = dt.datetime.fromisoformat
_CHECKSUM_SIZE = 18  # of a line of ours: ,"crc":"0123abcd"}
_CHECKSUM_KEY = b',"crc":"'
_DAY = 86_400_000_000
_SECOND = 1_000_000
_WHOLE = damage_code(None)


class _Glance(msgspec.Struct, gc=False):
    """What a footer takes of a line; the code stays undecoded, which takes a quarter of the time."""

    iteration: int
    timestamp: str
    code: msgspec.Raw
    code_hash: str | None
    metrics: dict[str, Any]
    success: bool


_glance = msgspec.json.Decoder(_Glance).decode


class _Row(NamedTuple):
    """What the columns say of a line; nothing but the damage where it holds no record."""

    damage: int
    iteration: int | None = None
    timestamp: int | None = None
    success: bool | None = None
    code_hash: str | None = None
    metrics: dict[str, Any] | None = None


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

    for block in whole_blocks(split_blocks(measured(), budget)):
        rows.take(block)
    return rows.footer(size, digest.hexdigest())


class _Rows:
    """The columns while they grow."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.iterations: list[int | None] = []
        self.timestamps: list[int | None] = []
        self.successes: list[bool | None] = []
        self.code_hashes: list[str | None] = []
        self.damage = bytearray()
        self.metrics: dict[str, list[object]] = {}
        self.all_metrics = True
        self.records = 0

    def take(self, block: LineBlock) -> None:
        """Take the next lines that readers are shown."""
        before = len(self.offsets)
        self.offsets += [stop - len(line) - 1 for stop, line in zip(block.stops, block.lines, strict=True)]
        rows = [_glance_at(line) or _look_at(line) for line in block.lines]
        damage, iterations, timestamps, successes, code_hashes, metrics = zip(*rows, strict=True)
        self.damage += bytes(damage)
        self.iterations += iterations
        self.timestamps += timestamps
        self.successes += successes
        self.code_hashes += code_hashes
        self.records += sum(found is not None for found in metrics)
        if not self._add_alike(before, metrics):
            for line, found in enumerate(metrics, before):
                self._add_metrics(line, found or {})

    def _add_alike(self, before: int, rows: Sequence[dict[str, Any] | None]) -> bool:
        """Add the metrics of lines that have all those known, and no other; return whether they do."""
        count = len(self.metrics)
        if any(found is None or len(found) != count for found in rows):
            return False
        try:
            values = [[found[name] for found in rows if found is not None] for name in self.metrics]
        except KeyError:
            return False
        for column, more in zip(self.metrics.values(), values, strict=True):
            column.extend([None] * (before - len(column)))
            column.extend(more)
        return True

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


def _glance_at(line: bytes) -> tuple[Any, ...] | None:
    """Return the `_Row` of a line that an iterlog wrote and nothing damaged; None for any other line."""
    tail = line[-_CHECKSUM_SIZE:]
    if tail[:8] != _CHECKSUM_KEY or b"%08x" % crc32(memoryview(line)[:-_CHECKSUM_SIZE]) != tail[8:16]:
        return None
    try:
        if not line.isascii():
            line.decode()  # what msgspec passes over it does not check
        seen = _glance(line)
        moment = _fromisoformat(seen.timestamp)
    except (msgspec.MsgspecError, ValueError):
        return None
    if moment.tzinfo is not dt.UTC or not 0 <= seen.iteration <= MAX_ITERATION or memoryview(seen.code)[0] not in b'"n':
        return None
    metrics = seen.metrics
    for value in metrics.values():
        if type(value) is not float and type(value) is not int:
            metrics = unwire(metrics)
            break
    return (_WHOLE, seen.iteration, _microseconds(moment), seen.success, _hash_or_none(seen.code_hash), metrics)


def _look_at(line: bytes) -> _Row:
    """Return what there is to say of any line."""
    kind = None
    try:
        record = decode_line(line)
    except DamagedLineError as damage:
        kind, found = damage.kind, salvage(line)
        if found is None:
            return _Row(damage_code(kind))
        record = found
    number, moment = record.iteration, record.timestamp
    return _Row(
        damage_code(kind),
        number if number is not None and number <= MAX_ITERATION else None,
        None if moment is None else _microseconds(moment),
        record.success,
        _hash_or_none(record.code_hash),
        record.metrics,
    )


def _microseconds(moment: dt.datetime) -> int:
    since = moment - EPOCH
    return since.days * _DAY + since.seconds * _SECOND + since.microseconds


def _hash_or_none(code_hash: object) -> str | None:
    return code_hash if type(code_hash) is str and _is_hash(code_hash) else None
