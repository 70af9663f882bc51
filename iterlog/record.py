"""One iteration of a loop: what was tried, what came of it, what the next one should know."""

from __future__ import annotations

import datetime as dt
import hashlib
import operator
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from iterlog.errors import RecordError
from iterlog.values import joined_surrogates, plain, shown, wire

ORIGINAL_FIELDS = (
    "iteration",
    "timestamp",
    "code",
    "code_hash",
    "metrics",
    "feedback",
    "used_fallback",
    "success",
    "error",
)
"""The nine fields every line begins with, in this order."""

OPTIONAL_FIELDS = ("id", "run_id", "parent_id", "status", "duration_s", "tags")
"""Fields that stand in a line only when set, in this order, behind the original ones."""

LINE_FIELDS = ("crc", "_more")
"""Fields that belong to the line and not to the record; a record cannot carry them."""

MAX_ITERATION = 2**63 - 1
"""The highest number an iteration can have."""

_RESERVED = frozenset({*ORIGINAL_FIELDS, *OPTIONAL_FIELDS, *LINE_FIELDS})
_MILLISECONDS_FROM = 1e11  # as seconds this would be the year 5138, as milliseconds it is 1973


@dataclass(frozen=True, eq=False)
class IterationRecord:
    """One iteration, validated and ready to be stored.

    Values from numpy, pandas and torch, Decimals, datetimes, enums and dataclasses become plain Python values;
    NaN and infinities stay.

    Attributes:
        iteration: The iteration's number, from 0 on; None lets the store hand out the next one.
        code: The full source text that was run; None when none could be produced.
        metrics: Names and measured values.
        feedback: Text for the next iteration.
        used_fallback: Whether a known-good fallback was run in place of the new code.
        success: Whether it ran without an error. Whether it was kept is ``status``.
        error: What went wrong, or None.
        timestamp: When, as an aware datetime in UTC. Accepts a datetime (a naive one is local time), ISO 8601 text (a
            naive one is UTC), and seconds or milliseconds since 1970. None only in lines of other programs.
        id: 16 random hex digits that tell this record from every other.
        run_id: The run it belongs to.
        parent_id: The ``id`` of the record it was derived from.
        status: Free text; ``keep``, ``discard`` and ``crash`` are the usual words.
        duration_s: Seconds the iteration took.
        tags: Short labels.
        extra: Fields of the user's own, stored at the top level of the line.

    Raises:
        RecordError: A field has the wrong type or a value that cannot be stored.
    """

    iteration: int | None
    code: str | None
    metrics: dict[str, Any]
    feedback: str
    used_fallback: bool = False
    success: bool = True
    error: str | None = None
    timestamp: dt.datetime | None = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    id: str | None = field(default_factory=lambda: os.urandom(8).hex())
    run_id: str | None = None
    parent_id: str | None = None
    status: str | None = None
    duration_s: float | None = None
    tags: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    code_hash: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        fields = self.__dict__
        fields["iteration"] = _checked_iteration(self.iteration)
        fields["code"] = _checked_text(self.code, "code", optional=True)
        fields["code_hash"] = hash_code(self.code)
        fields["metrics"] = _checked_mapping(self.metrics, "metrics")
        fields["feedback"] = _checked_text(self.feedback, "feedback")
        for name in ("used_fallback", "success"):
            fields[name] = _checked_bool(fields[name], name)
        for name in ("error", "id", "run_id", "parent_id", "status"):
            fields[name] = _checked_text(fields[name], name, optional=True)
        fields["timestamp"] = dt.datetime.now(dt.UTC) if self.timestamp is None else parse_timestamp(self.timestamp)
        fields["duration_s"] = _checked_duration(self.duration_s)
        fields["tags"] = _checked_tags(self.tags)
        fields["extra"] = _checked_mapping(self.extra, "extra")
        for name in self.extra:
            if name in _RESERVED:
                raise RecordError(f"extra[{name!r}] would hide the record's own field; choose another name")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Make a record of a mapping such as `to_dict` returns; unknown names go to ``extra``.

        ``iteration`` may be missing or None, and then the store hands it out. A ``code_hash`` is checked against the
        code.

        Raises:
            RecordError: A required field is missing, or a value cannot be stored.
        """
        if not isinstance(fields, Mapping):
            raise RecordError(f"a record is an IterationRecord or a mapping, not {type(fields).__name__}")
        given = dict(fields)
        stored_hash = given.pop("code_hash", None)
        for name in LINE_FIELDS:
            given.pop(name, None)
        missing = [name for name in ("code", "metrics", "feedback") if name not in given]
        if missing:
            raise RecordError(f"the record has no {' and no '.join(missing)}")
        known = {name: given.pop(name) for name in _CONSTRUCTOR_FIELDS if name in given}
        known.setdefault("iteration", None)
        record = cls(**known, extra=given)
        if stored_hash is not None and stored_hash != record.code_hash:
            raise RecordError("code_hash is not the SHA-256 of the code; leave it out, it is derived")
        return record

    @classmethod
    def from_stored(cls, fields: dict[str, Any]) -> Self:
        """Make a record of checked fields, which it takes over: for `iterlog.lines` only.

        Optional fields may be missing; ``id`` and ``extra`` may not, for their defaults are made, not shared.
        """
        record = object.__new__(cls)
        object.__setattr__(record, "__dict__", fields)
        return record

    def with_iteration(self, iteration: int) -> Self:
        """Return the same record, id included, under another number."""
        return self.from_stored({**self.__dict__, "iteration": iteration})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in the order of the line, ``extra`` at the top level, the timestamp as text in UTC."""
        moment = self.timestamp
        timestamp = moment and moment.isoformat(timespec="microseconds")
        return {"iteration": self.iteration, "timestamp": timestamp, **self.fields_after_timestamp()}

    def fields_after_timestamp(self) -> dict[str, Any]:
        """Return what stands in a line behind the number and the timestamp."""
        own = self.__dict__
        fields = {
            "code": own["code"],
            "code_hash": own["code_hash"],
            "metrics": own["metrics"],
            "feedback": own["feedback"],
            "used_fallback": own["used_fallback"],
            "success": own["success"],
            "error": own["error"],
        }
        for name in OPTIONAL_FIELDS:
            value = own.get(name)  # one a line does not have is the class's default
            if value is not None and value != ():
                fields[name] = value
        if own["extra"]:
            fields.update(own["extra"])
        return fields

    def __eq__(self, other: object) -> bool:
        """Compare as stored: the same fields with the same values, NaN being equal to NaN."""
        if not isinstance(other, IterationRecord):
            return NotImplemented
        mine, theirs = self.to_dict(), other.to_dict()
        mine["tags"], theirs["tags"] = list(self.tags), list(other.tags)
        return bool(wire(mine) == wire(theirs))

    def __hash__(self) -> int:
        return hash((self.iteration, self.id, self.code_hash))


_CONSTRUCTOR_FIELDS = tuple(name for name in IterationRecord.__dataclass_fields__ if name not in {"code_hash", "extra"})


def hash_code(code: str | None) -> str | None:
    """Return the lower-case hex SHA-256 of the code's UTF-8 bytes (lone surrogates passed through), None for None."""
    return None if code is None else hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def parse_timestamp(value: object) -> dt.datetime:
    """Return a time in UTC.

    Args:
        value: A datetime (naive: local time of this machine, as everywhere in Python), ISO 8601 text (naive: UTC, so
            that a file reads the same on every machine), or a number of seconds, or milliseconds from 10¹¹ on.

    Raises:
        RecordError: It is none of these.
    """
    try:
        if type(value).__module__ == "numpy":
            value = plain(value, "timestamp")
        if isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        elif isinstance(value, dt.datetime):
            # A pandas Timestamp would warn of the nanoseconds that no timestamp here has room for.
            moment = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
            return dt.datetime.fromtimestamp(seconds, dt.UTC)
        else:
            raise RecordError(f"timestamp is a {type(value).__name__}; give a datetime, ISO 8601 text or seconds")
        return moment if moment.tzinfo is dt.UTC else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"timestamp {shown(value)} is no time: {error}") from None


def _checked_iteration(value: object) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= MAX_ITERATION):
        return value
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]  # for numpy's integers
    except TypeError:
        number = -1
    if not 0 <= number <= MAX_ITERATION:
        raise RecordError(f"iteration is {shown(value)}; give a whole number from 0 to 2**63 - 1, or None for the next")
    return number


def _checked_text(value: Any, name: str, *, optional: bool = False) -> Any:
    if value is None and optional:
        return None
    if not isinstance(value, str):
        raise RecordError(f"{name} is a {type(value).__name__}; give text{' or None' if optional else ''}")
    return joined_surrogates(value if type(value) is str else str.__str__(value))


def _checked_mapping(value: object, name: str) -> Any:
    if type(value) is dict:
        for key, item in value.items():
            kind = type(item)
            if type(key) is not str or not key.isascii() or (kind is not float and not _is_small_int(item)):
                return plain(value, name)
        return value.copy()
    if not isinstance(value, Mapping):
        raise RecordError(f"{name} is a {type(value).__name__}; give a mapping of names to values")
    return plain(value, name)


def _is_small_int(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _checked_bool(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy":
        value = plain(value, name)
        if isinstance(value, bool):
            return value
    raise RecordError(f"{name} is {shown(value)}; give True or False")


def _checked_duration(value: object) -> float | None:
    if value is None:
        return None
    number = plain(value, "duration_s")
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= sys.float_info.max:
        raise RecordError(f"duration_s is {shown(value)}; give seconds as a number from 0 on")
    return float(number)


def _checked_tags(value: object) -> tuple[str, ...]:
    if value is None or value == ():
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        raise RecordError(f"tags is {shown(value)}; give a sequence of texts")
    return tuple(_checked_text(tag, "a tag") for tag in value)
