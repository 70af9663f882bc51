"""A record is checked when it is made: what is wrong is refused with the name of the field."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from unit_records import MOMENT, line_of, make_record

from iterlog import IterationRecord, RecordError, open_history
from iterlog.lines import decode_line
from iterlog.record import LINE_FIELDS, OPTIONAL_FIELDS, ORIGINAL_FIELDS

HUGE = 10**5000
WRONG: list[tuple[str, Any]] = [
    *(("iteration", value) for value in (-1, True, 1.0, 2**63, HUGE, "1", np.array([1, 2]), np.bool_(True))),
    *(("code", value) for value in (b"x", 5, ["x"])),
    *(("metrics", value) for value in (None, [1], "x", 5, b"x")),
    *(("feedback", value) for value in (None, 5, b"x")),
    *(("used_fallback", value) for value in (None, 1, "true", HUGE)),
    *(("success", value) for value in (None, 0, "no", np.int64(1))),
    *(("error", value) for value in (5, ValueError("x"))),
    *(("id", value) for value in (5, b"00")),
    *((name, 5) for name in ("run_id", "parent_id", "status")),
    *(("duration_s", value) for value in (-1, float("nan"), float("inf"), "5", True, HUGE, 10**400)),
    *(("tags", value) for value in ("a", 5, [5], {"a": 1}, HUGE)),
    *(("timestamp", value) for value in ("yesterday", True, dt.date(2025, 1, 9), HUGE, float("nan"), pd.NaT, [1])),
    *(("extra", value) for value in (None, [1], "x")),
]


def _named(value: object) -> str:
    return value if isinstance(value, str) else f"a {type(value).__name__}"


@pytest.mark.parametrize(("field", "value"), WRONG, ids=_named)
def test_a_wrong_field_is_named_and_nothing_is_written(field: str, value: Any) -> None:
    """Every wrong value is a RecordError with the field's name, and the history stays as it was."""
    with open_history(f"memory://wrong-{field}-{id(value)}") as history:
        history.append(make_record(iteration=0))
        given = {"code": "x", "metrics": {}, "feedback": "", field: value}
        if field == "extra":
            with pytest.raises(RecordError, match=field):
                history.save(**given)
        else:
            with pytest.raises(
                RecordError, match="a tag" if isinstance(value, list) and field == "tags" else field
            ) as caught:
                history.append(given)
            assert len(str(caught.value)) < 500
            with pytest.raises(RecordError):
                history.extend([make_record(), given])
        assert len(history) == 1


@pytest.mark.parametrize(
    "name",
    [*ORIGINAL_FIELDS, *OPTIONAL_FIELDS, *LINE_FIELDS],
)
def test_extra_cannot_hide_a_field(name: str) -> None:
    """A name of the format is refused in extra."""
    with pytest.raises(RecordError, match=name):
        make_record(extra={name: 1})


@pytest.mark.parametrize("value", [0, 2**63 - 1, np.int64(5), np.uint8(5), None])
def test_iteration_numbers(value: Any) -> None:
    """Any whole number from 0 to 2**63 - 1 counts, numpy's too; None waits for the store."""
    number = make_record(iteration=value).iteration
    assert number == value
    assert number is None or type(number) is int


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2025-01-09T12:34:56.789012+00:00", MOMENT),
        ("2025-01-09T12:34:56.789012Z", MOMENT),
        ("2025-01-09T12:34:56.789012", MOMENT),
        ("2025-01-09 14:34:56.789012+02:00", MOMENT),
        (MOMENT, MOMENT),
        (MOMENT.astimezone(dt.timezone(dt.timedelta(hours=-5))), MOMENT),
        (MOMENT.astimezone().replace(tzinfo=None), MOMENT),
        (1736426096, MOMENT.replace(microsecond=0)),
        (1736426096.5, MOMENT.replace(microsecond=500000)),
        (1736426096500, MOMENT.replace(microsecond=500000)),
        (-1.0, dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        (pd.Timestamp(MOMENT), MOMENT),
        (pd.Timestamp("2025-01-09T12:34:56.789012345Z"), MOMENT),
        (np.datetime64("2025-01-09T12:34:56.789012"), MOMENT),
        (np.int64(1736426096), MOMENT.replace(microsecond=0)),
    ],
)
def test_timestamps(given: Any, expected: dt.datetime) -> None:
    """Datetimes, ISO text, seconds and milliseconds become one aware time in UTC."""
    timestamp = make_record(timestamp=given).timestamp
    assert timestamp == expected
    assert timestamp is not None
    assert timestamp.tzinfo is dt.UTC


def test_timestamp_and_id_are_made() -> None:
    """Without them a record gets the time of now and an id of 16 hex digits of its own."""
    before = dt.datetime.now(dt.UTC)
    one, two = (IterationRecord(0, "x", {}, "") for _ in range(2))
    assert one.timestamp is not None
    assert before <= one.timestamp <= dt.datetime.now(dt.UTC)
    assert one.id is not None
    assert (len(one.id), int(one.id, 16) >= 0, one.id != two.id) == (16, True, True)


def test_tags_and_duration() -> None:
    """Tags are a tuple of texts, the duration is a float; numpy's numbers count."""
    record = make_record(tags=["a", "b"], duration_s=np.float32(1.5), success=np.bool_(False))
    assert (record.tags, record.duration_s, record.success) == (("a", "b"), 1.5, False)
    assert decode_line(line_of(record)) == record
    assert make_record(tags=None, duration_s=0).duration_s == 0.0


def test_fields_are_missing() -> None:
    """A mapping without code, metrics or feedback names what it lacks; so does what is no mapping."""
    with pytest.raises(RecordError, match="metrics and no feedback"):
        IterationRecord.from_dict({"code": "x"})
    with pytest.raises(RecordError, match="mapping"):
        IterationRecord.from_dict([("code", "x")])  # type: ignore[arg-type]  # a wrong call


def test_a_users_own_extra_field() -> None:
    """A mapping's own top-level "extra" is a field like any other, and comes back at the top level."""
    record = IterationRecord.from_dict({"iteration": 1, "code": "x", "metrics": {}, "feedback": "", "extra": {"a": 1}})
    assert record.extra == {"extra": {"a": 1}}
    assert record.to_dict()["extra"] == {"a": 1}
    assert decode_line(line_of(record)).extra == {"extra": {"a": 1}}


def test_records_can_be_pickled() -> None:
    """A record survives the way to another process, read or made."""
    record = make_record(extra={"own": 1}, tags=("a",))
    assert pickle.loads(pickle.dumps(record)) == record
    assert pickle.loads(pickle.dumps(decode_line(line_of(record)))) == record


def test_a_record_is_frozen() -> None:
    """Fields cannot be assigned."""
    with pytest.raises(AttributeError):
        make_record().code = "y"  # type: ignore[misc]  # that is the point


def test_another_number_is_the_same_record() -> None:
    """The number handed out changes nothing else, the id included."""
    record = make_record(iteration=None)
    assert record.with_iteration(7) == make_record(iteration=7)
