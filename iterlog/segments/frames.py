"""zstd: one frame with the plain bytes, then one skippable frame with the footer (RFC 8878).

Reading also takes what other programs write: many frames, skippable ones anywhere, no content size, no checksum.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from iterlog.errors import ConfigError, CorruptionError
from iterlog.segments.limits import MAX_WINDOW, BeyondLimitsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import zstandard

    from iterlog.segments.packing import Compressor, Decompressor
    from iterlog.segments.source import Cursor

SUFFIX = ".zst"
DEFAULT_LEVEL = 9

MAGICS = (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)))
"""What a frame begins with; all but the first are skippable ones."""

BEHIND_FOOTER = b""

_FRAME = MAGICS[0]
_SKIPPABLE_HEADER = struct.Struct("<4sI")
_FOOTER_MAGIC = b"\x51\x2a\x4d\x18"
_LONGEST_HEADER = 18
_LAST_LAZY_LEVEL = 12
_MAX_LEVEL = 22

# A block of 128 KiB can stand in four bytes, and the decoder makes whatever it is given in one go: so it is given whole
# blocks, 256 KiB of them, so that what it makes stays in the processor's cache.
_PIECE = 1 << 16
_BLOCKS_AT_ONCE = 2
_BLOCK_HEADER = 3
_RUN = 1  # the type of a block that is one byte repeated
_CHECKSUM = 4


def compressor(level: int | None, size: int) -> Compressor:
    """Return what makes one frame.

    Args:
        level: 1 to 22; None for 9.
        size: How many plain bytes there are.

    Raises:
        ConfigError: There is no such level.
    """
    import zstandard  # noqa: PLC0415 - 12 ms that a plain file should not pay

    level = DEFAULT_LEVEL if level is None else level
    if not 1 <= level <= _MAX_LEVEL:
        raise ConfigError(f"zstd has no level {level}; give 1 to {_MAX_LEVEL}")
    chosen: dict[str, int] = {}
    if level <= _LAST_LAZY_LEVEL:
        # Code that evolves repeats in long stretches: 3 to 9 % smaller than with the default of 5, and faster. The
        # slower levels weigh short matches against long ones by themselves.
        chosen["min_match"] = 6
    if size > 1 << 22:
        chosen["window_log"] = 23  # the parent of a record may stand anywhere in a segment of 8 MiB
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=size, write_checksum=1, write_content_size=1, **chosen
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size)


def decompressor() -> Decompressor:
    """Return what reads the frames of one file, one after the other.

    It raises CorruptionError where a frame is damaged or cut short, BeyondLimitsError where one asks for too much
    memory.
    """
    import zstandard  # noqa: PLC0415

    zstd = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)  # 16 µs, and the frames may be tiny

    def read_part(cursor: Cursor) -> Iterator[tuple[int, bytes]]:
        return _read_frame(cursor, zstd) if cursor.peek(4) == _FRAME else _skip_frame(cursor)

    return read_part


def _read_frame(cursor: Cursor, zstd: zstandard.ZstdDecompressor) -> Iterator[tuple[int, bytes]]:
    import zstandard  # noqa: PLC0415

    header = cursor.peek(_LONGEST_HEADER)
    _check_header(header)
    to_block = zstandard.frame_header_size(header)  # from the cursor to where the next block begins
    decoder = zstd.decompressobj()
    while not decoder.eof:
        piece, to_block = _whole_blocks(cursor.peek(_PIECE), to_block)
        if not piece:
            raise CorruptionError("the zstd frame is cut short")
        try:
            plain = decoder.decompress(piece)
        except zstandard.ZstdError as error:
            raise CorruptionError(f"the zstd frame is damaged ({error})") from error
        read = len(piece) - len(decoder.unused_data)
        cursor.move(read)
        yield read, plain


def _whole_blocks(data: bytes, to_block: int) -> tuple[bytes, int]:
    """Return what to decode next of some bytes, and how far behind that the next block begins."""
    for _ in range(_BLOCKS_AT_ONCE):
        if to_block + _BLOCK_HEADER > len(data):
            break
        header = int.from_bytes(data[to_block : to_block + _BLOCK_HEADER], "little")
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        to_block += _BLOCK_HEADER + (1 if kind == _RUN else size)
        if is_last:
            to_block += _CHECKSUM
            break
    end = to_block or len(data)  # not even a header is there: the frame ends here
    return data[:end], max(0, to_block - len(data))


def _check_header(header: bytes) -> None:
    import zstandard  # noqa: PLC0415

    try:
        frame = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError as error:
        raise CorruptionError(f"the zstd frame's header is damaged or cut short ({error})") from error
    if frame.window_size > MAX_WINDOW:
        raise BeyondLimitsError(
            f"the zstd frame asks its reader for {frame.window_size:,} bytes of memory, more than {MAX_WINDOW:,}; if "
            "you trust it, compress it again with zstd --long=27 or less"
        )
    if frame.dict_id:
        raise CorruptionError(f"the zstd frame needs dictionary {frame.dict_id}; decompress it with that, by hand")


def _skip_frame(cursor: Cursor) -> Iterator[tuple[int, bytes]]:
    header = cursor.peek(_SKIPPABLE_HEADER.size)
    if len(header) < _SKIPPABLE_HEADER.size:
        raise CorruptionError("the skippable frame is cut short")
    length = len(header) + _SKIPPABLE_HEADER.unpack(header)[1]
    if not cursor.skip(length):
        raise CorruptionError("the skippable frame is cut short, or its length is damaged")
    yield length, b""


def wrap_footer(payload: bytes) -> bytes:
    """Return the bytes that carry a footer behind the frame."""
    return _SKIPPABLE_HEADER.pack(_FOOTER_MAGIC, len(payload)) + payload


def wrapped_size(payload_size: int) -> int:
    """Return how many bytes carry a footer of some size."""
    return _SKIPPABLE_HEADER.size + payload_size


def unwrap_footer(wrapped: bytes) -> bytes:
    """Return the footer that some bytes carry, if they are what `wrap_footer` returned."""
    return wrapped[_SKIPPABLE_HEADER.size :]
