"""The two codecs, and the way from packed bytes to plain ones that both take."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

from iterlog.errors import CorruptionError
from iterlog.segments import frames, members
from iterlog.segments.limits import MAX_EMPTY_PARTS, BeyondLimitsError, Budget
from iterlog.segments.source import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog.segments.source import Source


class Codec(enum.Enum):
    """How a segment is compressed."""

    ZSTD = "zstd"
    GZIP = "gzip"

    @property
    def suffix(self) -> str:
        """What a file's name ends in, as the command line tools have it."""
        return packing_of(self).SUFFIX


class Compressor(Protocol):
    """Turns plain bytes into one frame or member."""

    def compress(self, data: bytes, /) -> bytes:
        """Take some bytes and return what is ready."""

    def flush(self) -> bytes:
        """Return the rest."""


class Decompressor(Protocol):
    """Turns the frames or members of one file, its parts, into plain bytes again, one after the other."""

    def __call__(self, cursor: Cursor, /) -> Iterator[tuple[int, bytes]]:
        """Go on behind the part the cursor stands before; yield how much was read each time, and what it gave."""


class Packing(Protocol):
    """What a codec's room offers: `iterlog.segments.frames`, `iterlog.segments.members`."""

    SUFFIX: str
    MAGICS: tuple[bytes, ...]
    BEHIND_FOOTER: bytes

    def compressor(self, level: int | None, size: int) -> Compressor:
        """Return what makes one part."""

    def decompressor(self) -> Decompressor:
        """Return what reads the parts of one file."""

    def wrap_footer(self, payload: bytes) -> bytes:
        """Return the bytes that carry a footer."""

    def wrapped_size(self, payload_size: int) -> int:
        """Return how many those are."""

    def unwrap_footer(self, wrapped: bytes) -> bytes:
        """Return the footer again."""


_PACKINGS: dict[Codec, Packing] = {Codec.ZSTD: frames, Codec.GZIP: members}
PACKINGS: tuple[Packing, ...] = tuple(_PACKINGS.values())


def packing_of(codec: Codec) -> Packing:
    """Return the room of a codec."""
    return _PACKINGS[codec]


def unpacked(source: Source, budget: Budget) -> Iterator[bytes]:
    """Yield the plain bytes of a segment in chunks: part by part, each to its end.

    Every chunk but those of a damaged part is proven by the part's checksum, once the part has ended. So the bytes
    before an error are what was stored as far as their lines' own checksums say.

    Args:
        source: The segment; it may be any zstd or gzip file.
        budget: Counts what is read and made.

    Raises:
        CorruptionError: A part is damaged or cut short, or something else stands behind the last one.
        BeyondLimitsError: Reading it would cost too much.
    """
    cursor = Cursor(source)
    packing: Packing | None = None
    empty = 0
    while head := cursor.peek(4):
        if packing is None:
            packing = next((found for found in PACKINGS if head.startswith(found.MAGICS)), None)
            if packing is None:
                raise CorruptionError("the bytes are neither zstd nor gzip")
            decompressor = packing.decompressor()
        if not head.startswith(packing.MAGICS):
            raise CorruptionError(f"garbage follows from byte {cursor.offset:,} on{_readable(budget)}")
        start, plain_before = cursor.offset, budget.plain
        try:
            for read, plain in decompressor(cursor):
                budget.spend(read, len(plain))
                if plain:
                    yield plain
        except CorruptionError as error:
            raise type(error)(f"{error.message}; it begins at byte {start:,}{_readable(budget)}") from error
        empty = empty + 1 if budget.plain == plain_before else 0
        if empty > MAX_EMPTY_PARTS:
            raise BeyondLimitsError(f"more than {MAX_EMPTY_PARTS:,} empty frames or members in a row")
    if packing is None:
        raise CorruptionError("the file is empty; an empty segment has at least a header")


def _readable(budget: Budget) -> str:
    return f"; the {budget.plain:,} plain bytes before can be read"
