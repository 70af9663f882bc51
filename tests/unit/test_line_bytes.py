"""The bytes of a line are those of the format, one by one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zlib
from typing import Any

import pytest
from unit_records import line_of, make_record, with_crc

from iterlog import lines
from iterlog.lines import decode_line, encode_body, finish_lines

WORKED_EXAMPLE = (
    b'{"iteration":3,"timestamp":"2025-01-09T12:34:56.789012+00:00","code":"x = 1",'
    b'"code_hash":"25d60e6ee0e7a6ba1f6d08d4b0f4c0e19f9fcd2b8fbd24e1f2a3d6a3d1aa0000",'
    b'"metrics":{"sharpe_ratio":1.25},"feedback":"go on","used_fallback":false,"success":true,"error":null,'
    b'"id":"00112233aabbccdd"'
).replace(
    b"25d60e6ee0e7a6ba1f6d08d4b0f4c0e19f9fcd2b8fbd24e1f2a3d6a3d1aa0000", hashlib.sha256(b"x = 1").hexdigest().encode()
)


def test_a_plain_record() -> None:
    """The nine original fields in their order, the id, the checksum; compact, UTF-8, no newline inside."""
    assert line_of(make_record()) == with_crc(WORKED_EXAMPLE)


def test_every_field() -> None:
    """Optional fields follow in their order when set, then the user's own in insertion order, then the checksum."""
    record = make_record(
        iteration=12,
        code="é = '😀'\n",
        metrics={"b": 2, "a": [1.5, None, True], "nested": {"z": float("-inf")}},
        feedback='say "hi"\t',
        used_fallback=True,
        success=False,
        error="ValueError: no",
        run_id="run-1",
        parent_id="ffeeddccbbaa0011",
        status="discard",
        duration_s=2.5,
        tags=["a", "b"],
        extra={"zeta": 1, "alpha": float("nan")},
    )
    code_hash = hashlib.sha256("é = '😀'\n".encode()).hexdigest()
    assert line_of(record) == with_crc(
        (
            '{"iteration":12,"timestamp":"2025-01-09T12:34:56.789012+00:00","code":"é = \'😀\'\\n",'
            f'"code_hash":"{code_hash}","metrics":{{"b":2,"a":[1.5,null,true],"nested":{{"z":"-Infinity"}}}},'
            '"feedback":"say \\"hi\\"\\t","used_fallback":true,"success":false,"error":"ValueError: no",'
            '"id":"00112233aabbccdd","run_id":"run-1","parent_id":"ffeeddccbbaa0011","status":"discard",'
            '"duration_s":2.5,"tags":["a","b"],"zeta":1,"alpha":"NaN"'
        ).encode()
    )


def test_code_none_has_no_hash() -> None:
    """Code that could not be produced is null, and so is its hash."""
    line = line_of(make_record(code=None))
    assert b'"code":null,"code_hash":null,' in line
    assert decode_line(line).code_hash is None


def test_microseconds_are_always_six_digits() -> None:
    """A timestamp on the full second, and one with trailing zeros, are as long as any other."""
    for text in (
        "2025-01-09T12:34:56.000000+00:00",
        "2025-01-09T12:34:56.120000+00:00",
        "0001-01-01T00:00:00.000001+00:00",
    ):
        assert b'"timestamp":"%b"' % text.encode() in line_of(make_record(timestamp=text))


def test_an_offset_becomes_utc() -> None:
    """A time of any zone is written in UTC."""
    line = line_of(make_record(timestamp="2025-01-09T14:34:56.789012+02:00"))
    assert b'"timestamp":"2025-01-09T12:34:56.789012+00:00"' in line


def test_more_stands_just_before_the_checksum() -> None:
    """In a batch each line but the last says how many follow; the mark is covered by the checksum."""
    assert line_of(make_record(), more=2) == with_crc(WORKED_EXAMPLE + b',"_more":2')
    body = encode_body(make_record())
    batch = finish_lines([(1, body), (2, body), (3, body)])
    assert [lines.lines_to_follow(line) for line in batch] == [2, 1, 0]
    assert b"_more" not in batch[-1]


def test_more_is_no_field_of_the_record() -> None:
    """A record read from the middle of a batch equals the one that was given."""
    record = make_record(extra={"own": 1})
    assert decode_line(line_of(record, more=7)) == record
    assert decode_line(line_of(record, more=7)).extra == {"own": 1}


def test_a_record_alone_is_not_marked() -> None:
    """A batch of one is a line like any other."""
    assert finish_lines([(3, encode_body(make_record()))]) == [with_crc(WORKED_EXAMPLE)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity")],
)
def test_non_finite_floats(value: float, text: str) -> None:
    """They are strings in the line, at any depth, and floats again when read."""
    line = line_of(make_record(metrics={"a": value, "deep": {"b": [1, [value]]}}))
    assert json.loads(line)["metrics"] == {"a": text, "deep": {"b": [1, [text]]}}
    read = decode_line(line).metrics
    assert [type(read["a"]), str(read["a"])] == [float, str(value)]
    assert str(read["deep"]["b"][1][0]) == str(value)


def test_non_finite_strings_outside_metrics_stay_text() -> None:
    """Only metrics are numbers: a feedback, a tag or a field of the user's own that reads NaN is text."""
    record = decode_line(line_of(make_record(feedback="NaN", tags=("Infinity",), extra={"label": "NaN"})))
    assert (record.feedback, record.tags, record.extra) == ("NaN", ("Infinity",), {"label": "NaN"})


@pytest.mark.parametrize("where", ["code", "feedback", "error", "metrics", "key", "extra"])
def test_lone_surrogates(where: str) -> None:
    """Text that UTF-8 cannot hold is written as an escape and comes back as it was."""
    text = "a\udc80b\ud800"
    places: dict[str, dict[str, Any]] = {
        "metrics": {"metrics": {"m": {"x": text}}},
        "key": {"metrics": {text: 1.0}},
        "extra": {"extra": {text: text}},
    }
    fields = places.get(where, {where: text})
    record = make_record(**fields)
    line = line_of(record)
    assert line.isascii()
    assert b"\\udc80" in line
    assert decode_line(line) == record
    assert decode_line(line).code_hash == record.code_hash


def test_the_hash_of_lone_surrogates() -> None:
    """Their three bytes go into the hash as they are."""
    assert make_record(code="\ud800").code_hash == hashlib.sha256(b"\xed\xa0\x80").hexdigest()


def test_a_pair_split_in_two_is_one_character() -> None:
    """Two surrogates that make a character are that character, before and after the line."""
    record = make_record(code="\ud83d\ude00", feedback="\ud83d\ude00", metrics={"\ud83d\ude00": "\ud83d\ude00"})
    assert record.code == "😀"
    assert record.metrics == {"😀": "😀"}
    assert decode_line(line_of(record)) == record


def test_big_integers() -> None:
    """Integers of any size up to 4,300 digits are exact."""
    numbers = [2**63, 2**64, -(2**63) - 1, 10**30, -(10**4299)]
    line = line_of(make_record(metrics={str(i): n for i, n in enumerate(numbers)}, extra={"n": [10**30]}))
    assert list(decode_line(line).metrics.values()) == numbers
    assert json.loads(line)["n"] == [10**30]


def test_big_integers_beside_lone_surrogates() -> None:
    """The slower encoder that surrogates need writes the same numbers."""
    record = make_record(code="\ud800", metrics={"n": 10**30, "f": 1e-7, "nan": float("nan")}, duration_s=0.1)
    assert decode_line(line_of(record)) == record


@pytest.mark.parametrize("damage", ["metrics[b'x']", "foreign"])
def test_values_changed_after_construction(damage: str) -> None:
    """Metrics filled in later are checked when they are written: NaN is right, what JSON cannot hold is refused."""
    record = make_record()
    record.metrics["late"] = float("nan")
    record.extra["late"] = [float("inf"), 10**30]
    assert decode_line(line_of(record)).extra == {"late": ["Infinity", 10**30]}
    assert str(decode_line(line_of(record)).metrics["late"]) == "nan"
    if damage == "foreign":
        record.metrics["late"] = object()
    else:
        record.metrics[b"x"] = 1.0  # type: ignore[index]  # what a loop without types may do
    with pytest.raises(ValueError, match="metrics"):
        encode_body(record)


@pytest.mark.parametrize("name", ["crc", "_more", "iteration", "code", "metrics"])
def test_a_line_field_slipped_into_extra_later_is_refused(name: str) -> None:
    """In a line it would hide the record's number or code, or make readers wait for lines that never come."""
    record = make_record(extra={"own": 1})
    record.extra[name] = 3
    with pytest.raises(ValueError, match=name):
        encode_body(record)


def test_a_checksum_that_leaves_out_the_mark_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: were the checksum taken of other bytes, the worked example would not match."""
    monkeypatch.setattr(lines, "crc32", lambda data: zlib.crc32(data[:-1]))
    assert line_of(make_record()) != with_crc(WORKED_EXAMPLE)


BYTES_SCRIPT = """
import sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import datetime, decimal, hashlib
from iterlog import IterationRecord
from iterlog.lines import encode_body, finish_line
out = hashlib.sha256()
for i, code in enumerate(["x", None, "\\ud800", "é😀"]):
    record = IterationRecord(
        i, code, {"a": 0.1, "b": 1e300, "c": 10**30, "d": [1e-7, float("nan")], "e": decimal.Decimal("1.5")}, "f",
        timestamp=datetime.datetime(2025, 1, 9, tzinfo=datetime.UTC), id="00",
        duration_s=1e16, extra={"k": {"x": 5e-324}},
    )
    out.update(finish_line(i, encode_body(record)))
print(out.hexdigest())
"""


def test_bytes_do_not_depend_on_optional_packages() -> None:
    """With numpy, pandas, rich and the like kept from being imported, the lines are the same."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", BYTES_SCRIPT, *blocked], capture_output=True, text=True, check=True
        ).stdout
        for blocked in (
            [],
            ["numpy", "pandas", "orjson", "simplejson", "ujson", "rich", "click", "fsspec", "zstandard", "isal"],
        )
    }
    assert len(digests) == 1
