"""The head of a footer: what a segment holds in a few numbers, readable without what stands before it.

It stands uncompressed behind the compressed columns, so that who counts records, or looks for one among many segments,
reads 200 bytes of each. Footers that have none are read whole.
"""

from __future__ import annotations

import struct

import msgspec

from iterlog.checksums import crc32
from iterlog.segments.limits import MAX_PLAIN_FOOTER

_MAGIC = b"head"
_TRAILER = struct.Struct("<II4s")  # CRC-32 and length of what stands before it
_FEWEST_BYTES = 8  # of the columns of one line


class FooterHead(msgspec.Struct, array_like=True, frozen=True):
    """The summary of a segment as it is stored; later versions append fields.

    Attributes:
        version: The footer's.
        count: How many lines readers are shown.
        records: How many of them hold a readable record.
        first_iteration: The number of the first readable record; None when there is none.
        last_iteration: The number of the last one.
        lowest_iteration: The lowest number.
        highest_iteration: The highest one.
        earliest: Microseconds from 1970 to the earliest timestamp; None when no record has one.
        latest: Those to the latest one.
        plain_size: Bytes of the plain file.
        plain_sha256: Their SHA-256.
        all_metrics: Whether every metric has a column.
        packed_size: Bytes of the frame or member that the footer speaks of.
        packed_end: The last bytes of those.
        begins_at: The number that the store gives the first line, or the first append; None when it is not said.
    """

    version: int
    count: int
    records: int
    first_iteration: int | None
    last_iteration: int | None
    lowest_iteration: int | None
    highest_iteration: int | None
    earliest: int | None
    latest: int | None
    plain_size: int
    plain_sha256: bytes
    all_metrics: bool
    packed_size: int
    packed_end: bytes
    begins_at: int | None = None


_decode = msgspec.msgpack.Decoder(FooterHead).decode


def head_bytes(head: FooterHead) -> bytes:
    """Return what stands behind the compressed columns."""
    data = msgspec.msgpack.encode(head)
    return data + _TRAILER.pack(crc32(data), len(data), _MAGIC)


def head_before(data: bytes, end: int) -> tuple[FooterHead, int] | None:
    """Return the head that ends at an offset, and where it begins; None when there is none to rely on."""
    if end < _TRAILER.size:
        return None
    checksum, length, magic = _TRAILER.unpack_from(data, end - _TRAILER.size)
    start = end - _TRAILER.size - length
    if magic != _MAGIC or start < 0:
        return None
    stored = data[start : end - _TRAILER.size]
    if crc32(stored) != checksum:
        return None
    try:
        head = _decode(stored)
    except msgspec.MsgspecError:
        return None
    return (head, start) if 0 <= head.records <= head.count <= MAX_PLAIN_FOOTER // _FEWEST_BYTES else None
