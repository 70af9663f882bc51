"""Damage is noticed wherever it strikes, and nothing whole is taken for damage."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_records import line_of, make_record

from iterlog import FaultKind, lines
from iterlog.lines import DamagedLineError, decode_line, holds_record, is_whole_append, lines_to_follow, salvage

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = line_of(make_record(extra={"own": "x"}))
BATCH_LINE = line_of(make_record(), more=2)
SUFFIX = len(b',"crc":"01234567"}')


def damage_of(line: bytes) -> FaultKind | None:
    """Return what reading a line reports, None when it gives a record."""
    try:
        decode_line(line)
    except DamagedLineError as damage:
        return damage.kind
    return None


def flips(line: bytes, start: int) -> Iterator[bytes]:
    """Yield a line with each bit from an offset on flipped."""
    for i in range(start, len(line)):
        for bit in range(8):
            yield line[:i] + bytes([line[i] ^ 1 << bit]) + line[i + 1 :]


@pytest.mark.parametrize("line", [LINE, BATCH_LINE], ids=["alone", "in a batch"])
def test_every_flipped_bit_is_damage(line: bytes) -> None:
    """No single bit of a line can change unnoticed, in its checksum's own name neither."""
    assert [bent for bent in flips(line, 0) if damage_of(bent) is None] == []
    assert {lines_to_follow(bent) for bent in flips(line, 0)} <= {lines_to_follow(line), None}


@given(st.data())
def test_two_changed_bytes_are_damage(data: st.DataObject) -> None:
    """Two bytes of the end, the checksum's own name included, cannot change unnoticed."""
    bent = bytearray(LINE)
    for i in data.draw(st.lists(st.integers(len(LINE) - SUFFIX, len(LINE) - 1), min_size=2, max_size=2, unique=True)):
        bent[i] ^= data.draw(st.integers(1, 255))
    assert damage_of(bytes(bent)) is not None


def test_without_looking_for_a_bent_checksum_a_flip_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: a flipped bit in "crc" makes our line look like one of another program, which has none."""
    monkeypatch.setattr(lines, "_has_bent_checksum", lambda _line: False)
    assert [bent for bent in flips(LINE, len(LINE) - SUFFIX) if damage_of(bent) is None] != []


def test_without_comparing_the_checksum_a_flip_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: a checksum that always matches lets most flips through."""
    stored = int(LINE[-10:-2], 16)
    monkeypatch.setattr(lines, "crc32", lambda _data: stored)
    assert [bent for bent in flips(LINE[: len(LINE) - SUFFIX], 0) if damage_of(bent + LINE[-SUFFIX:]) is None] != []


@pytest.mark.parametrize(
    "end", [b',"src":"main.cpp"}', b',"rev":"1a2b3c4d"}', b',"cwd":"/tmp/abc"}', b',"url":"a.org/xy"}', b',"a":"0123"}']
)
def test_a_users_own_last_field_is_no_bent_checksum(end: bytes) -> None:
    """A line of another program that happens to end somewhat alike is a record."""
    line = b'{"iteration":1,"code":"x"' + end
    assert damage_of(line) is None
    assert lines_to_follow(line) == 0


def test_cut_anywhere_a_line_is_damage() -> None:
    """No beginning of a line passes for a record, or for a whole append."""
    for i in range(1, len(LINE)):
        assert damage_of(LINE[:i]) is not None
        assert not is_whole_append(LINE[:i])
    assert is_whole_append(LINE)


def test_a_line_of_a_batch_is_no_whole_append() -> None:
    """A last line that says others follow is not the end of its append, as whole as it is."""
    assert not is_whole_append(BATCH_LINE)
    assert damage_of(BATCH_LINE) is None


def test_a_mark_that_nobody_reads_would_let_a_torn_batch_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: without the mark, the first line of a torn batch counts as an append of its own."""
    monkeypatch.setattr(lines, "MORE_KEY", b',"_none":')
    assert is_whole_append(BATCH_LINE)


def test_a_mark_inside_the_record_is_no_mark() -> None:
    """Text and fields of the user's own that look like the mark say nothing about the append."""
    for fields in (
        {"feedback": ',"_more":5'},
        {"extra": {"own": {"a": 1, "_more": 3}}},
        {"metrics": {"_more": 7}},
        {"extra": {"own": ',"_more":9'}},
    ):
        assert lines_to_follow(line_of(make_record(**fields))) == 0


@pytest.mark.parametrize("at", [0, 20, len(LINE) // 2, len(LINE) - 12])
def test_nuls_are_named(at: int) -> None:
    """A run of NULs, as a file system leaves it, is reported as such."""
    assert damage_of(LINE[:at] + b"\0" * 4 + LINE[at + 4 :]) is FaultKind.NUL
    assert damage_of(b"\0" * 100) is FaultKind.NUL


def test_changed_but_readable_is_a_checksum_fault() -> None:
    """JSON that still reads and is not what was written is reported by its checksum, not believed."""
    assert damage_of(LINE.replace(b"1.25", b"9.25")) is FaultKind.CHECKSUM


def test_what_follows_a_torn_line_is_salvaged() -> None:
    """A record appended behind a torn one without looking is read all the same."""
    for i in (1, 30, len(LINE) - 1):
        merged = LINE[:i] + line_of(make_record(iteration=9))
        found = salvage(merged)
        assert found is not None
        assert found.iteration == 9
        assert holds_record(merged)
        assert damage_of(merged) is not None
    original = salvage(b'{"iteration": 3, "timest{"iteration": 4, "code": "x"}')
    assert original is not None
    assert original.iteration == 4
    assert salvage(LINE[: len(LINE) // 2]) is None


def test_nothing_is_salvaged_from_inside_a_record() -> None:
    """Code that contains a record as text, or a field that holds one, is no record of its own when damaged."""
    inner = line_of(make_record(iteration=1)).decode()
    for fields in ({"code": inner}, {"extra": {"best": {"iteration": 1, "code": "x"}}}):
        line = line_of(make_record(**fields))
        assert salvage(line[:-3] + b"0" + line[-2:]) is None


def test_two_records_on_one_line() -> None:
    """When a newline was lost, the last record is salvaged and the line reported."""
    line = LINE + line_of(make_record(iteration=4))
    assert damage_of(line) is FaultKind.CHECKSUM
    found = salvage(line)
    assert found is not None
    assert found.iteration == 4


def test_the_checksum_is_zlibs() -> None:
    """Any program can check a line with the CRC-32 everyone has."""
    head, _, tail = LINE.rpartition(b',"crc":"')
    assert tail == b'%08x"}' % zlib.crc32(head)
