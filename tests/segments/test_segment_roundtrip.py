"""What goes into a sealed segment comes out of it, to the byte, whatever it is."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_files import CODECS, batch_of, line_of, loop_of, plain_lines, plain_of, segment, tiny, what_reads

from iterlog import ConfigError, ConflictError, CorruptionError, UnsupportedOperationError
from iterlog.files.lines_of import last_newline, lines_back, lines_forward
from iterlog.segments import limits
from iterlog.segments.footer import read_footer
from iterlog.segments.packing import Codec
from iterlog.segments.sealing import seal, seal_bytes, verify_sealed
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource, FileSource, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

ANY_LINES = st.lists(
    st.one_of(
        st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ")),
        st.sampled_from([b"", b" \t", line_of(1, {"loss": 0.5}), line_of(2)[:-9], b"\0" * 40, b"{}", *batch_of(3, 4)]),
    ),
    max_size=30,
)


def check_round_trip(plain: bytes, codec: Codec) -> None:
    """Seal, verify, and compare all that reading gives with the plain bytes."""
    sealed, footer = seal_bytes(plain, codec=codec)
    source = BytesSource(sealed)
    verify_sealed(source, hashlib.sha256(plain).hexdigest(), len(plain))
    assert b"".join(SealedSegment(source).chunks()) == plain
    assert read_footer(source) == footer
    assert (footer.plain_size, footer.plain_sha256) == (len(plain), hashlib.sha256(plain).hexdigest())
    assert SealedSegment(source).footer_of_lines().offsets == footer.offsets


@pytest.mark.parametrize("codec", CODECS)
@given(lines=ANY_LINES, ends_in_newline=st.booleans())
def test_any_bytes_round_trip(codec: Codec, lines: list[bytes], ends_in_newline: bool) -> None:
    """Whatever a plain file holds, damaged lines, NULs and half a line included, its segment gives back."""
    plain = b"\n".join(lines) + (b"\n" if ends_in_newline else b"")
    check_round_trip(plain, codec)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "plain",
    [b"", b"\n", b"\n" * 300_000, b"x", line_of(0), plain_of([line_of(0)]), loop_of(200), os.urandom(3 << 20)],
    ids=["empty", "newline", "newlines", "no-newline", "one-without-newline", "one", "loop", "noise"],
)
def test_corner_cases_round_trip(codec: Codec, plain: bytes) -> None:
    """Empty, blank, unterminated, long and incompressible files round trip."""
    check_round_trip(plain, codec)


@pytest.mark.parametrize("codec", CODECS)
def test_one_huge_line_round_trips(codec: Codec) -> None:
    """A line that spans many chunks comes out whole and alone."""
    lines = [line_of(0), line_of(1, code="pass  # " + "é" * 5_000_000), line_of(2)]
    sealed, _ = seal_bytes(plain_of(lines), codec=codec)
    assert [line for _, line in segment(sealed).lines()] == lines
    assert segment(sealed).line(1) == lines[1]


@pytest.mark.parametrize("codec", CODECS)
@given(lines=ANY_LINES)
def test_a_segment_shows_the_lines_of_its_plain_file(
    tmp_path_factory: pytest.TempPathFactory, codec: Codec, lines: list[bytes]
) -> None:
    """A reader is shown the same lines at the same offsets, from any of them on and backwards, sealed or plain."""
    plain = plain_of(lines)
    path = tmp_path_factory.mktemp("plain") / "history.jsonl"
    path.write_bytes(plain)
    sealed, footer = seal_bytes(plain, codec=codec)
    unfinished: list[tuple[int, int]] = []
    sealed_unfinished: list[tuple[int, int]] = []
    descriptor = os.open(path, os.O_RDONLY)
    try:
        end = last_newline(descriptor, len(plain))
        shown = list(lines_forward(descriptor, 0, end, lambda *seen: unfinished.append(seen)))
        assert list(segment(sealed).lines(0, lambda *seen: sealed_unfinished.append(seen))) == shown
        assert unfinished == sealed_unfinished
        assert [stop - len(line) - 1 for stop, line in shown] == list(footer.offsets)
        for stop, _ in shown:
            assert list(segment(sealed).lines(stop)) == list(lines_forward(descriptor, stop, end))
        # Backwards, a damaged line gives its neighbours the benefit of the doubt from either side.
        assert set(segment(sealed).lines_back()) <= set(lines_back(descriptor, end))
    finally:
        os.close(descriptor)
    assert list(segment(sealed).lines_back()) == shown[::-1]


@pytest.mark.parametrize("codec", CODECS)
def test_lines_back_needs_no_more_than_its_window(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment longer than what is kept in memory still reads backwards, window by window."""
    plain = loop_of(200)
    sealed, _ = seal_bytes(plain, codec=codec)
    monkeypatch.setattr("iterlog.segments.segment.WINDOW_BACK", len(plain) // 7)
    assert list(segment(sealed).lines_back()) == list(segment(sealed).lines())[::-1]


@pytest.mark.parametrize("codec", CODECS)
def test_every_line_is_found_by_its_number(codec: Codec) -> None:
    """A record of a sealed segment can be read alone."""
    plain = loop_of(50)
    sealed, footer = seal_bytes(plain, codec=codec)
    for number, line in enumerate(plain_lines(plain)):
        assert segment(sealed).line(number) == line
        assert footer.line_of(number) == number
    with pytest.raises(IndexError):
        segment(sealed).line(50)


def test_a_position_is_checked() -> None:
    """Only an offset behind a line is taken; one behind the end is damage, not an empty rest."""
    plain = tiny()
    sealed, footer = seal_bytes(plain)
    second = footer.offsets[1]
    assert second is not None
    assert list(segment(sealed).lines(len(plain))) == []
    with pytest.raises(ConfigError):
        list(segment(sealed).lines(second + 1))
    with pytest.raises(CorruptionError):
        list(segment(sealed).lines(len(plain) + 1))


def test_a_last_line_without_newline_keeps_its_position() -> None:
    """The position behind a last line is the one it has when the plain file gets its newline."""
    plain = tiny()
    with_newline = list(segment(seal_bytes(plain)[0]).lines())
    assert list(segment(seal_bytes(plain[:-1])[0]).lines()) == with_newline
    assert list(segment(seal_bytes(plain[:-1])[0]).lines(len(plain))) == []


@pytest.mark.parametrize("codec", CODECS)
def test_seals_from_and_reads_back_from_a_file(codec: Codec, tmp_path: Path) -> None:
    """Streaming a file in pieces, and reading the segment from a file, gives what memory gives."""
    plain = loop_of(300)
    (tmp_path / "plain").write_bytes(plain)
    descriptor = os.open(tmp_path / "plain", os.O_RDONLY)
    with (tmp_path / "sealed").open("wb") as file:
        footer = seal(blocks_of(FileSource(descriptor)), len(plain), file.write, codec=codec)
    os.close(descriptor)
    descriptor = os.open(tmp_path / "sealed", os.O_RDONLY)
    verify_sealed(FileSource(descriptor), footer.plain_sha256, len(plain))
    assert read_footer(FileSource(descriptor)) == footer
    assert [line for _, line in SealedSegment(FileSource(descriptor)).lines()] == plain_lines(plain)
    os.close(descriptor)


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_bytes_give_the_same_segment(codec: Codec) -> None:
    """No time and no machine stands in a segment: two who seal the same bytes write the same object."""
    assert seal_bytes(loop_of(20), codec=codec)[0] == seal_bytes(loop_of(20), codec=codec)[0]


@pytest.mark.parametrize(("codec", "level"), [(Codec.ZSTD, 0), (Codec.ZSTD, 23), (Codec.GZIP, 0), (Codec.GZIP, 10)])
def test_a_level_that_is_none_is_refused(codec: Codec, level: int) -> None:
    """A level outside the codec's range is a ConfigError."""
    with pytest.raises(ConfigError):
        seal_bytes(b"", codec=codec, level=level)


@pytest.mark.parametrize(
    ("codec", "level"), [*((Codec.ZSTD, level) for level in (1, 3, 9, 12, 13, 19)), (Codec.GZIP, 1), (Codec.GZIP, 9)]
)
def test_every_level_round_trips(codec: Codec, level: int) -> None:
    """Each level gives the same lines."""
    sealed, _ = seal_bytes(loop_of(20), codec=codec, level=level)
    assert what_reads(sealed) == (plain_lines(loop_of(20)), None)


def test_gzip_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional isal, gzip segments are written by zlib, with the same plain bytes."""
    monkeypatch.setitem(__import__("sys").modules, "isal", None)
    sealed, _ = seal_bytes(loop_of(20), codec=Codec.GZIP)
    assert what_reads(sealed) == (plain_lines(loop_of(20)), None)


@pytest.mark.parametrize("given_size", [-1, 1])
def test_a_file_that_changes_while_it_is_sealed_is_a_conflict(given_size: int) -> None:
    """More or fewer plain bytes than announced never become a segment that looks whole."""
    plain = tiny()
    for codec in CODECS:
        with pytest.raises(ConflictError):
            seal([plain], len(plain) + given_size, lambda _: None, codec=codec)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "plain",
    [b"x" * (limits.MAX_LINE + 1), b"1\n" * (limits.FREE_LINES * 2)],
    ids=["long-line", "many-lines"],
)
def test_what_no_reader_would_take_is_not_sealed(codec: Codec, plain: bytes) -> None:
    """What would break a reader's limits stays plain, and sealing says so."""
    with pytest.raises(UnsupportedOperationError):
        seal_bytes(plain, codec=codec)


@pytest.mark.parametrize("codec", CODECS)
def test_verifying_tells_segments_apart(codec: Codec) -> None:
    """A segment of other bytes, or one whose footer is damaged, does not verify."""
    plain = tiny()
    sealed, footer = seal_bytes(plain, codec=codec)
    other, other_footer = seal_bytes(plain.replace(b"go on", b"go in"), codec=codec)
    with pytest.raises(CorruptionError):
        verify_sealed(BytesSource(other), footer.plain_sha256, footer.plain_size)
    with pytest.raises(CorruptionError):
        verify_sealed(BytesSource(sealed), footer.plain_sha256, footer.plain_size + 1)
    damaged = bytearray(sealed)
    damaged[footer.packed_size + 60] ^= 1
    with pytest.raises(CorruptionError):
        verify_sealed(BytesSource(bytes(damaged)), footer.plain_sha256, footer.plain_size)
    assert other_footer.plain_size == footer.plain_size
