"""Sealing plain bytes, and proving that what was sealed is what was plain.

Compressing takes most of the time, without Python's lock: it is done beside what needs that.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from iterlog.errors import ConflictError, CorruptionError, UnsupportedOperationError
from iterlog.segments.beside import Beside
from iterlog.segments.build import build_footer
from iterlog.segments.footer import PACKED_END, SegmentFooter, footer_bytes, read_footer
from iterlog.segments.limits import BeyondLimitsError, Budget
from iterlog.segments.packing import Codec, packing_of, unpacked
from iterlog.segments.splitting import split_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from iterlog.segments.source import Source


def seal(
    plain: Iterable[bytes],
    size: int,
    write: Callable[[bytes], object],
    *,
    codec: Codec = Codec.ZSTD,
    level: int | None = None,
    begins_at: int | None = None,
) -> SegmentFooter:
    """Write a sealed segment in one pass over its plain bytes, in constant memory.

    Prove it with `verify_sealed` before anything plain is removed.

    Args:
        plain: The bytes, in order.
        size: How many there are.
        write: Takes the sealed bytes, in order; may be called in another thread, one call at a time.
        codec: How to compress.
        level: How hard; None for the codec's default.
        begins_at: The number under which the store keeps the first line, or the first append; None to say nothing.

    Returns:
        The footer, as it was written.

    Raises:
        ConfigError: The codec has no such level.
        ConflictError: There were more or fewer plain bytes; throw away what was written.
        UnsupportedOperationError: No reader would take the segment; throw away what was written and leave it plain.
    """
    packing = packing_of(codec)
    compressor = packing.compressor(level, size)
    reader = Budget()  # what it will cost to read this back
    packed_end = b""

    def put(packed: bytes, plain_size: int = 0) -> None:
        nonlocal packed_end
        packed_end = (packed_end + packed)[-PACKED_END:]
        write(packed)
        reader.spend(len(packed), plain_size)

    def compressed(compressing: Beside) -> Iterator[bytes]:
        taken = 0
        for chunk in plain:
            taken += len(chunk)
            if taken > size:
                raise ConflictError(f"more than {size:,} plain bytes came: somebody changes them; seal again")
            compressing(chunk)
            yield chunk

    try:
        counted = Budget.of_plain_file()
        with Beside(lambda chunk: put(compressor.compress(chunk), len(chunk)), size) as compressing:
            footer = build_footer(compressed(compressing), counted)
        if reader.plain != size:
            raise ConflictError(f"of {size:,} plain bytes {reader.plain:,} came: somebody changes them; seal again")
        put(compressor.flush())
        reader.count_line(0, counted.lines)
    except BeyondLimitsError as error:
        raise UnsupportedOperationError(f"this cannot be sealed and stays plain: {error.message}") from error
    footer = replace(footer, packed_size=reader.packed, packed_end=packed_end, begins_at=begins_at)
    write(footer_bytes(footer, packing))
    return footer


def seal_bytes(
    plain: bytes, *, codec: Codec = Codec.ZSTD, level: int | None = None, begins_at: int | None = None
) -> tuple[bytes, SegmentFooter]:
    """Return a sealed segment of bytes in memory, and its footer; raises what `seal` raises."""
    sealed: list[bytes] = []
    footer = seal([plain], len(plain), sealed.append, codec=codec, level=level, begins_at=begins_at)
    return b"".join(sealed), footer


def verify_sealed(source: Source, sha256: str, size: int) -> None:
    """Prove that a segment gives back the plain bytes it was made of, to the last, and within a reader's limits.

    Args:
        source: The segment.
        sha256: The plain bytes' SHA-256 in hex.
        size: How many they are.

    Raises:
        CorruptionError: It does not, or its footer is damaged or speaks of other bytes.
    """
    digest = hashlib.sha256()
    budget = Budget()

    def digested() -> Iterator[bytes]:
        for chunk in unpacked(source, budget):
            digest.update(chunk)
            yield chunk

    for _ in split_blocks(digested(), budget):
        pass
    if (digest.hexdigest(), budget.plain) != (sha256, size):
        raise CorruptionError("the sealed segment does not give back the plain bytes it was made of; seal it again")
    footer = read_footer(source)
    if footer is not None and (footer.plain_sha256, footer.plain_size) != (sha256, size):
        raise CorruptionError("the sealed segment's footer speaks of other plain bytes; seal it again")
