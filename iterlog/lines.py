"""A record as one line of JSON, and back; what the parsed line means, `iterlog.parsed` knows.

A line is one JSON object in UTF-8, the nine original fields first and in their order, then the optional ones that are
set, then the user's own, and last ``crc``: the CRC-32 (as in zlib) of the line's bytes before ``,"crc"``, as 8 hex
digits. A line without ``crc`` is accepted, so that files of other programs are valid histories. Every line of an append
of several records but the last carries ``_more``, just before ``crc``: how many lines of the same append follow. So a
reader can tell a whole batch from one that a crash cut short between two lines.

A line's bytes do not depend on which optional packages are installed: msgspec writes it, and what msgspec refuses
(lone surrogates) the standard library writes, always.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from iterlog.checksums import crc32
from iterlog.errors import RecordError
from iterlog.parsed import DamagedLineError, own_record, record_of
from iterlog.record import LINE_FIELDS, ORIGINAL_FIELDS, IterationRecord, hash_code
from iterlog.reports import FaultKind
from iterlog.values import plain, wire

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

__all__ = [
    "MORE_KEY",
    "MORE_WINDOW",
    "DamagedLineError",
    "decode_line",
    "encode_body",
    "finish_line",
    "finish_lines",
    "has_checksum",
    "holds_record",
    "is_whole_append",
    "iteration_of",
    "lines_to_follow",
    "salvage",
    "stored_hash_differs",
    "timestamp_of",
    "with_checksum",
]

MORE_KEY = b',"_more":'
"""What stands in a line only when lines of the same append follow it."""

_CRC_KEY = b',"crc":"'
_CRC_SIZE = len(_CRC_KEY) + 8 + len(b'"}')

MORE_WINDOW = -(len(MORE_KEY) + 10 + _CRC_SIZE)
"""From where, counted from a line's end, `MORE_KEY` can stand."""
_RECORD_START = b'{"iteration":'
_NUMBER_AT = len(_RECORD_START)
_HEX = b"0123456789abcdef"
_MOST_BENT = 2
_BOM = b"\xef\xbb\xbf"

_NEVER_OWN = frozenset({*ORIGINAL_FIELDS, *LINE_FIELDS}) - {"timestamp", "used_fallback", "success"}
"""What can never stand in ``extra``: the other three are there when another program used them for something else."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode_body(record: IterationRecord) -> bytes:
    """Return what stands in a record's line between the number and the checksum.

    Encoding is the costly part and needs no number, so it is done before any lock is taken.

    Raises:
        RecordError: A value was changed, after the record was made, into one that cannot be stored.
    """
    fields = record.fields_after_timestamp()
    if record.timestamp is None:
        # Another program's line had no time there, or what is none and stands in extra.
        fields = {"timestamp": None, **fields}
    if not _is_flat(record.metrics):
        fields["metrics"] = wire(plain(record.metrics, "metrics"))
    if record.extra:
        for name in _NEVER_OWN & record.extra.keys():
            raise RecordError(f"extra[{name!r}] would hide the line's own field; choose another name")
        if not _is_flat(record.extra):
            fields.update(wire(plain(record.extra, "extra")))
    try:
        text = _json(fields)[1:-1]
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"the record cannot be written as JSON: {error}") from error
    if record.timestamp is None:
        return text
    return b'"timestamp":%b,%b' % (_encoded_moment(record.timestamp), text)


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
    return with_checksum(head)


def with_checksum(head: bytes) -> bytes:
    """Return the line that begins with some bytes of a JSON object: the same with the checksum as its last field."""
    return b'%b,"crc":"%08x"}' % (head, crc32(head))


def has_checksum(line: bytes) -> bool:
    """Whether a line ends with the checksum of what stands before it."""
    return line[-_CRC_SIZE:-10] == _CRC_KEY and b"%08x" % crc32(memoryview(line)[:-_CRC_SIZE]) == line[-10:-2]


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
        if b"%08x" % crc32(memoryview(line)[:-_CRC_SIZE]) != line[-10:-2]:
            _raise_damaged(line, FaultKind.CHECKSUM, "the checksum does not match")
        try:
            fields = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            fields = _parse(line)
        if type(fields) is dict and (record := own_record(fields)) is not None:
            return record
        return record_of(_parse(line), trusted=True)
    if _has_bent_checksum(line):
        _raise_damaged(line, FaultKind.CHECKSUM, "the checksum's own bytes changed")
    return record_of(_parse(line), trusted=False)


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
    if has_checksum(line):
        return True
    try:
        decode_line(line)
    except DamagedLineError:
        return salvage(line) is not None
    return True


def timestamp_of(line: bytes) -> dt.datetime | None:
    """Return when a line's record was made; None when it does not say, or is damaged."""
    try:
        return decode_line(line).timestamp
    except DamagedLineError:
        return None


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
    return int(number) if b"%08x" % crc32(head) == line[-10:-2] else None


def stored_hash_differs(line: bytes, record: IterationRecord) -> bool:
    """Whether a line carries a ``code_hash`` that is not its code's."""
    if record.code is None:
        return False
    stored = _parse(line).get("code_hash")
    return stored is not None and stored != hash_code(record.code)


def _json(fields: dict[str, Any]) -> bytes:
    try:
        return _encode(fields)
    except UnicodeEncodeError:
        # Only text with lone surrogates comes here; JSON holds them as \udXXX.
        return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()


def _encoded_moment(moment: dt.datetime) -> bytes:
    """Return a time in UTC as JSON, with six digits of microseconds and ``+00:00``."""
    if moment.microsecond:
        return b'%b+00:00"' % _encode(moment)[:-2]  # msgspec writes "…Z", five times as fast as isoformat
    return _encode(moment.isoformat(timespec="microseconds"))


def _is_flat(values: dict[str, Any]) -> bool:
    """Whether msgspec writes every value as the format wants it: no nesting, nothing non-finite, no foreign types."""
    for name, value in values.items():
        if type(name) is not str:  # msgspec would write bytes as base64
            return False
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


def _has_bent_checksum(line: bytes) -> bool:
    """Whether a line ends in what was a checksum before one or two of its bytes changed.

    Without this, a flipped bit in ``"crc"`` would make the line pass for one of another program, which has none.
    """
    tail = line[-_CRC_SIZE:]
    if len(tail) < _CRC_SIZE:
        return False
    fixed = zip(_CRC_KEY + b'"}', tail[: len(_CRC_KEY)] + tail[-2:], strict=True)
    bent = sum(ours != theirs for ours, theirs in fixed)
    # Counting what is no digit as well leaves alone a field of the user's own such as "src":"main.cpp".
    return 0 < bent <= _MOST_BENT and bent + sum(byte not in _HEX for byte in tail[len(_CRC_KEY) : -2]) <= _MOST_BENT


def _raise_damaged(line: bytes, kind: FaultKind, detail: str) -> NoReturn:
    if b"\0" in line:
        raise DamagedLineError(FaultKind.NUL, f"{line.count(0)} of its {len(line)} bytes are NULs") from None
    raise DamagedLineError(kind, detail) from None
