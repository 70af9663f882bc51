"""gzip: one member with the plain bytes, then empty members whose extra fields carry the footer (RFC 1952).

An extra field holds 64 KiB, and DuckDB reads no header over 32 KiB; a footer may be longer, so there are as many
members as it takes. They stand behind the plain bytes, so that one read of the end gives them, as with zstd.

Reading also takes what other programs write: many members, names and comments in headers.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from iterlog.errors import ConfigError, CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog.segments.packing import Compressor, Decompressor
    from iterlog.segments.source import Cursor

SUFFIX = ".gz"
DEFAULT_LEVEL = 6

MAGICS: tuple[bytes, ...] = (b"\x1f\x8b\x08",)
"""What a member begins with."""

BEHIND_FOOTER = b"\x03\x00" + bytes(8)
"""How an empty member ends: no data, the CRC-32 of none, the size of none."""

_HEADER = struct.Struct("<10sH2sH")
_HEADER_START = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff"  # an extra field, no time, any system: the same every time
_SUBFIELD = b"IL"
_MAX_FIELD = 30_000

_GZIP_FORMAT = 31  # of zlib's wbits: a gzip member, a window of 32 KiB
_FAST_LEVEL = 3
_MAX_LEVEL = 9

# 1,032 times as much at most, and the decoder makes whatever it is given in one go.
_PIECE = 1 << 13


def compressor(level: int | None, size: int) -> Compressor:  # noqa: ARG001 - zstd needs the size
    """Return what makes one member.

    Args:
        level: 1 to 9; None for isal, several times as fast and a tenth to a quarter larger, where it is installed,
            and 6 elsewhere.
        size: How many plain bytes there are.

    Raises:
        ConfigError: There is no such level.
    """
    if level is None:
        try:
            from isal import isal_zlib  # noqa: PLC0415 - optional
        except ImportError:
            level = DEFAULT_LEVEL
        else:
            return isal_zlib.compressobj(_FAST_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
    if not 1 <= level <= _MAX_LEVEL:
        raise ConfigError(f"gzip has no level {level}; give 1 to {_MAX_LEVEL}")
    return zlib.compressobj(level, zlib.DEFLATED, _GZIP_FORMAT)


def decompressor() -> Decompressor:
    """Return what reads the members of one file, one after the other.

    It raises CorruptionError where a member is damaged or cut short.
    """
    return _read_member


def _read_member(cursor: Cursor) -> Iterator[tuple[int, bytes]]:
    decoder = zlib.decompressobj(_GZIP_FORMAT)
    while not decoder.eof:
        piece = cursor.peek(_PIECE)
        if not piece:
            raise CorruptionError("the gzip member is cut short")
        try:
            plain = decoder.decompress(piece)
        except zlib.error as error:
            raise CorruptionError(f"the gzip member is damaged ({error})") from error
        read = len(piece) - len(decoder.unused_data)
        cursor.move(read)
        yield read, plain


def wrap_footer(payload: bytes) -> bytes:
    """Return the bytes that carry a footer behind the member."""
    step = _step(len(payload))
    return b"".join(_empty_member(payload[start : start + step]) for start in range(0, len(payload), step))


def wrapped_size(payload_size: int) -> int:
    """Return how many bytes carry a footer of some size."""
    members = -(-payload_size // _step(payload_size))
    return payload_size + members * (_HEADER.size + len(BEHIND_FOOTER))


def unwrap_footer(wrapped: bytes) -> bytes:
    """Return the footer that some bytes carry, if they are what `wrap_footer` returned."""
    payload, start = [], 0
    while start + _HEADER.size < len(wrapped):
        size = _HEADER.unpack_from(wrapped, start)[3]
        start += _HEADER.size
        payload.append(wrapped[start : start + size])
        start += size + len(BEHIND_FOOTER)
    return b"".join(payload)


def _empty_member(field: bytes) -> bytes:
    return _HEADER.pack(_HEADER_START, len(field) + 4, _SUBFIELD, len(field)) + field + BEHIND_FOOTER


def _step(payload_size: int) -> int:
    """Return how much of a footer each member carries, the last one about as much as the others.

    What stands at the very end of the footer is then never split.
    """
    members = -(-payload_size // _MAX_FIELD)
    return -(-payload_size // members)
