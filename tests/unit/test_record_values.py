"""Whatever a Python loop measures can be recorded, and what cannot be is refused by name."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
import types
import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from unit_records import line_of, make_record

from iterlog import IterationRecord, RecordError
from iterlog.lines import decode_line

if TYPE_CHECKING:
    from collections.abc import Iterator


class Colour(enum.Enum):
    """An enumeration of text."""

    RED = "red"


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    LOW = 1


class Kind(enum.StrEnum):
    """An enumeration that is text."""

    TREND = "trend"


@dataclasses.dataclass
class Trade:
    """A dataclass with a field that is one."""

    price: float
    child: Trade | None = None


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


class Text(str):
    """Text of a class of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


ZONE = dt.timezone(dt.timedelta(hours=2))
VALUES: dict[str, tuple[Any, Any]] = {
    "float16": (np.float16(0.5), 0.5),
    "float32": (np.float32(0.1), 0.10000000149011612),
    "float64": (np.float64(0.1), 0.1),
    "longdouble": (np.longdouble(1.5), 1.5),
    "int8": (np.int8(-3), -3),
    "uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "numpy bool": (np.bool_(True), True),
    "numpy text": (np.str_("é"), "é"),
    "numpy complex": (np.complex64(1 + 2j), {"real": 1.0, "imag": 2.0}),
    "array": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "array without dimensions": (np.array(5), 5),
    "array of objects": (np.array([1, "a", None], dtype=object), [1, "a", None]),
    "masked array": (np.ma.masked_array([1, 2], [False, True]), [1, None]),
    "datetime64 in days": (np.datetime64("2025-01-09"), "2025-01-09"),
    "datetime64 in ns": (np.datetime64("2025-01-09T00:00:00", "ns"), "2025-01-09T00:00:00.000000000"),
    "datetime64 that is none": (np.datetime64("NaT", "ns"), None),
    "datetime64 array": (np.array(["2025-01-09", "NaT"], "M8[ns]"), ["2025-01-09T00:00:00.000000000", None]),
    "timedelta64": (np.timedelta64(1500, "ms"), 1.5),
    "timedelta64 array": (np.array([5, 6], "m8[ns]"), [5e-9, 6e-9]),
    "Series": (pd.Series([1.5, 2.5]), [1.5, 2.5]),
    "Series of integers with a gap": (pd.Series([1, None], dtype="Int64"), [1, None]),
    "Index": (pd.Index(["a", "b"]), ["a", "b"]),
    "Categorical": (pd.Categorical(["a", "b"]), ["a", "b"]),
    "Timestamp": (pd.Timestamp("2025-01-09T01:00:00+02:00"), "2025-01-09T01:00:00+02:00"),
    "Timedelta": (pd.Timedelta("1.5s"), 1.5),
    "NaT": (pd.NaT, None),
    "NA": (pd.NA, None),
    "Series of times": (pd.Series(pd.to_datetime(["2025-01-09", None])), ["2025-01-09T00:00:00", None]),
    "Decimal": (decimal.Decimal("1.10"), 1.1),
    "Decimal beyond a float's digits": (decimal.Decimal("0.1234567890123456789"), "0.1234567890123456789"),
    "Decimal beyond a float's range": (decimal.Decimal("1E+400"), "1E+400"),
    "Decimal infinity": (decimal.Decimal("-Infinity"), -math.inf),
    "Fraction": (fractions.Fraction(1, 4), 0.25),
    "complex": (1j, {"real": 0.0, "imag": 1.0}),
    "datetime": (dt.datetime(2025, 1, 9, 1, tzinfo=ZONE), "2025-01-09T01:00:00+02:00"),
    "date": (dt.date(2025, 1, 9), "2025-01-09"),
    "time": (dt.time(12, 30), "12:30:00"),
    "timedelta": (dt.timedelta(minutes=1, microseconds=5), 60.000005),
    "Enum": (Colour.RED, "red"),
    "IntEnum": (Level.LOW, 1),
    "StrEnum": (Kind.TREND, "trend"),
    "dataclass": (Trade(1.0, Trade(2.0)), {"price": 1.0, "child": {"price": 2.0, "child": None}}),
    "named tuple": (Point(1, 2), [1, 2]),
    "set": ({1}, [1]),
    "frozenset": (frozenset({"a"}), ["a"]),
    "tuple": ((1, (2,)), [1, [2]]),
    "range": (range(3), [0, 1, 2]),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "Counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "mapping proxy": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "Path": (PurePosixPath("/tmp/x"), "/tmp/x"),
    "UUID": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "text of another class": (Text("a"), "a"),
    "keys that are no text": (
        {1: "a", 2.5: "b", None: "c", Colour.RED: "d", np.int64(7): "e", dt.date(2025, 1, 9): "f"},
        {"1": "a", "2.5": "b", "None": "c", "red": "d", "7": "e", "2025-01-09": "f"},
    ),
    "big integer": (10**40, 10**40),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_values_become_plain(value: Any, expected: Any) -> None:
    """A value of any usual type becomes plain in the record, and is the same after its line was read."""
    record = make_record(metrics={"v": value}, extra={"own": [value]})
    assert record.metrics == {"v": expected}
    assert _types(record.metrics["v"]) == _types(expected)
    assert record.extra == {"own": [expected]}
    assert decode_line(line_of(record)) == record


@pytest.mark.parametrize("value", [float("nan"), np.float32("nan"), decimal.Decimal("NaN"), decimal.Decimal("sNaN")])
def test_every_nan_is_a_float(value: Any) -> None:
    """NaN of any library stays a number that is none."""
    read = decode_line(line_of(make_record(metrics={"v": value}))).metrics["v"]
    assert type(read) is float
    assert math.isnan(read)


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
DEEP: Any = 0
for _ in range(102):
    DEEP = [DEEP]


class Unreadable:
    """A value whose array gives an error."""

    def tolist(self) -> list[float]:
        """Fail as a tensor does that is not on this machine."""
        raise RuntimeError("on another device")


class Hostile:
    """A value that fails at every look."""

    def __getattr__(self, name: str) -> object:
        """Fail as a proxy does whose object is gone."""
        raise LookupError(name)


INVALID: dict[str, Any] = {
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "memoryview": memoryview(b"x"),
    "numpy bytes": np.bytes_(b"x"),
    "path of bytes": type("P", (), {"__fspath__": lambda _self: b"x"})(),
    "function": len,
    "lambda": lambda: 0,
    "class": Trade,
    "object": object(),
    "generator": (i for i in range(3)),
    "data frame": pd.DataFrame({"a": [1]}),
    "module": math,
    "exception": ValueError("x"),
    "cycle": CYCLE,
    "too deep": DEEP,
    "5,000 digits": 10**5000,
    "fraction beyond a float": fractions.Fraction(10**400),
    "colliding keys": {1: "a", "1": "b"},
    "key of bytes": {b"a": 1},
    "key that is a tuple": {(1, 2): 1},
    "array that gives an error": Unreadable(),
    "proxy of nothing": Hostile(),
}


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("field", ["metrics", "extra"])
def test_what_cannot_be_stored_is_refused_by_name(value: Any, field: str) -> None:
    """The error names the field and the key, however deep the value stands."""
    with pytest.raises(RecordError, match=rf"{field}\['outer'\]"):
        make_record(**{field: {"outer": [1, value]}})


@pytest.mark.parametrize("field", ["metrics", "extra"])
def test_a_mapping_that_breaks_while_it_is_read(field: str) -> None:
    """A mapping that another thread changes meanwhile is an invalid record, not a crash."""

    class Changing(collections.UserDict[str, float]):
        def __iter__(self) -> Iterator[str]:
            yield "a"
            raise RuntimeError("dictionary changed size during iteration")

    with pytest.raises(RecordError, match=f"{field}.*changed size"):
        make_record(**{field: Changing(a=1.0)})


def test_as_deep_as_allowed() -> None:
    """Nesting that is deep and no cycle is kept."""
    value: Any = 0
    for _ in range(90):
        value = [value]
    record = make_record(metrics={"v": value})
    assert decode_line(line_of(record)) == record


def test_the_callers_values_are_not_kept() -> None:
    """What the loop does with its own metrics afterwards does not change the record."""
    metrics = {"a": 1.0, "list": [1]}
    record = make_record(metrics=metrics)
    metrics["a"] = 2.0
    metrics["list"].append(2)  # type: ignore[attr-defined]  # a mixed dict is a dict of objects
    assert record.metrics == {"a": 1.0, "list": [1]}
    flat = {"a": 1.0}
    record = make_record(metrics=flat)
    flat["a"] = 2.0
    assert record.metrics == {"a": 1.0}


def test_code_of_numpy_text_is_text() -> None:
    """Text of a class of its own becomes plain text, and hashes as such."""
    record = make_record(code=np.str_("x = 1"), feedback=Text("f"))
    assert (type(record.code), record.feedback) == (str, "f")
    assert record.code_hash == make_record().code_hash


def test_equality_knows_nan() -> None:
    """Records are equal when they would be stored the same; NaN equals NaN, 1 does not equal 2."""
    assert make_record(metrics={"a": float("nan")}) == make_record(metrics={"a": float("nan")})
    assert make_record(metrics={"a": 1}) != make_record(metrics={"a": 2})
    assert make_record() != "a record"
    assert hash(make_record()) == hash(make_record())


def test_a_record_from_a_mapping_of_its_line() -> None:
    """`from_dict` takes what `to_dict` gives, the line's own fields aside, and checks the hash."""
    record = make_record(tags=("a",), extra={"own": 1})
    assert IterationRecord.from_dict({**record.to_dict(), "crc": "00000000", "_more": 2}) == record
    with pytest.raises(RecordError, match="code_hash"):
        IterationRecord.from_dict({**record.to_dict(), "code": "another"})


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)
