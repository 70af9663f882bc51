"""Whatever a Python loop produces, turned into values JSON can hold.

`plain` runs once, when a record is made: numpy, pandas and torch scalars, Decimal, datetimes, enums, dataclasses and
the like become str, int, float, bool, None, list and dict of exactly these types. Non-finite floats stay floats in
memory; `wire` turns them into the strings a line holds, and `unwire` turns those back inside ``metrics``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import numbers
import os
import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from iterlog.errors import RecordError

MAX_DEPTH = 100
"""How deep values may nest; deeper is taken for a cycle."""

_MAX_INT = 10**4300  # Python itself refuses to print or read longer ones (sys.set_int_max_str_digits)
_LONGEST_SHOWN = 100
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value: object, where: str) -> Any:
    """Return a value as exact str, int, float, bool, None, list or dict.

    Args:
        value: What the loop produced.
        where: Its name, for the message, such as ``metrics['loss']``.

    Raises:
        RecordError: The value, or one inside it, has no JSON form.
    """
    try:
        return _plain(value, where, 0)
    except (RecordError, MemoryError):
        raise
    except Exception as error:
        # A value's own code failed, or another thread changed it meanwhile.
        raise RecordError(f"{where} cannot be read: {shown(error)}; convert it to plain numbers and text") from error


def shown(value: object) -> str:
    """Return a value for a message: never too long, whatever its ``repr`` does."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - an integer of 5,000 digits has no repr; the message must still come
        return f"a {type(value).__name__} without a repr ({error})"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def wire(value: Any) -> Any:
    """Return a plain value with non-finite floats written as ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.

    Those are the strings of ProtoJSON (https://protobuf.dev/programming-guides/json/).
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [wire(item) for item in value]
    return value


def unwire(value: Any, depth: int = 0) -> Any:
    """Return a read value with the three non-finite strings turned back into floats.

    Deeper than `plain` lets values nest no iterlog wrote one: there it stays as it is, and Python's stack is spared.
    """
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {key: unwire(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [unwire(item, depth + 1) for item in value]
    return value


def joined_surrogates(text: str) -> str:
    """Return text in which two surrogates that make one character are that character.

    JSON cannot tell the two apart, so without this a text could come back different from what was stored. Lone
    surrogates stay.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def _plain(value: object, where: str, depth: int) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line per type
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is str:
        return joined_surrogates(str(value))
    if depth > MAX_DEPTH:
        raise RecordError(f"{where} is nested deeper than {MAX_DEPTH} levels, or contains itself")
    if isinstance(value, enum.Enum):
        return _plain(value.value, where, depth + 1)
    if isinstance(value, int):
        return _plain_int(int(value), where)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return joined_surrogates(str.__str__(value))
    if isinstance(value, decimal.Decimal):
        return _plain_decimal(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return _plain_time(value)
    if isinstance(value, dt.timedelta):
        return float(value.total_seconds())
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, os.PathLike):
        return _plain(os.fspath(value), where, depth + 1)
    if isinstance(value, Mapping):
        return _plain_mapping(value, where, depth)
    if isinstance(value, bytes | bytearray | memoryview):
        raise RecordError(f"{where} is {kind.__name__}, which JSON cannot hold; decode it or encode it as base64")
    if isinstance(value, Sequence | AbstractSet):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _plain(fields, where, depth + 1)
    return _plain_foreign(value, where, depth)


def _plain_mapping(value: Mapping[Any, object], where: str, depth: int) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for key, item in value.items():
        name = _plain_key(key, where)
        if name in items:
            raise RecordError(f"{where} has two keys that both read {shown(name)}; one would hide the other")
        items[name] = _plain(item, f"{where}[{shown(name)}]", depth + 1)
    return items


def _plain_int(value: int, where: str) -> int:
    if not -_MAX_INT < value < _MAX_INT:
        raise RecordError(f"{where} has more than 4,300 digits; store it as text")
    return value


def _plain_decimal(value: decimal.Decimal) -> int | float | str:
    """Keep a Decimal as a number where a float gives the same digits back, else as its text."""
    if value.is_snan():
        return math.nan
    number = float(value)
    if not math.isfinite(number):
        return number if not value.is_finite() else str(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def _plain_time(value: dt.datetime | dt.date | dt.time) -> str | None:
    if value != value:  # noqa: PLR0124 - pandas.NaT is a datetime that equals nothing
        return None
    return value.isoformat()


def _plain_key(key: object, where: str) -> str:
    if isinstance(key, str):
        return joined_surrogates(str.__str__(key))
    if isinstance(key, int | float) or key is None:
        return str(_plain(key, where, 0))
    for_json = _plain(key, f"a key of {where}", 0)
    if isinstance(for_json, str | int | float):
        return str(for_json)
    raise RecordError(f"{where} has a key of type {type(key).__name__}; use text")


def _plain_foreign(value: Any, where: str, depth: int) -> Any:
    """Turn what numpy, pandas, torch and jax produce into plain values, without importing any of them."""
    if type(value).__name__ == "NAType":
        return None
    if (
        type(value).__module__ == "numpy"
        and getattr(value, "dtype", None) is not None
        and value.dtype.kind in {"M", "m"}
    ):
        return _plain(_numpy_times(value), where, depth + 1)
    for method in ("tolist", "item"):
        try:
            convert = getattr(value, method, None)
            converted = convert() if callable(convert) and not isinstance(value, type) else value
        except Exception as error:
            raise RecordError(
                f"{where} is a {type(value).__name__} that gives no plain value: {shown(error)}"
            ) from error
        else:
            if type(converted) is not type(value):
                return _plain(converted, where, depth + 1)
    if isinstance(value, numbers.Real):  # numpy.longdouble, Fraction
        return _plain_real(value, where)
    if isinstance(value, complex):
        return {"real": _plain(value.real, where, depth + 1), "imag": _plain(value.imag, where, depth + 1)}
    raise RecordError(f"{where} is a {type(value).__name__}, which cannot be recorded; convert it to numbers or text")


def _numpy_times(value: Any) -> Any:
    """Return numpy's times as ISO 8601 text, NaT as None, and its spans as seconds.

    Finer than microseconds, their own ``tolist`` gives bare integers.
    """
    if value.dtype.kind == "m":
        return (value / value.dtype.type(1, "s")).tolist()
    return _without_nat(value.astype("str").tolist())


def _without_nat(times: Any) -> Any:
    if isinstance(times, list):
        return [_without_nat(time) for time in times]
    return None if times == "NaT" else times


def _plain_real(value: numbers.Real, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise RecordError(f"{where} is too large for a number; store it as text") from None
