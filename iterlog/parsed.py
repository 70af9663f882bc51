"""A line's JSON object, parsed, as a record: strict about what makes one, lenient about what other programs leave out.

Nothing a line holds is lost: what is not ours, or is not what it should be, goes to ``extra`` and so into every copy.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Any

from iterlog.errors import RecordError
from iterlog.record import (
    LINE_FIELDS,
    MAX_ITERATION,
    OPTIONAL_FIELDS,
    ORIGINAL_FIELDS,
    IterationRecord,
    hash_code,
    parse_timestamp,
)
from iterlog.reports import FaultKind
from iterlog.values import unwire

_TEXT_FIELDS = frozenset({"id", "run_id", "parent_id", "status"})
_KNOWN_FIELDS = frozenset({*ORIGINAL_FIELDS, *OPTIONAL_FIELDS, *LINE_FIELDS})


class DamagedLineError(Exception):
    """A line holds no readable record; never leaves the package."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def own_record(fields: dict[str, Any]) -> IterationRecord | None:
    """Make a record, in place, of a line as an iterlog writes it: half the time of `record_of`.

    Returns:
        None when the line is anything else; the fields are untouched then.
    """
    try:
        extra = _own_extra(fields)
        moment = dt.datetime.fromisoformat(fields["timestamp"])
        metrics, iteration, code, error = fields["metrics"], fields["iteration"], fields["code"], fields["error"]
        if not (
            extra is not None
            and moment.tzinfo is dt.UTC
            and type(iteration) is int
            and 0 <= iteration <= MAX_ITERATION
            and type(metrics) is dict
            and (code is None or (type(code) is str and type(fields["code_hash"]) is str))
            and (error is None or type(error) is str)
            and type(fields["feedback"]) is str
            and type(fields["used_fallback"]) is bool
            and type(fields["success"]) is bool
        ):
            return None
        del fields["crc"]
    except (KeyError, TypeError, ValueError):
        return None
    fields.pop("_more", None)
    for name in extra:
        del fields[name]
    fields["timestamp"] = moment
    fields["extra"] = extra
    fields.setdefault("id", None)
    for value in metrics.values():
        if type(value) is not float and type(value) is not int:
            fields["metrics"] = unwire(metrics)
            break
    return IterationRecord.from_stored(fields)


def _own_extra(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return the user's own fields of a line; None when an optional field is not as an iterlog writes it."""
    extra = {}
    for name in list(fields)[len(ORIGINAL_FIELDS) :]:
        value = fields[name]
        if name in _TEXT_FIELDS:
            usable = type(value) is str
        elif name == "duration_s":
            usable = type(value) is float and value >= 0
        elif name in _KNOWN_FIELDS:
            usable = name in LINE_FIELDS
        else:
            extra[name] = value
            continue
        if not usable:
            return None
    return extra


def record_of(fields: dict[str, Any], *, trusted: bool) -> IterationRecord:
    """Make a record of parsed JSON: strict about what makes a record, lenient about what others leave out.

    Args:
        fields: The JSON object; consumed.
        trusted: The line's checksum matched, so an iterlog wrote it and its ``code_hash`` is right.
    """
    take = fields.pop
    for name in LINE_FIELDS:
        take(name, None)  # of a line that another program wrote anew: copied, they would say what is not so
    iteration = take("iteration", None)
    if type(iteration) is float and iteration.is_integer():
        iteration = int(iteration)
    if type(iteration) is not int or not 0 <= iteration <= MAX_ITERATION:
        raise DamagedLineError(FaultKind.RECORD, "it has no iteration number")
    code = take("code", None)
    if code is not None and type(code) is not str:
        raise DamagedLineError(FaultKind.RECORD, f"its code is a {type(code).__name__}")
    metrics = take("metrics", None) or {}
    if type(metrics) is not dict:
        raise DamagedLineError(FaultKind.RECORD, f"its metrics are a {type(metrics).__name__}")
    for value in metrics.values():
        if type(value) is not float and type(value) is not int:
            metrics = unwire(metrics)
            break
    code_hash = take("code_hash", None)
    error = _text_of(take("error", None))
    record = {
        "iteration": iteration,
        "code": code,
        "metrics": metrics,
        "feedback": _text_of(take("feedback", None)) or "",
        "used_fallback": _flag_of(fields, "used_fallback", default=False),
        "success": _flag_of(fields, "success", default=error is None),
        "error": error,
        "timestamp": _time_of(fields),
        "id": None,
        "run_id": None,
        "parent_id": None,
        "status": None,
        "duration_s": None,
        "tags": (),
        "extra": fields,
        "code_hash": code_hash if trusted else hash_code(code),
    }
    if fields:
        _take_optional(fields, record)
    return IterationRecord.from_stored(record)


def _time_of(fields: dict[str, Any]) -> dt.datetime | None:
    """Take the timestamp out of a line's fields; one that is no time stays among them, so that a copy still has it."""
    stored = fields.pop("timestamp", None)
    if stored is None:
        return None
    try:
        return parse_timestamp(stored)
    except RecordError:
        fields["timestamp"] = stored
        return None


def _flag_of(fields: dict[str, Any], name: str, *, default: bool) -> bool:
    """Take a truth value out of a line's fields; text, which may mean anything, stays among them."""
    stored = fields.pop(name, None)
    if stored is None:
        return default
    if type(stored) in {bool, int, float}:
        return bool(stored)
    fields[name] = stored
    return default


def _take_optional(fields: dict[str, Any], record: dict[str, Any]) -> None:
    """Move the optional fields into the record; one that another program uses for something else stays in extra."""
    for name in OPTIONAL_FIELDS:
        if name not in fields:
            continue
        value = fields[name]
        if name in _TEXT_FIELDS:
            usable = type(value) is str
        elif name == "duration_s":
            usable = type(value) in {int, float} and 0 <= value <= sys.float_info.max
            value = float(value) if usable else value
        else:
            usable = type(value) is list and all(type(tag) is str for tag in value)
            value = tuple(value) if usable else value
        if usable or value is None:
            record[name] = value if usable else record[name]
            del fields[name]


def _text_of(value: Any) -> str | None:
    """Return text as it is and anything else that JSON can hold as its JSON."""
    if value is None or type(value) is str:
        return value
    try:
        return json.dumps(value)
    except RecursionError as error:
        raise DamagedLineError(FaultKind.JSON, f"its feedback or error is nested too deeply: {error}") from None
