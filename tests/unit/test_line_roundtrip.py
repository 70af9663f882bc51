"""Whatever a record holds, its line gives it back."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iterlog import IterationRecord
from iterlog.lines import DamagedLineError, decode_line, encode_body, finish_line, iteration_of, lines_to_follow
from iterlog.record import LINE_FIELDS, OPTIONAL_FIELDS, ORIGINAL_FIELDS

RESERVED = {*ORIGINAL_FIELDS, *OPTIONAL_FIELDS, *LINE_FIELDS}

text = st.text(st.characters(), max_size=30) | st.text(st.characters(categories=["Cs"]) | st.just("a"), max_size=4)
scalars = st.none() | st.booleans() | st.integers() | st.integers(-(10**40), 10**40) | st.floats() | text
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
optional_text = st.none() | text
moments = st.datetimes(timezones=st.just(dt.UTC))


def joined(name: str) -> str:
    """Return a name as a record keeps it: surrogates that make one character joined."""
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


records = st.builds(
    IterationRecord,
    iteration=st.integers(0, 2**63 - 1),
    code=optional_text,
    metrics=st.dictionaries(text.map(joined), values, max_size=4),
    feedback=text,
    used_fallback=st.booleans(),
    success=st.booleans(),
    error=optional_text,
    timestamp=moments,
    id=optional_text,
    run_id=optional_text,
    parent_id=optional_text,
    status=optional_text,
    duration_s=st.none() | st.floats(0, 1e308),
    tags=st.lists(text, max_size=3),
    extra=st.dictionaries(text.map(joined).filter(lambda name: name not in RESERVED), values, max_size=3),
)


@given(records, st.sampled_from([0, 1, 99]))
def test_record_to_line_to_record(record: IterationRecord, more: int) -> None:
    """A record comes back equal; its line is one line of UTF-8 JSON that any parser reads in the format's order."""
    assert record.iteration is not None
    line = finish_line(record.iteration, encode_body(record), more)
    assert b"\n" not in line
    fields = json.loads(line.decode("utf-8"))
    names = list(fields)
    assert tuple(names[:9]) == ORIGINAL_FIELDS
    assert names[-1] == "crc"
    assert [name for name in names if name in record.extra] == list(record.extra)
    assert (lines_to_follow(line), iteration_of(line)) == (more, record.iteration)
    back = decode_line(line)
    assert back == record
    assert back.code_hash == record.code_hash
    assert finish_line(record.iteration, encode_body(back), more) == line


@given(records)
def test_to_dict_and_back(record: IterationRecord) -> None:
    """The mapping of a record makes an equal record."""
    again = IterationRecord.from_dict({**record.to_dict(), "id": record.id})
    assert again == record


@given(st.binary(max_size=60) | st.recursive(scalars, st.lists).map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_record_or_damage(line: bytes) -> None:
    """Whatever stands in a line, reading it ends in a record or in a report of damage, never in another error."""
    with suppress(DamagedLineError):
        assert encode_body(decode_line(line))


foreign_fields = st.fixed_dictionaries(
    {"iteration": st.integers(0, 100)},
    optional=dict.fromkeys((*ORIGINAL_FIELDS[1:], *OPTIONAL_FIELDS, *LINE_FIELDS, "own"), values),
)


@given(foreign_fields)
def test_fields_of_any_type_are_readable_and_copied(fields: dict[str, Any]) -> None:
    """A line whose fields have any types is damage, or a record whose copy reads the same."""
    try:
        record = decode_line(json.dumps(fields).encode())
    except DamagedLineError:
        assert not isinstance(fields.get("code"), str | None) or not isinstance(fields.get("metrics") or {}, dict)
        return
    copy = finish_line(fields["iteration"], encode_body(record))
    assert lines_to_follow(copy) == 0
    assert decode_line(copy) == record
