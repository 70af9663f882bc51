"""The footer of a segment: its metric index, and how it stands in the file's last bytes.

    … frame or member | the codec's wrapping of: msgpack, compressed with zstd; head | CRC-32, length, "iterlog1"

The footer names the size of the frame and the last bytes of it, so one that stands behind another frame (files put
together with ``cat``, say) is never taken for this one's. It can always be made again from the lines: where it is
missing or damaged, reading is slower and nothing is lost.
"""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from iterlog.checksums import crc32
from iterlog.errors import CorruptionError
from iterlog.segments.head import FooterHead, head_before, head_bytes
from iterlog.segments.index import (
    EPOCH,
    SUMMARY,
    VERSION,
    Index,
    LaterVersionError,
    StoredFooter,
    StoredIndex,
    encoded,
    kind_of_damage,
    moment_of,
    packed_index,
    packed_metrics,
)
from iterlog.segments.limits import MAX_FOOTER
from iterlog.segments.packing import PACKINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iterlog.reports import FaultKind
    from iterlog.segments.columns import Column
    from iterlog.segments.packing import Packing
    from iterlog.segments.source import Source

FIRST_READ = 1 << 17
"""How much of a segment's end is asked for: the whole footer of 1,000 records with up to a dozen metrics."""

HEAD_READ = 1 << 10
"""How much is asked for where only the head is wanted, or a second read costs nothing."""

PACKED_END = 8

_MAGIC = b"iterlog1"
_TRAILER = struct.Struct("<II8s")


@dataclass(frozen=True)
class SegmentFooter:
    """What a segment holds, without its code: one entry per line that a reader is shown, damaged ones included.

    The columns are unpacked when they are first asked for. Bytes that are no footer, although their checksums say so,
    can raise a CorruptionError then.

    Attributes:
        plain_size: Bytes of the plain file.
        plain_sha256: Their SHA-256 in hex.
        count: How many lines readers are shown.
        records: How many of them hold a readable record.
        first_iteration: The number of the first readable record; None when there is none.
        last_iteration: The number of the last one.
        lowest_iteration: The lowest number.
        highest_iteration: The highest number.
        earliest: The earliest timestamp; None when no record has one.
        latest: The latest one.
        index: The columns.
        all_metrics: Whether every name has a column; False when there are too many, or too long ones.
        packed_size: Bytes of the frame or member; 0 when it was not sealed.
        packed_end: The last bytes of those, where the checksums stand.
        begins_at: The number under which a store keeps the segment's first line, or its first append; None when who
            sealed it did not say. Lines do not tell their place: a segment that was copied or renamed does by this.
    """

    plain_size: int
    plain_sha256: str
    count: int
    records: int
    first_iteration: int | None
    last_iteration: int | None
    lowest_iteration: int | None
    highest_iteration: int | None
    earliest: dt.datetime | None
    latest: dt.datetime | None
    index: Index
    all_metrics: bool = True
    packed_size: int = 0
    packed_end: bytes = b""
    begins_at: int | None = None

    @property
    def offsets(self) -> Column[int]:
        """Where each line begins in the plain bytes."""
        return self.index.columns["offsets"]

    @property
    def iterations(self) -> Column[int]:
        """The records' numbers; None for a damaged line."""
        return self.index.columns["iterations"]

    @property
    def timestamps(self) -> Column[int]:
        """Microseconds since 1970 in UTC."""
        return self.index.columns["timestamps"]

    @property
    def successes(self) -> Column[bool]:
        """Whether each ran without error."""
        return self.index.columns["successes"]

    @property
    def code_hashes(self) -> Column[str]:
        """The first 16 hex digits of each ``code_hash``; the record has all 64."""
        return self.index.columns["code_hashes"]

    @property
    def damage(self) -> bytes:
        """Each line's `FaultKind` as a code; see `fault_of`."""
        return self.index.damage

    @property
    def metrics(self) -> Mapping[str, Column[float]]:
        """A column per name, in order of appearance."""
        return self.index.metrics

    def fault_of(self, line: int) -> FaultKind | None:
        """Return what is wrong with a line, or None."""
        return kind_of_damage(self.damage[line])

    def time_of(self, line: int) -> dt.datetime | None:
        """Return when a line's record was made."""
        return moment_of(self.timestamps[line])

    def line_of(self, iteration: int) -> int | None:
        """Return which line, counted from 0, holds the newest record with a number."""
        return self.iterations.last_index(iteration)


def footer_bytes(footer: SegmentFooter, packing: Packing) -> bytes:
    """Return what follows the frame or member in the file.

    Raises:
        UnsupportedOperationError: The footer is too long; seal fewer records.
    """
    summary: dict[str, Any] = {
        "version": VERSION,
        "plain_size": footer.plain_size,
        "plain_sha256": bytes.fromhex(footer.plain_sha256),
        "count": footer.count,
        "records": footer.records,
        "first_iteration": footer.first_iteration,
        "last_iteration": footer.last_iteration,
        "highest_iteration": footer.highest_iteration,
        "earliest": _microseconds(footer.earliest),
        "latest": _microseconds(footer.latest),
        "all_metrics": footer.all_metrics,
        "packed_size": footer.packed_size,
        "packed_end": footer.packed_end,
        "begins_at": footer.begins_at,
    }
    stored = StoredFooter(
        **summary, damage=footer.damage, index=packed_index(footer.index), metrics=packed_metrics(footer.index)
    )
    head = FooterHead(**summary, lowest_iteration=footer.lowest_iteration)
    return packing.wrap_footer(_with_trailer(encoded(stored) + head_bytes(head)))


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
    place = _placed(tail, size)
    if place is None:
        return None
    wanted = min(size, place.wrapped_size + PACKED_END)
    if wanted > len(tail):
        tail = source.read_at(size - wanted, wanted)
    wrapped = tail[len(tail) - place.wrapped_size :]
    packed = place.packing.unwrap_footer(wrapped)[: -_TRAILER.size]
    if place.packing.wrap_footer(_with_trailer(packed)) != wrapped:
        raise CorruptionError("the segment's footer is damaged")
    try:
        footer = _footer_of(packed)
    except LaterVersionError:
        return None
    before = tail[: len(tail) - place.wrapped_size][-PACKED_END:]
    is_of_this = footer.packed_size == size - place.wrapped_size and before.endswith(footer.packed_end)
    return footer if is_of_this else None


def read_head(source: Source) -> FooterHead | None:
    """Return the head of a segment's footer, or None where only `read_footer` can tell: two small reads."""
    tail, size = source.tail(HEAD_READ)
    try:
        place = _placed(tail, size)
    except CorruptionError:
        return None
    found = None if place is None else head_before(tail, place.end)
    if place is None or found is None:
        return None
    head = found[0]
    if head.version != VERSION or head.packed_size != size - place.wrapped_size or len(head.packed_end) > PACKED_END:
        return None
    before = source.read_at(max(0, head.packed_size - PACKED_END), min(PACKED_END, head.packed_size))
    return head if before.endswith(head.packed_end) else None


class _Place(NamedTuple):
    """Where a footer stands.

    Attributes:
        packing: What carries it.
        wrapped_size: How many bytes at the end of the file that takes.
        end: The offset, in what was read, of the footer's own last bytes.
    """

    packing: Packing
    wrapped_size: int
    end: int


def _placed(tail: bytes, size: int) -> _Place | None:
    """Find a footer by the last bytes of a file.

    Raises:
        CorruptionError: It is longer than can be.
    """
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
    return _Place(packing, wrapped_size, end - _TRAILER.size)


def _with_trailer(packed: bytes) -> bytes:
    return packed + _TRAILER.pack(crc32(packed), len(packed), _MAGIC)


def _footer_of(packed: bytes) -> SegmentFooter:
    """Return the footer of its compressed bytes and its head; what has no head is unpacked to make one."""
    head, start = head_before(packed, len(packed)) or (None, len(packed))
    index = StoredIndex(packed[:start], head)
    if head is None:
        index.unpack()
        summary = {name: getattr(index.stored, name) for name in SUMMARY}
        lowest = min((number for number in index.columns["iterations"] if number is not None), default=None)
        head = FooterHead(**summary, lowest_iteration=lowest)
    if head.version != VERSION:
        raise LaterVersionError("the segment's footer is one of a later version")
    return SegmentFooter(
        plain_size=head.plain_size,
        plain_sha256=head.plain_sha256.hex(),
        count=head.count,
        records=head.records,
        first_iteration=head.first_iteration,
        last_iteration=head.last_iteration,
        lowest_iteration=head.lowest_iteration,
        highest_iteration=head.highest_iteration,
        earliest=moment_of(head.earliest),
        latest=moment_of(head.latest),
        index=index,
        all_metrics=head.all_metrics,
        packed_size=head.packed_size,
        packed_end=head.packed_end,
        begins_at=head.begins_at,
    )


def _microseconds(moment: dt.datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // dt.timedelta(microseconds=1)
