"""Lines that other programs wrote are a history too: what they mean is read, and what they hold is copied."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from unit_records import line_of, make_record, with_crc

from iterlog import FaultKind, IterationRecord, open_history
from iterlog.lines import DamagedLineError, decode_line, lines_to_follow, stored_hash_differs

if TYPE_CHECKING:
    from pathlib import Path

ORIGINAL = {
    "iteration": 4,
    "timestamp": "2025-01-09T12:34:56.789012",
    "code": "x = 1\n",
    "code_hash": "3c1f6c6d0b0e1d6a",
    "metrics": {"sharpe_ratio": float("nan"), "trades": 3},
    "feedback": "é",
    "used_fallback": True,
    "success": False,
    "error": "boom",
}


def foreign(**fields: Any) -> IterationRecord:
    """Return the record of a line with a number and the given fields, as json.dumps writes it."""
    return decode_line(json.dumps({"iteration": 1, **fields}).encode())


def copied(record: IterationRecord) -> IterationRecord:
    """Return the record of the line that a copy of a record would be."""
    return decode_line(line_of(record))


def test_the_original_programs_line() -> None:
    """Default separators, a naive time, a NaN literal, escapes, no id and no checksum: all nine fields are read."""
    line = json.dumps(ORIGINAL).encode()
    assert b'"sharpe_ratio": NaN' in line
    record = decode_line(line)
    assert record.timestamp == dt.datetime(2025, 1, 9, 12, 34, 56, 789012, tzinfo=dt.UTC)
    assert (record.iteration, record.code, record.feedback) == (4, "x = 1\n", "é")
    assert (record.used_fallback, record.success, record.error, record.id) == (True, False, "boom", None)
    assert (str(record.metrics["sharpe_ratio"]), record.metrics["trades"]) == ("nan", 3)
    assert record.code_hash == IterationRecord(4, "x = 1\n", {}, "").code_hash
    assert copied(record) == record


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("2025-01-09T12:34:56", dt.datetime(2025, 1, 9, 12, 34, 56, tzinfo=dt.UTC)),
        ("2025-01-09 14:34:56+02:00", dt.datetime(2025, 1, 9, 12, 34, 56, tzinfo=dt.UTC)),
        (1736426096.5, dt.datetime(2025, 1, 9, 12, 34, 56, 500000, tzinfo=dt.UTC)),
        (1736426096500, dt.datetime(2025, 1, 9, 12, 34, 56, 500000, tzinfo=dt.UTC)),
        (None, None),
    ],
)
def test_times_of_others(stored: object, expected: dt.datetime | None) -> None:
    """Naive text, seconds, milliseconds and null."""
    record = foreign(timestamp=stored)
    assert record.timestamp == expected
    assert copied(record) == record


@pytest.mark.parametrize("stored", ["yesterday", "\ud800", "NaN", [1], {"at": 5}, 1e300, True, 10**400])
def test_a_time_that_is_none_is_copied(stored: Any) -> None:
    """What stands for the time and is none stays in extra, and a copy has it in its place."""
    record = foreign(timestamp=stored, own=[1])
    assert (record.timestamp, record.extra) == (None, {"timestamp": stored, "own": [1]})
    assert list(json.loads(line_of(record)))[1] == "timestamp"
    assert json.loads(line_of(record))["timestamp"] == stored
    assert line_of(record).count(b'"timestamp"') == 1
    assert copied(record) == record


def test_missing_fields_and_nulls() -> None:
    """Only the number is needed; everything else has a meaning when it is missing or null."""
    nulls = dict.fromkeys([*list(ORIGINAL)[1:], "id", "run_id", "duration_s", "tags"])
    for record in (foreign(), foreign(**nulls)):
        assert (record.code, record.code_hash, record.metrics, record.feedback) == (None, None, {}, "")
        assert (record.used_fallback, record.success, record.error, record.tags) == (False, True, None, ())
        assert record.extra == {}
        assert copied(record) == record
    assert foreign(error="boom").success is False
    assert foreign(error="boom", success=True).success is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 5),
        ("run_id", ["a"]),
        ("parent_id", 0),
        ("status", {"kept": True}),
        ("duration_s", "5 s"),
        ("duration_s", -1),
        ("duration_s", 10**400),
        ("tags", "a,b"),
        ("tags", [1, 2]),
        ("success", "false"),
        ("used_fallback", ["x"]),
    ],
)
def test_a_field_used_for_something_else(name: str, value: Any) -> None:
    """An optional field of another type stays in extra and is written again in a copy, and only once."""
    record = foreign(**{name: value})
    assert record.extra == {name: value}
    line = line_of(record)
    assert json.loads(line)[name] == value
    assert line.count(b'"%b":' % name.encode()) == 1
    assert copied(record) == record


def test_a_count_of_true() -> None:
    """Numbers for truth values, as other languages write them, mean what they say."""
    assert (foreign(success=0).success, foreign(used_fallback=1).used_fallback) == (False, True)


@pytest.mark.parametrize(("field", "value"), [("feedback", {"a": 1}), ("error", [1]), ("error", 5)])
def test_text_that_is_something_else(field: str, value: object) -> None:
    """A feedback or error that is no text is its JSON."""
    assert getattr(foreign(**{field: value}), field) == json.dumps(value)


def test_unknown_fields_survive_copies(tmp_path: Path) -> None:
    """Read from one history and appended to another, twice, unknown fields stand at the top level in their order."""
    own = {"zeta": {"deep": [1, None]}, "extra": {"a": 1}, "alpha": "\ud800", "big": 10**30, "nan": "NaN"}
    source = tmp_path / "others.jsonl"
    source.write_text(json.dumps({**ORIGINAL, **own}) + "\n")
    with open_history(source) as first, open_history(tmp_path / "a") as second, open_history(tmp_path / "b") as third:
        second.extend(first)
        third.append(next(iter(second)))
        assert list(third) == list(first)
        assert next(iter(third)).extra == own
    names = list(json.loads((tmp_path / "b").read_bytes()))
    assert names == [*ORIGINAL, *own, "crc"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"iteration": 1, "code": "x"}\r',
        b'\xef\xbb\xbf{"iteration": 1, "code": "x"}',
        b'  {"iteration": 1, "code": "x"}  ',
        b'{"iteration": 0, "code": "y", "iteration": 1, "code": "x"}',
        b'{"code": "x", "iteration": 1.0}',
    ],
    ids=["CRLF", "BOM", "spaces", "duplicate keys: the last wins", "a number with a point"],
)
def test_other_ways_to_write_a_record(line: bytes) -> None:
    """Line ends, marks, spaces, order and duplicate keys of other programs."""
    record = decode_line(line)
    assert (record.iteration, record.code, record.extra) == (1, "x", {})


def test_our_line_rewritten_by_another_program() -> None:
    """A checksum and a mark that no longer stand where they stood are not taken for fields, nor copied."""
    record = make_record(extra={"own": 1})
    line = line_of(record, more=2)
    for rewritten in (
        line + b"\r",
        json.dumps(json.loads(line)).encode(),
        json.dumps(json.loads(line), indent=1).encode(),
    ):
        assert decode_line(rewritten) == record
        copy = line_of(decode_line(rewritten))
        assert (copy, lines_to_follow(copy)) == (line_of(record), 0)


@pytest.mark.parametrize("field", ["metrics", "mine", "feedback", "error", "code_hash", "tags"])
@pytest.mark.parametrize("depth", [101, 450, 600, 900, 2000])
def test_a_deeply_nested_line_costs_itself_at_most(tmp_path: Path, field: str, depth: int) -> None:
    """However deep another program's values nest, the records around them are read, verified and gone on from."""
    path = tmp_path / "run.jsonl"
    nested = "[" * depth + "]" * depth
    fields = ', "code": "x"' + (f', "metrics": {{"a": {nested}}}' if field == "metrics" else f', "{field}": {nested}')
    path.write_text(f'{{"iteration": 1}}\n{{"iteration": 2{fields}}}\n')
    with open_history(path, durability="flush") as history:
        assert history.resume().next_iteration == 3
        history.save(code=None, metrics={}, feedback="")
        assert {1, 3} <= {record.iteration for record in history} <= {1, 2, 3}
        assert {1, 3} <= {record.iteration for record in reversed(history)} <= {1, 2, 3}
        assert history.verify().records == len(history)


@pytest.mark.parametrize("field", ["feedback", "error", "code_hash", "tags"])
def test_a_line_as_deep_as_the_stack_is_read_or_damaged(field: str) -> None:
    """Where parsing just succeeds, what comes after it has no more stack, and still no other error."""
    damaged = 0
    for depth in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit()):
        line = b'{"iteration": 1, "code": "x", "%b": %b}' % (field.encode(), b"[" * depth + b"]" * depth)
        try:
            stored_hash_differs(line, decode_line(line))
        except DamagedLineError as damage:
            damaged += damage.kind is FaultKind.JSON
    assert 0 < damaged < 300


@pytest.mark.parametrize(
    "line",
    [
        b"[1, 2]", b"5", b'"text"', b"null", b"{}", b'{"code": "x"}', b'{"iteration": null}', b'{"iteration": "1"}',
        b'{"iteration": -1}', b'{"iteration": true}', b'{"iteration": 1.5}', b'{"iteration": 9223372036854775808}',
        b'{"iteration": 1e300}', b'{"iteration": 1, "code": 5}', b'{"iteration": 1, "metrics": [1]}',
    ],
)  # fmt: skip
def test_json_that_is_no_record(line: bytes) -> None:
    """JSON without a number that an iteration can have is reported as another program's."""
    with pytest.raises(DamagedLineError) as caught:
        decode_line(line)
    assert caught.value.kind is FaultKind.RECORD


@pytest.mark.parametrize(
    "line",
    [b"{", b'  "iteration": 1,', b"}", b"iteration=1", b'{"iteration": 1}}', b"[" * 100_000,
     b'{"iteration": 1, "x": "\xff"}', b'{"iteration": 1, "n": ' + b"9" * 5000 + b"}", b"\x18"],
)  # fmt: skip
def test_what_is_no_json(line: bytes) -> None:
    """Pretty-printed pieces, text, and numbers no Python reads are reported as no JSON."""
    with pytest.raises(DamagedLineError) as caught:
        decode_line(line)
    assert caught.value.kind is FaultKind.JSON


def test_a_line_in_another_order_with_a_right_checksum() -> None:
    """Another implementation of the format may order fields as it likes, and leave out what is null."""
    line = with_crc(b'{"id":"aa","own":1,"iteration":7,"metrics":{"a":"NaN"},"code":null,"tags":["t"],"duration_s":3')
    record = decode_line(line)
    assert (record.iteration, record.id, record.tags, record.duration_s) == (7, "aa", ("t",), 3.0)
    assert (record.extra, str(record.metrics["a"])) == ({"own": 1}, "nan")
    assert copied(record) == record


def test_a_mixed_file_is_a_history(tmp_path: Path) -> None:
    """Junk between records of others costs nothing but itself: all are read, and appended to."""
    path = tmp_path / "mixed.jsonl"
    lines = [
        json.dumps(ORIGINAL).encode(), b"", b"   ", b"[1]",
        b'{"iteration": 5, "metrics": {"a": Infinity}}\r', b"{", b'{"iteration": 6}'
    ]  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    before = path.read_bytes()
    with open_history(path) as history:
        assert [record.iteration for record in history] == [4, 5, 6]
        assert [record.iteration for record in reversed(history)] == [6, 5, 4]
        assert [fault.kind for fault in history.verify().faults] == [
            FaultKind.CODE_HASH,
            FaultKind.RECORD,
            FaultKind.JSON,
        ]
        assert history.save(code="x", metrics={}, feedback="").iteration == 7
        assert len(history) == 4
    assert path.read_bytes().startswith(before + b"\n")
