"""The footer of a segment: its metric index, and how it stands in the file's last bytes.

    … frame or member | the codec's wrapping of: msgpack, compressed with zstd | CRC-32, length, "iterlog1"

The footer names the size of the frame and the last bytes of it, so one that stands behind another frame (files put
together with ``cat``, say) is never taken for this one's. It can always be made again from the lines: where it is
missing or damaged, reading is slower and nothing is lost.
"""

from __future__ import annotations

import datetime as dt
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import msgspec

from iterlog.errors import CorruptionError, UnsupportedOperationError
from iterlog.reports import FaultKind
from iterlog.segments.columns import Column, PackedColumn, pack_column, unpack_column
from iterlog.segments.limits import MAX_FOOTER, MAX_PLAIN_FOOTER
from iterlog.segments.packing import PACKINGS

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from iterlog.segments.packing import Packing
    from iterlog.segments.source import Source

VERSION = 1

FIRST_READ = 1 << 17
"""How much of a segment's end is asked for: the whole footer of 1,000 records with up to a dozen metrics."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
PACKED_END = 8

_MAGIC = b"iterlog1"
_TRAILER = struct.Struct("<II8s")
_LEVEL = 9
_INDEX_COLUMNS = {"offsets": "q", "iterations": "q", "timestamps": "q", "successes": "b", "code_hashes": "Q"}
"""Their names, and the array type codes of what they hold."""

_RISING = {"offsets", "iterations", "timestamps"}
_DAMAGE_CODES = {
    None: 0,
    FaultKind.NUL: 1,
    FaultKind.CHECKSUM: 2,
    FaultKind.JSON: 3,
    FaultKind.RECORD: 4,
}
_DAMAGE_KINDS = {code: kind for kind, code in _DAMAGE_CODES.items()}


@dataclass(frozen=True)
class SegmentFooter:
    """What a segment holds, without its code: one entry per line that a reader is shown, damaged ones included.

    Attributes:
        plain_size: Bytes of the plain file.
        plain_sha256: Their SHA-256 in hex.
        count: How many lines readers are shown.
        records: How many of them hold a readable record.
        first_iteration: The number of the first readable record; None when there is none.
        last_iteration: The number of the last one.
        highest_iteration: The highest number.
        earliest: The earliest timestamp; None when no record has one.
        latest: The latest one.
        offsets: Where each line begins in the plain bytes.
        iterations: The records' numbers; None for a damaged line.
        timestamps: Microseconds since 1970 in UTC.
        successes: Whether each ran without error.
        code_hashes: The first 16 hex digits of each ``code_hash``; the record has all 64.
        damage: Each line's `FaultKind` as a code; see `fault_of`.
        metrics: A column per name, in order of appearance.
        all_metrics: Whether every name has a column; False when there are too many, or too long ones.
        packed_size: Bytes of the frame or member; 0 when it was not sealed.
        packed_end: The last bytes of those, where the checksums stand.
    """

    plain_size: int
    plain_sha256: str
    count: int
    records: int
    first_iteration: int | None
    last_iteration: int | None
    highest_iteration: int | None
    earliest: dt.datetime | None
    latest: dt.datetime | None
    offsets: Column[int]
    iterations: Column[int]
    timestamps: Column[int]
    successes: Column[bool]
    code_hashes: Column[str]
    damage: bytes
    metrics: Mapping[str, Column[float]] = field(default_factory=dict)
    all_metrics: bool = True
    packed_size: int = 0
    packed_end: bytes = b""

    def fault_of(self, line: int) -> FaultKind | None:
        """Return what is wrong with a line, or None."""
        return _DAMAGE_KINDS[self.damage[line]]

    def time_of(self, line: int) -> dt.datetime | None:
        """Return when a line's record was made."""
        return moment_of(self.timestamps[line])

    def line_of(self, iteration: int) -> int | None:
        """Return which line, counted from 0, holds the newest record with a number."""
        for line in range(self.count - 1, -1, -1):
            if self.iterations[line] == iteration:
                return line
        return None


def moment_of(microseconds: int | None) -> dt.datetime | None:
    """Return the time so many microseconds after 1970."""
    return None if microseconds is None else EPOCH + dt.timedelta(microseconds=microseconds)


def damage_code(kind: FaultKind | None) -> int:
    """Return how a line's damage is stored."""
    return _DAMAGE_CODES[kind]


class _Stored(msgspec.Struct):
    """The footer as it is stored: keys of later versions are passed over."""

    version: int
    plain_size: int
    plain_sha256: bytes
    count: int
    records: int
    first_iteration: int | None
    last_iteration: int | None
    highest_iteration: int | None
    earliest: int | None
    latest: int | None
    damage: bytes
    packed_size: int
    packed_end: bytes
    all_metrics: bool
    index: dict[str, PackedColumn]
    metrics: list[tuple[bytes, PackedColumn]]


class _Versioned(msgspec.Struct):
    version: int


def footer_bytes(footer: SegmentFooter, packing: Packing) -> bytes:
    """Return what follows the frame or member in the file.

    Raises:
        UnsupportedOperationError: The footer is too long; seal fewer records.
    """
    import zstandard  # noqa: PLC0415 - see frames

    def microseconds(moment: dt.datetime | None) -> int | None:
        return None if moment is None else (moment - EPOCH) // dt.timedelta(microseconds=1)

    stored = _Stored(
        version=VERSION,
        plain_size=footer.plain_size,
        plain_sha256=bytes.fromhex(footer.plain_sha256),
        count=footer.count,
        records=footer.records,
        first_iteration=footer.first_iteration,
        last_iteration=footer.last_iteration,
        highest_iteration=footer.highest_iteration,
        earliest=microseconds(footer.earliest),
        latest=microseconds(footer.latest),
        damage=footer.damage,
        packed_size=footer.packed_size,
        packed_end=footer.packed_end,
        all_metrics=footer.all_metrics,
        index={name: pack_column(getattr(footer, name), rising=name in _RISING) for name in _INDEX_COLUMNS},
        metrics=[
            (name.encode("utf-8", "surrogatepass"), pack_column(column)) for name, column in footer.metrics.items()
        ],
    )
    plain = msgspec.msgpack.encode(stored)
    packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(plain)
    if len(plain) > MAX_PLAIN_FOOTER or len(packed) > MAX_FOOTER:
        raise UnsupportedOperationError(f"the footer of {footer.count:,} records is too long; seal fewer at a time")
    return packing.wrap_footer(_with_trailer(packed))


def read_footer(source: Source, *, first_read: int = FIRST_READ) -> SegmentFooter | None:
    """Return the footer of a segment: one read of its end, a second one only when it is longer.

    Args:
        source: The segment.
        first_read: How many bytes to read first.

    Returns:
        None when there is none of this version: another program made or changed the file.

    Raises:
        CorruptionError: There is one, and it is damaged. The lines can still be read.
    """
    tail, size = source.tail(first_read)
    for packing in PACKINGS:
        end = len(tail) - len(packing.BEHIND_FOOTER)
        if tail[max(end, 0) :] == packing.BEHIND_FOOTER and tail[:end].endswith(_MAGIC) and end >= _TRAILER.size:
            break
    else:
        return None
    length = _TRAILER.unpack_from(tail, end - _TRAILER.size)[1]
    wrapped_size = packing.wrapped_size(length + _TRAILER.size)
    if length > MAX_FOOTER or wrapped_size > size:
        raise CorruptionError(f"the segment's footer says that it has {length:,} bytes, which cannot be")
    wanted = min(size, wrapped_size + PACKED_END)
    if wanted > len(tail):
        tail = source.read_at(size - wanted, wanted)
    wrapped = tail[len(tail) - wrapped_size :]
    packed = packing.unwrap_footer(wrapped)[: -_TRAILER.size]
    if packing.wrap_footer(_with_trailer(packed)) != wrapped:
        raise CorruptionError("the segment's footer is damaged")
    footer = _decoded(packed)
    before = tail[: len(tail) - wrapped_size][-PACKED_END:]
    if footer is None or footer.packed_size != size - wrapped_size or not before.endswith(footer.packed_end):
        return None
    return footer


def _with_trailer(packed: bytes) -> bytes:
    return packed + _TRAILER.pack(zlib.crc32(packed), len(packed), _MAGIC)


def _decoded(packed: bytes) -> SegmentFooter | None:
    import zstandard  # noqa: PLC0415

    try:
        if zstandard.frame_content_size(packed) not in range(MAX_PLAIN_FOOTER + 1):
            raise CorruptionError("the segment's footer is too long")
        plain = zstandard.ZstdDecompressor().decompress(packed)
        if msgspec.msgpack.decode(plain, type=_Versioned).version != VERSION:
            return None
        return _footer_of(msgspec.msgpack.decode(plain, type=_Stored))
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError, OverflowError, KeyError) as error:
        raise CorruptionError(f"the segment's footer cannot be decoded ({error})") from error


def _footer_of(stored: _Stored) -> SegmentFooter:
    count = stored.count
    columns = {name: unpack_column(stored.index[name], count) for name in _INDEX_COLUMNS}
    metrics = {
        name.decode("utf-8", "surrogatepass"): column
        for name, packed in stored.metrics
        if (column := unpack_column(packed, count)) is not None
    }
    types = {name: None if column is None else column.values.typecode for name, column in columns.items()}
    if len(stored.damage) != count or types != _INDEX_COLUMNS or not set(stored.damage) <= _DAMAGE_KINDS.keys():
        raise CorruptionError("the segment's footer does not fit itself")
    times = cast("Column[int]", columns["timestamps"])
    for extreme in (min, max):
        moment_of(extreme(cast("array[int]", times.values), default=0))  # beyond what a datetime holds: OverflowError
    return SegmentFooter(
        plain_size=stored.plain_size,
        plain_sha256=stored.plain_sha256.hex(),
        count=count,
        records=stored.records,
        first_iteration=stored.first_iteration,
        last_iteration=stored.last_iteration,
        highest_iteration=stored.highest_iteration,
        earliest=moment_of(stored.earliest),
        latest=moment_of(stored.latest),
        offsets=cast("Column[int]", columns["offsets"]),
        iterations=cast("Column[int]", columns["iterations"]),
        timestamps=times,
        successes=cast("Column[bool]", columns["successes"]),
        code_hashes=cast("Column[str]", columns["code_hashes"]),
        damage=stored.damage,
        metrics=metrics,
        all_metrics=stored.all_metrics,
        packed_size=stored.packed_size,
        packed_end=stored.packed_end,
    )
