"""A footer says exactly what the lines say, in one read of the end."""

from __future__ import annotations

import datetime as dt
import json
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from segment_files import (
    CODECS,
    MOMENT,
    CountedSource,
    batch_of,
    check_rows,
    line_of,
    loop_of,
    plain_of,
    same_number,
    segment,
    tiny,
    what_reads,
)

from iterlog.reports import FaultKind
from iterlog.segments import build
from iterlog.segments.footer import FIRST_READ, SegmentFooter, read_footer
from iterlog.segments.packing import Codec, packing_of
from iterlog.segments.sealing import seal_bytes
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.integers(-5, 5),
    st.sampled_from([0.0, -0.0, 0.25, 1.5, 0.1, 1e300, 5e-324, math.nan, math.inf, -math.inf]),
)
METRICS = st.dictionaries(
    st.sampled_from(["loss", "é", "\ud800", "", "a b"]),
    st.one_of(NUMBERS, st.booleans(), st.none(), st.text(max_size=5), st.lists(st.integers(), max_size=2)),
)


def footer_of(*lines: bytes) -> SegmentFooter:
    """Return the footer that a reader gets of a segment of some lines."""
    footer = read_footer(BytesSource(seal_bytes(plain_of(lines))[0]))
    assert footer is not None
    return footer


@given(rows=st.lists(st.tuples(METRICS, st.booleans(), st.none() | st.text(max_size=9)), max_size=12), data=st.data())
def test_the_footer_says_what_the_lines_say(
    rows: list[tuple[dict[str, Any], bool, str | None]], data: st.DataObject
) -> None:
    """Every column equals what decoding the lines gives, also where lines are damaged or other programs wrote them."""
    lines = []
    for number, (metrics, success, code) in enumerate(rows):
        line = line_of(number * 3, metrics, code, success=success)
        kind = data.draw(st.sampled_from(["whole", "whole", "whole", "cut", "flipped", "torn before", "foreign"]))
        if kind == "cut":
            line = line[: len(line) // 2]
        elif kind == "flipped":
            line = line.replace(b"feedback", b"feedbacc")
        elif kind == "torn before":
            line = b'{"iteration":7,"timest' + line
        elif kind == "foreign":
            line = json.dumps({"iteration": number, "metrics": {"loss": 0.5}, "code": code}).encode()
        lines.append(line)
    sealed, footer = seal_bytes(plain_of(lines))
    shown = [line for _, line in segment(sealed).lines()]
    check_rows(shown, footer)
    reread = read_footer(BytesSource(sealed))
    assert reread == footer
    check_rows(shown, reread)


def test_the_summary_spans_the_lines() -> None:
    """First, last and highest number and the range of time are those of the readable records, in whatever order."""
    day = dt.timedelta(days=1)
    footer = footer_of(
        b"damaged",
        line_of(5, timestamp=MOMENT + day),
        line_of(9, timestamp=MOMENT + 3 * day),
        line_of(2, timestamp=MOMENT - day),
        line_of(7, timestamp=MOMENT),
        b"{}",
    )
    assert (footer.first_iteration, footer.last_iteration, footer.highest_iteration) == (5, 7, 9)
    assert (footer.earliest, footer.latest) == (MOMENT - day, MOMENT + 3 * day)
    assert (footer.count, footer.records) == (6, 4)
    assert [footer.fault_of(row) for row in (0, 1, 5)] == [FaultKind.JSON, None, FaultKind.RECORD]
    assert (footer.line_of(2), footer.line_of(3)) == (3, None)


def test_the_newest_of_equal_numbers_is_found() -> None:
    """A number that was stored twice leads to the later record, as reading backwards does."""
    assert footer_of(line_of(1), line_of(1), line_of(2)).line_of(1) == 1


def test_an_empty_segment_has_a_footer() -> None:
    """A segment without a record says so."""
    footer = footer_of()
    assert (footer.count, footer.records, footer.first_iteration, footer.latest) == (0, 0, None, None)
    assert dict(footer.metrics) == {}


def test_unfinished_appends_have_no_row() -> None:
    """Lines that no reader is shown have no entry, and stay in the plain bytes."""
    lines = [line_of(0), *batch_of(1, 2, 3)[:1], line_of(4)]
    sealed, footer = seal_bytes(plain_of(lines))
    assert list(footer.iterations) == [0, 4]
    assert b"".join(segment(sealed).chunks()) == plain_of(lines)


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([1, 2, -3], [1, 2, -3]),
        ([2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)]),
        ([2**63, 1], [None, 1]),
        ([0.1, 1, None], [0.1, 1.0, None]),
        ([0.5, 2**53 + 1], [0.5, None]),
        ([True, False], [True, False]),
        ([True, 1], [None, 1]),
        ([-0.0, 0.0], [-0.0, 0.0]),
        ([0.1234, -5.5], [0.1234, -5.5]),
        ([math.nan, math.inf, -math.inf, 5e-324], [math.nan, math.inf, -math.inf, 5e-324]),
        (["high", 1.5], [None, 1.5]),
        (["NaN", 1.5], [math.nan, 1.5]),
        ([[1], {"a": 1}], [None, None]),
    ],
    ids=str,
)
def test_a_metric_is_exact_or_absent(values: list[Any], stored: list[Any]) -> None:
    """A column holds a number exactly as the line has it, or None and a count of what it could not hold."""
    footer = footer_of(*(line_of(i, {"m": value}) for i, value in enumerate(values)))
    column = footer.metrics["m"]
    assert all(map(same_number, column, stored))
    assert column.others == stored.count(None) - values.count(None)


def test_rounded_metrics_take_little_room() -> None:
    """Numbers of a few digits cost their digits, not eight bytes."""
    rounded = footer_size(seal_bytes(plain_of(line_of(i, {"m": i * 7919 % 10007 / 10000}) for i in range(1000))))
    exact = footer_size(seal_bytes(plain_of(line_of(i, {"m": i * 7919 % 10007 / 9973}) for i in range(1000))))
    assert rounded + 4000 < exact


def footer_size(sealed: tuple[bytes, SegmentFooter]) -> int:
    """Return how many bytes of a segment are footer."""
    return len(sealed[0]) - sealed[1].packed_size


def test_too_many_or_too_long_names_are_left_to_the_lines() -> None:
    """A footer does not grow with names; it says that it has not all of them."""
    many = footer_of(line_of(0, {f"m{i}": i for i in range(build.MAX_METRICS + 1)}))
    assert len(many.metrics) == build.MAX_METRICS
    assert not many.all_metrics
    long = footer_of(line_of(0, {"m" * (build.MAX_NAME + 1): 1, "n": 2}))
    assert list(long.metrics) == ["n"]
    assert not long.all_metrics
    assert footer_of(line_of(0, {"n": 2})).all_metrics


def test_a_number_beyond_64_bits_is_left_to_the_line() -> None:
    """A hostile iteration number does not keep a file from being sealed."""
    footer = footer_of(b'{"iteration":%d,"code":null,"metrics":{}}' % 2**70, line_of(3))
    assert list(footer.iterations) == [None, 3]
    assert footer.highest_iteration == 3


@pytest.mark.parametrize("codec", CODECS)
def test_one_read_of_the_end_gives_the_footer(codec: Codec) -> None:
    """The footer of 1,000 records with six metrics has at most 64 KiB, and one request for the end gives it whole."""
    sealed, footer = seal_bytes(loop_of(1000), codec=codec)
    assert footer_size((sealed, footer)) <= 1 << 16
    source = CountedSource(sealed)
    assert read_footer(source) == footer
    assert (source.tails, source.reads) == ([FIRST_READ], [])


@pytest.mark.parametrize("codec", CODECS)
def test_a_longer_footer_takes_a_second_read(codec: Codec) -> None:
    """A footer longer than the first read, and one of many gzip members, is read with one more request."""
    sealed, footer = seal_bytes(loop_of(1000, metrics=30), codec=codec)
    assert footer_size((sealed, footer)) > FIRST_READ
    source = CountedSource(sealed)
    assert read_footer(source) == footer
    assert (len(source.tails), len(source.reads)) == (1, 1)
    assert what_reads(sealed)[1] is None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("first_read", [0, 1, 25, 26, 27, 100, 1000])
def test_any_first_read_will_do(codec: Codec, first_read: int) -> None:
    """However little of the end is read first, the footer is found or, below its last bytes, taken for absent."""
    sealed, footer = seal_bytes(tiny(), codec=codec)
    found = read_footer(BytesSource(sealed), first_read=first_read)
    assert found == (footer if first_read >= 26 or (codec is Codec.ZSTD and first_read >= 16) else None)


def rewritten(sealed: bytes, footer: SegmentFooter, codec: Codec, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a segment whose footer was decoded, changed and written again with a checksum that is right."""
    packing = packing_of(codec)
    payload = packing.unwrap_footer(sealed[footer.packed_size :])
    stored = msgspec.msgpack.decode(zstandard.decompress(payload[:-16]))
    change(stored)
    packed = zstandard.compress(msgspec.msgpack.encode(stored))
    payload = packed + struct.pack("<II", zlib.crc32(packed), len(packed)) + payload[-8:]
    return sealed[: footer.packed_size] + packing.wrap_footer(payload)


@pytest.mark.parametrize("codec", CODECS)
def test_keys_of_later_versions_are_passed_over(codec: Codec) -> None:
    """What a later iterlog adds to a footer of version 1, another kind of column included, disturbs nobody."""

    def add(stored: dict[str, Any]) -> None:
        stored["sketch"] = {"of": [1, 2]}
        stored["index"]["parents"] = {"kind": "delta", "values": bytes(24), "colour": "blue"}
        stored["metrics"].append([b"later", {"kind": "quantile", "values": bytes(24)}])

    sealed, footer = seal_bytes(tiny(), codec=codec)
    assert read_footer(BytesSource(rewritten(sealed, footer, codec, add))) == footer


def test_a_later_version_is_taken_for_absent() -> None:
    """A footer whose meaning may have changed is not guessed at; the lines are read."""
    sealed, footer = seal_bytes(tiny())
    later = rewritten(sealed, footer, Codec.ZSTD, lambda stored: stored.update(version=2, count="three"))
    assert read_footer(BytesSource(later)) is None
    assert what_reads(later) == what_reads(sealed)
