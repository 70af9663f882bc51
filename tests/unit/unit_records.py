"""Records, lines and histories the unit tests begin with."""

from __future__ import annotations

import datetime as dt
import zlib
from typing import Any

from iterlog import IterationRecord
from iterlog.lines import encode_body, finish_line

MOMENT = dt.datetime(2025, 1, 9, 12, 34, 56, 789012, tzinfo=dt.UTC)


def make_record(**fields: Any) -> IterationRecord:
    """Return a record with the fields a test is about; the others are always the same."""
    given: dict[str, Any] = {
        "iteration": 3,
        "code": "x = 1",
        "metrics": {"sharpe_ratio": 1.25},
        "feedback": "go on",
        "timestamp": MOMENT,
        "id": "00112233aabbccdd",
    }
    return IterationRecord(**{**given, **fields})


def line_of(record: IterationRecord, more: int = 0) -> bytes:
    """Return a record's line."""
    assert record.iteration is not None
    return finish_line(record.iteration, encode_body(record), more)


def with_crc(head: bytes) -> bytes:
    """Return a line by the words of the format: the CRC-32 of the bytes before ``,"crc"``, as 8 hex digits."""
    return head + b',"crc":"' + format(zlib.crc32(head), "08x").encode() + b'"}'
