"""Damage to a sealed segment is detected or harmless, and costs only what stands behind it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from segment_files import CODECS, batch_of, loop_of, plain_lines, plain_of, segment, tiny, what_reads

from iterlog import CorruptionError
from iterlog.segments import footer as footer_room
from iterlog.segments import frames
from iterlog.segments.footer import SegmentFooter, read_footer
from iterlog.segments.packing import PACKINGS, Codec
from iterlog.segments.sealing import seal_bytes
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iterlog.segments.source import Cursor


def flips(data: bytes, bits: Iterable[int]) -> Iterator[bytes]:
    """Yield the data with each of some bits flipped, alone."""
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def footer_found(sealed: bytes) -> SegmentFooter | CorruptionError | None:
    """Return what reading the footer gives or raises."""
    try:
        return read_footer(BytesSource(sealed))
    except CorruptionError as error:
        return error


def check_damaged(damaged: bytes, lines: list[bytes], footer: SegmentFooter) -> bool:
    """Check that damage is detected or harmless, and return whether reading the lines detected it."""
    found = footer_found(damaged)
    assert found is None or isinstance(found, CorruptionError) or found == footer
    read, error = what_reads(damaged)
    if error is None:
        assert read == lines
    return error is not None


@pytest.mark.parametrize("codec", CODECS)
def test_flip_every_bit_of_a_tiny_segment(codec: Codec) -> None:
    """Every flipped bit, in frame, footer and length, is detected, or lines and footer are what they were."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    lines = plain_lines(tiny())
    caught = [check_damaged(damaged, lines, footer) for damaged in flips(sealed, range(len(sealed) * 8))]
    # Nearly all of the frame; what is left is a gzip header's time and the like.
    assert sum(caught[: footer.packed_size * 8]) > footer.packed_size * 8 * 0.9


@pytest.mark.parametrize("codec", CODECS)
def test_flip_bits_of_a_long_segment(codec: Codec) -> None:
    """Flipped bits anywhere in a segment of ordinary size are detected, or lines and footer are what they were."""
    sealed, footer = seal_bytes(loop_of(100), codec=codec)
    lines = plain_lines(loop_of(100))
    for damaged in flips(sealed, random.Random(3).sample(range(len(sealed) * 8), 300)):
        check_damaged(damaged, lines, footer)


@pytest.mark.parametrize("codec", CODECS)
def test_every_bit_of_a_footer_is_guarded(codec: Codec) -> None:
    """A flipped bit anywhere in the footer's bytes never gives a footer that says something else."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    for damaged in flips(sealed, range(footer.packed_size * 8, len(sealed) * 8)):
        assert footer_found(damaged) is None or isinstance(footer_found(damaged), CorruptionError)


def check_cuts(sealed: bytes, footer: SegmentFooter, lines: list[bytes], whole_at: set[int]) -> None:
    """Check what is read of a segment cut at every byte."""
    for size in range(len(sealed)):
        read, error = what_reads(sealed[:size])
        assert footer_found(sealed[:size]) != footer
        assert read == lines[: len(read)]
        if size in whole_at:
            assert (read, error) == (lines, None)
            continue
        assert error is not None, f"cut at {size} of {len(sealed)}"
        assert read == lines or size < footer.packed_size


@pytest.mark.parametrize("codec", CODECS)
def test_cut_a_tiny_segment_at_every_byte(codec: Codec) -> None:
    """A torn segment never passes for a short one; one that lost exactly its footer is whole and has none."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    check_cuts(sealed, footer, plain_lines(tiny()), {footer.packed_size})


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_lines_before_a_cut_come_first(codec: Codec, part: float) -> None:
    """Of a torn segment the lines before the cut are read, in order, then a CorruptionError tells of the rest."""
    plain = loop_of(1000)
    sealed, footer = seal_bytes(plain, codec=codec)
    read, error = what_reads(sealed[: int(footer.packed_size * part)])
    assert error is not None
    assert read == plain_lines(plain)[: len(read)]
    assert len(read) > 1000 * part - 250


@pytest.mark.parametrize("codec", CODECS)
def test_lines_of_an_append_that_damage_cuts_short_come_too(codec: Codec) -> None:
    """Lines of a batch were whole when they were sealed: that the rest of it is damaged does not take them."""
    rng = random.Random(5)
    batch = batch_of(0, 1, 2, codes=[rng.randbytes(1 << 17).hex() for _ in range(3)])
    sealed, footer = seal_bytes(plain_of(batch), codec=codec)
    read, error = what_reads(sealed[: footer.packed_size * 9 // 10])
    assert error is not None
    assert read == batch[:2]


@pytest.mark.parametrize("codec", CODECS)
def test_reading_back_reports_damage_once_and_gives_what_is_before(codec: Codec) -> None:
    """Backwards, damage is raised, or told once and what can be read comes newest first."""
    sealed, footer = seal_bytes(loop_of(1000), codec=codec)
    torn = sealed[: footer.packed_size // 2]
    with pytest.raises(CorruptionError):
        next(segment(torn).lines_back())
    told: list[CorruptionError] = []
    backwards = [line for _, line in segment(torn).lines_back(told.append)]
    assert backwards == what_reads(torn)[0][::-1]
    assert len(told) == 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("garbage", [b"\0", b"\n", b"\0" * 4096, b"{}\n", b"\x28\xb5\x2f", b"\x1f\x8b\x08"], ids=repr)
def test_trailing_garbage_is_damage(codec: Codec, garbage: bytes) -> None:
    """All lines come, then the bytes behind the segment are reported; the footer is not trusted to speak for them."""
    sealed, _ = seal_bytes(tiny(), codec=codec)
    read, error = what_reads(sealed + garbage)
    assert read == plain_lines(tiny())
    assert error is not None
    assert footer_found(sealed + garbage) is None


@pytest.mark.parametrize("codec", CODECS)
def test_a_footer_behind_another_frame_is_not_taken(codec: Codec) -> None:
    """A footer never speaks of bytes it was not made with, even those of a frame of the same size."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    other, other_footer = seal_bytes(tiny().replace(b"go on", b"go in"), codec=codec)
    assert other_footer.packed_size == footer.packed_size
    assert footer_found(other[: footer.packed_size] + sealed[footer.packed_size :]) is None
    assert footer_found(other + sealed) is None
    assert what_reads(other + sealed) == (what_reads(other)[0] + what_reads(sealed)[0], None)
    assert footer_found(sealed[1:]) is None


@pytest.mark.parametrize("codec", CODECS)
def test_one_line_alone_is_proven_by_the_checksum(codec: Codec) -> None:
    """A record read alone never comes out of a frame whose checksum does not match."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    at = footer.packed_size - (1 if codec is Codec.ZSTD else 5)
    with pytest.raises(CorruptionError):
        segment(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]).line(0)


@pytest.mark.parametrize("data", [b"", b"{}\n", b"\0" * 100, b"\x50\x2a\x4d", b"\x1f\x8b"], ids=repr)
def test_what_is_no_segment_is_damage(data: bytes) -> None:
    """An empty, plain or zeroed file in a segment's place is not an empty history."""
    read, error = what_reads(data)
    assert (read, error is not None) == ([], True)


# A check that cannot fail proves nothing: each of these breaks the room in a way that the checks above must see.


def test_the_checks_catch_a_reader_that_takes_a_torn_frame_for_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that does not ask whether the frame came to its end fails the cuts."""

    def careless(cursor: Cursor, decompressor: zstandard.ZstdDecompressor) -> Iterator[tuple[int, bytes]]:
        decoder = decompressor.decompressobj()
        while not decoder.eof and (piece := cursor.peek(512)):
            plain = decoder.decompress(piece)
            cursor.move(len(piece) - len(decoder.unused_data))
            yield len(piece), plain

    sealed, footer = seal_bytes(tiny())
    monkeypatch.setattr(frames, "_read_frame", careless)
    with pytest.raises(AssertionError):
        check_cuts(sealed, footer, plain_lines(tiny()), {footer.packed_size})


def test_the_checks_catch_a_reader_of_the_first_frame_only() -> None:
    """A reader that stops behind the first frame fails where two segments were put together."""
    sealed, _ = seal_bytes(tiny())
    first_only = zstandard.ZstdDecompressor().decompress(sealed + sealed)
    assert plain_lines(first_only) != what_reads(sealed + sealed)[0]


@pytest.mark.parametrize("codec", CODECS)
def test_the_checks_catch_a_footer_that_nothing_guards(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of what was read with what would be written, a flipped bit would pass."""

    class Lenient:
        """A codec's room that finds every footer to be as it should."""

        def __init__(self, room: Any) -> None:
            self._room = room

        def __getattr__(self, name: str) -> Any:
            return getattr(self._room, name)

        def unwrap_footer(self, wrapped: bytes) -> bytes:
            self._wrapped = wrapped
            return bytes(self._room.unwrap_footer(wrapped))

        def wrap_footer(self, payload: bytes) -> bytes:
            del payload
            return self._wrapped

    sealed, footer = seal_bytes(tiny(), codec=codec)
    monkeypatch.setattr(footer_room, "PACKINGS", tuple(map(Lenient, PACKINGS)))
    bits = range(footer.packed_size * 8, len(sealed) * 8)
    assert any(footer_found(damaged) == footer for damaged in flips(sealed, bits))


def test_the_checks_catch_a_footer_that_names_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the frame's size and last bytes in it, a footer would be taken for another frame's."""
    sealed, footer = seal_bytes(tiny())
    decoded = footer_room._footer_of

    def unbound(packed: bytes) -> SegmentFooter:
        return replace(decoded(packed), packed_size=len(sealed) * 2 - (len(sealed) - footer.packed_size))

    monkeypatch.setattr(footer_room, "_footer_of", unbound)
    assert footer_found(sealed + sealed) is not None
