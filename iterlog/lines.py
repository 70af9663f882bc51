"""A record as one line of JSON, and back. The only room that knows JSON.

A line is one JSON object in UTF-8, the nine original fields first and in their order, then the optional ones that are
set, then the user's own, and last ``crc``: the CRC-32 (as in zlib) of the line's bytes before ``,"crc"``, as 8 hex
digits. A line without ``crc`` is accepted, so that files of other programs are valid histories. Every line of an append
of several records but the last carries ``_more``, just before ``crc``: how many lines of the same append follow. So a
reader can tell a whole batch from one that a crash cut short between two lines.

A line's bytes do not depend on which optional packages are installed: msgspec writes it, and what msgspec refuses
(lone surrogates) the standard library writes, always.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import zlib
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from iterlog.errors import RecordError
from iterlog.record import LINE_FIELDS, OPTIONAL_FIELDS, ORIGINAL_FIELDS, IterationRecord, hash_code, parse_timestamp
from iterlog.reports import FaultKind
from iterlog.values import plain, unwire, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

MORE_KEY = b',"_more":'
"""What stands in a line only when lines of the same append follow it."""

_CRC_KEY = b',"crc":"'
_CRC_SIZE = len(_CRC_KEY) + 8 + len(b'"}')

MORE_WINDOW = -(len(MORE_KEY) + 10 + _CRC_SIZE)
"""From where, counted from a line's end, `MORE_KEY` can stand."""
_RECORD_START = b'{"iteration":'
_NUMBER_AT = len(_RECORD_START)
_BOM = b"\xef\xbb\xbf"
_TEXT_FIELDS = frozenset({"id", "run_id", "parent_id", "status"})
_KNOWN_FIELDS = frozenset({*ORIGINAL_FIELDS, *OPTIONAL_FIELDS, *LINE_FIELDS})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_crc32 = zlib.crc32


class DamagedLineError(Exception):
    """A line holds no readable record; never leaves the package."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def encode_body(record: IterationRecord) -> bytes:
    """Return what stands in a record's line between the number and the checksum.

    Encoding is the costly part and needs no number, so it is done before any lock is taken.

    Raises:
        RecordError: A value was changed, after the record was made, into one that cannot be stored.
    """
    fields = record.fields_after_iteration()
    if not _is_flat(record.metrics):
        fields["metrics"] = wire(plain(record.metrics, "metrics"))
    if record.extra and not _is_flat(record.extra):
        fields.update(wire(plain(record.extra, "extra")))
    try:
        text = _encode(fields)
    except UnicodeEncodeError:
        # Only text with lone surrogates comes here; JSON holds them as \udXXX.
        text = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"the record cannot be written as JSON: {error}") from error
    return text[1:-1]


def finish_line(iteration: int, body: bytes, more: int = 0) -> bytes:
    """Return the line of an encoded record, without its newline.

    Args:
        iteration: The record's number.
        body: What `encode_body` returned.
        more: How many lines of the same append follow.
    """
    head = (
        b'{"iteration":%d,%b%b%d' % (iteration, body, MORE_KEY, more)
        if more
        else b'{"iteration":%d,%b'
        % (
            iteration,
            body,
        )
    )
    return b'%b,"crc":"%08x"}' % (head, _crc32(head))


def finish_lines(bodies: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Return the lines of one append of several numbered, encoded records."""
    last = len(bodies) - 1
    return [finish_line(iteration, body, last - i) for i, (iteration, body) in enumerate(bodies)]


def decode_line(line: bytes) -> IterationRecord:
    """Return the record of a line.

    Raises:
        DamagedLineError: There is none, or its checksum does not match.
    """
    if line[-_CRC_SIZE:-10] == _CRC_KEY and line[-2:] == b'"}':
        if b"%08x" % _crc32(memoryview(line)[:-_CRC_SIZE]) != line[-10:-2]:
            _raise_damaged(line, FaultKind.CHECKSUM, "the checksum does not match")
        try:
            fields = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            fields = _parse(line)
        if type(fields) is dict and (record := _own_record(fields)) is not None:
            return record
        return _record_of(_parse(line), trusted=True)
    if _has_bent_checksum(line):
        _raise_damaged(line, FaultKind.CHECKSUM, "the checksum's own bytes changed")
    return _record_of(_parse(line), trusted=False)


def salvage(line: bytes) -> IterationRecord | None:
    """Return the record that a damaged line ends with, if there is one.

    A line torn by a writer that did not look, or one whose newline was lost, has a whole record behind the damage.
    """
    start = line.rfind(_RECORD_START)
    while start > 0:
        try:
            return decode_line(line[start:])
        except DamagedLineError:
            start = line.rfind(_RECORD_START, 0, start)
    return None


def holds_record(line: bytes) -> bool:
    """Whether `decode_line` or `salvage` would give a record; cheaper than they are for lines with a checksum."""
    if line[-_CRC_SIZE:-10] == _CRC_KEY and b"%08x" % _crc32(memoryview(line)[:-_CRC_SIZE]) == line[-10:-2]:
        return True
    try:
        decode_line(line)
    except DamagedLineError:
        return salvage(line) is not None
    return True


def is_whole_append(tail: bytes) -> bool:
    """Whether bytes without a newline are a complete record that only lacks it, and the last of its append."""
    try:
        decode_line(tail)
    except DamagedLineError:
        return False
    return lines_to_follow(tail) == 0


def iteration_of(line: bytes) -> int:
    """Return the number of a line's record, -1 when it holds none; does not decode lines of our own."""
    if line.startswith(_RECORD_START):
        number = line[_NUMBER_AT : line.find(b",", _NUMBER_AT)]
        if number.isdigit():
            return int(number)
    try:
        return decode_line(line).iteration or 0
    except DamagedLineError:
        return -1


def lines_to_follow(line: bytes) -> int | None:
    """Return how many lines of the same append follow a line; None when the line is damaged and cannot say.

    Lines of other programs stand alone: 0.
    """
    if line[-_CRC_SIZE:-10] != _CRC_KEY:
        return 0 if line[:1] == b"{" and line.rstrip()[-1:] == b"}" and not _has_bent_checksum(line) else None
    start = line.rfind(MORE_KEY, max(0, len(line) + MORE_WINDOW), -_CRC_SIZE)
    number = line[start + len(MORE_KEY) : -_CRC_SIZE]
    if start < 0 or not number.isdigit():
        number = b"0"
    head = line[:-_CRC_SIZE]
    return int(number) if b"%08x" % _crc32(head) == line[-10:-2] else None


def stored_hash_differs(line: bytes, record: IterationRecord) -> bool:
    """Whether a line carries a ``code_hash`` that is not its code's."""
    if record.code is None:
        return False
    stored = json.loads(line.removeprefix(_BOM)).get("code_hash")
    return stored is not None and stored != hash_code(record.code)


def _is_flat(values: dict[str, Any]) -> bool:
    """Whether msgspec writes every value as the format wants it: no nesting, nothing non-finite, no foreign types."""
    for value in values.values():
        kind = type(value)
        if kind is float:
            if not math.isfinite(value):  # msgspec would write null
                return False
        elif not (kind is int or kind is str or kind is bool or value is None):
            return False
    return True


def _parse(line: bytes) -> dict[str, Any]:
    text = line.removeprefix(_BOM)
    try:
        try:
            fields = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # Lone surrogates, NaN literals and numbers beyond a float: msgspec refuses them, the standard library
            # reads them.
            fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        _raise_damaged(line, FaultKind.JSON, f"no JSON: {error}")
    if type(fields) is not dict:
        raise DamagedLineError(FaultKind.RECORD, f"a JSON {type(fields).__name__}, not an object")
    return fields


def _own_record(fields: dict[str, Any]) -> IterationRecord | None:
    """Make a record, in place, of a line as an iterlog writes it: half the time of `_record_of`.

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
            and iteration >= 0
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


def _record_of(fields: dict[str, Any], *, trusted: bool) -> IterationRecord:
    """Make a record of parsed JSON: strict about what makes a record, lenient about what others leave out.

    Args:
        fields: The JSON object; consumed.
        trusted: The line's checksum matched, so an iterlog wrote it and its ``code_hash`` is right.
    """
    take = fields.pop
    if trusted:
        for name in LINE_FIELDS:
            take(name, None)
    iteration = take("iteration", None)
    if type(iteration) is not int or iteration < 0:
        if type(iteration) is not float or not iteration.is_integer() or iteration < 0:
            raise DamagedLineError(FaultKind.RECORD, "it has no iteration number")
        iteration = int(iteration)
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
        "used_fallback": bool(take("used_fallback", False)),
        "success": bool(take("success", error is None)),
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


def _take_optional(fields: dict[str, Any], record: dict[str, Any]) -> None:
    """Move the optional fields into the record; one that another program uses for something else stays in extra."""
    for name in OPTIONAL_FIELDS:
        if name not in fields:
            continue
        value = fields[name]
        if name in _TEXT_FIELDS:
            usable = type(value) is str
        elif name == "duration_s":
            usable = type(value) in {int, float} and math.isfinite(value) and value >= 0
            value = float(value) if usable else value
        else:
            usable = type(value) is list and all(type(tag) is str for tag in value)
            value = tuple(value) if usable else value
        if usable or value is None:
            record[name] = value if usable else record[name]
            del fields[name]


def _text_of(value: Any) -> str | None:
    """Return text as it is and anything else that JSON can hold as its JSON."""
    return value if value is None or type(value) is str else json.dumps(value)


def _has_bent_checksum(line: bytes) -> bool:
    """Whether a line ends in what was a checksum before one or two of its bytes changed.

    Without this, a flipped bit in ``"crc"`` would make the line pass for one of another program, which has none.
    """
    tail = line[-_CRC_SIZE:]
    if len(tail) < _CRC_SIZE:
        return False
    fixed = zip(_CRC_KEY + b'"}', tail[: len(_CRC_KEY)] + tail[-2:], strict=True)
    return 0 < sum(ours != theirs for ours, theirs in fixed) <= 2  # noqa: PLR2004


def _raise_damaged(line: bytes, kind: FaultKind, detail: str) -> NoReturn:
    if b"\0" in line:
        raise DamagedLineError(FaultKind.NUL, f"{line.count(0)} of its {len(line)} bytes are NULs") from None
    raise DamagedLineError(kind, detail) from None
