"""A footer's head says in two small reads what the footer says, or nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import zstandard
from segment_files import CODECS, CountedSource, check_rows, line_of, loop_of, plain_lines, plain_of, segment, tiny

from iterlog.segments.footer import HEAD_READ, SegmentFooter, read_footer, read_head
from iterlog.segments.head import FooterHead, head_before, head_bytes
from iterlog.segments.index import moment_of
from iterlog.segments.packing import Codec, packing_of
from iterlog.segments.sealing import seal_bytes
from iterlog.segments.source import BytesSource

OLD = Path(__file__).parent / "data"
TRAILER = 16
HEAD = FooterHead(1, 3, 3, 0, 2, 0, 2, 5, 9, 100, b"\x01" * 32, True, 50, b"packed_e")


def summary_of(footer: SegmentFooter | FooterHead) -> tuple[object, ...]:
    """Return what a footer and its head have in common."""
    times = footer.earliest, footer.latest
    sha256 = footer.plain_sha256
    return (
        footer.count,
        footer.records,
        (footer.first_iteration, footer.last_iteration, footer.lowest_iteration, footer.highest_iteration),
        tuple(moment_of(time) if isinstance(time, int) else time for time in times),
        footer.plain_size,
        sha256 if isinstance(sha256, str) else sha256.hex(),
        footer.all_metrics,
        footer.packed_size,
        footer.packed_end,
        footer.begins_at,
    )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "plain",
    [b"", tiny(), plain_of([line_of(9), b"damaged", line_of(4), line_of(7)]), loop_of(1000, metrics=30)],
    ids=["empty", "tiny", "in no order", "long"],
)
def test_the_head_says_what_the_footer_says(plain: bytes, codec: Codec) -> None:
    """However long the footer, its summary takes a small read of the end and a look at the frame's last bytes."""
    sealed, footer = seal_bytes(plain, codec=codec, begins_at=len(plain))
    source = CountedSource(sealed)
    head = read_head(source)
    assert head is not None
    assert summary_of(head) == summary_of(footer)
    assert (source.tails, [length for _, length in source.reads]) == ([HEAD_READ], [8])
    reread = read_footer(BytesSource(sealed))
    assert reread is not None
    assert summary_of(reread) == summary_of(footer)


def test_the_lowest_and_highest_number_are_those_of_all_lines() -> None:
    """What a search goes by is no guess from the first and the last record."""
    head = read_head(BytesSource(seal_bytes(plain_of([line_of(5), line_of(9), line_of(2), line_of(7)]))[0]))
    assert head is not None
    assert (head.first_iteration, head.lowest_iteration, head.highest_iteration, head.last_iteration) == (5, 2, 9, 7)


@pytest.mark.parametrize("codec", CODECS)
def test_every_bit_of_a_head_is_guarded(codec: Codec) -> None:
    """A flipped bit anywhere behind the frame's data never gives a head that says something else."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    expected = read_head(BytesSource(sealed))
    refused = 0
    for bit in range((footer.packed_size - 8) * 8, len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        found = read_head(BytesSource(bytes(damaged)))
        assert found in {None, expected}
        refused += found is None
    assert refused >= (8 + len(head_bytes(HEAD)) + TRAILER - 4) * 8 - 100


@pytest.mark.parametrize("codec", CODECS)
def test_a_head_is_taken_for_no_other_frame(codec: Codec) -> None:
    """Behind another frame, or a changed one, it is not this file's."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    assert read_head(BytesSource(sealed + sealed)) is None
    assert read_head(BytesSource(bytes(footer.packed_size) + sealed[footer.packed_size :])) is None
    assert read_head(BytesSource(sealed[footer.packed_size :])) is None


@pytest.mark.parametrize("codec", CODECS)
def test_what_has_no_head_is_read_whole(codec: Codec) -> None:
    """A file of the first version says so, and its footer has the summary."""
    source = BytesSource((OLD / f"format-1.jsonl{codec.suffix}").read_bytes())
    assert read_head(source) is None
    footer = read_footer(source)
    assert footer is not None
    assert (footer.count, footer.lowest_iteration, footer.highest_iteration) == (45, 0, 43)


@pytest.mark.parametrize("codec", CODECS)
def test_who_knows_no_head_reads_the_footer(codec: Codec) -> None:
    """The compressed columns stand where they always stood, and a reader of the first version stops behind them."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    packed = packing_of(codec).unwrap_footer(sealed[footer.packed_size :])[:-TRAILER]
    stored = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed))
    assert stored["version"] == 1
    assert stored["count"] == footer.count
    assert stored["packed_size"] == footer.packed_size


@pytest.mark.parametrize(
    "changes",
    [{"records": 4}, {"records": -1}, {"count": 1 << 62, "records": 1 << 62}, {"version": 2}, {"version": "one"}],
    ids=str,
)
def test_a_hostile_head_is_not_relied_on(changes: dict[str, object]) -> None:
    """Numbers that cannot be are no answer, although their checksum is right."""
    assert head_before(head_bytes(HEAD), len(head_bytes(HEAD))) == (HEAD, 0)
    sealed = seal_bytes(tiny())[0]
    true = read_head(BytesSource(sealed))
    assert true is not None
    lying = sealed.replace(head_bytes(true), head_bytes(msgspec.structs.replace(true, **changes)))
    assert lying != sealed
    assert read_head(BytesSource(lying)) is None


def test_columns_are_unpacked_when_they_are_asked_for() -> None:
    """Reading a footer and its summary decompresses nothing, and one column unpacks no other."""
    sealed, footer = seal_bytes(loop_of(100))
    found = read_footer(BytesSource(sealed))
    assert found is not None
    assert found.highest_iteration == 99
    assert "stored" not in vars(found.index)
    assert found.metrics["metric_3"] == footer.metrics["metric_3"]
    assert "columns" not in vars(found.index)
    check_rows(plain_lines(loop_of(100)), found)
    assert found == footer
    assert [line for _, line in segment(sealed).lines()] == plain_lines(loop_of(100))
