"""How the public API is used, with the types it promises; `test_typing` gives this file to mypy, and it also runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, assert_type

import iterlog
from iterlog import (
    Dropped,
    Durability,
    Fault,
    FaultKind,
    HistoryStore,
    Iteration,
    IterationRecord,
    Position,
    ResumePoint,
    VerifyReport,
)

if TYPE_CHECKING:
    from pathlib import Path


def use_a_store(place: Path) -> None:
    """Open, append, read, resume, verify."""
    with iterlog.open_history(place, durability="flush") as history:
        assert_type(history, HistoryStore)
        record = IterationRecord(0, "x", {"a": 1.0}, "f", tags=("t",), extra={"own": 1})
        position = history.append(record)
        assert_type(position, Position)
        assert_type(history.append({"code": None, "metrics": {}, "feedback": ""}, durability=Durability.SYNC), Position)
        assert_type(history.extend([record, {"code": None, "metrics": {}, "feedback": ""}]), Position)
        assert_type(history.save(code="x", metrics={"a": 1}, feedback="", run_id="r"), IterationRecord)
        assert_type(history.read(), Iterator[IterationRecord])
        assert_type(history.read(position), Iterator[IterationRecord])
        assert_type(iter(history), Iterator[IterationRecord])
        assert_type(next(reversed(history)), IterationRecord)
        assert_type(history.entries(), Iterator[tuple[Position, IterationRecord]])
        assert_type(history.lines(), Iterator[tuple[Position, bytes]])
        assert_type(history.tail(3), list[IterationRecord])
        assert_type(history.last(), IterationRecord | None)
        assert_type(history.get(0), IterationRecord | None)
        assert_type(history.follow(idle_s=0), Iterator[IterationRecord])
        assert_type(len(history), int)
        assert_type(history.url, str)
        assert_type(history.closed, bool)
        assert_type(history.repair(), tuple[Dropped, ...])
        use_reports(history.resume(), history.verify())
        with history.iteration(run_id="r") as it:
            assert_type(it, Iteration)
            assert_type((it.number, it.feedback, it.last), tuple[int, str, IterationRecord | None])
            it.code, it.metrics, it.feedback_for_next = "x", {"a": 1}, ""
        assert_type(it.record, IterationRecord | None)


def use_reports(point: ResumePoint, report: VerifyReport) -> None:
    """Read what a history tells about itself."""
    assert_type((point.next_iteration, point.feedback), tuple[int, str])
    assert_type(point.last, IterationRecord | None)
    assert_type(point.dropped, tuple[Dropped, ...])
    assert_type((report.ok, report.records, report.end), tuple[bool, int, Position])
    assert_type(report.faults, tuple[Fault, ...])
    for fault in report.faults:
        assert_type((fault.kind, fault.position, fault.advice), tuple[FaultKind, Position, str])


def use_a_record(record: IterationRecord) -> None:
    """Read the fields of a record."""
    assert_type(record.iteration, int | None)
    assert_type(record.code, str | None)
    assert_type(record.code_hash, str | None)
    assert_type(record.metrics, dict[str, Any])
    assert_type(record.feedback, str)
    assert_type((record.used_fallback, record.success), tuple[bool, bool])
    assert_type(record.error, str | None)
    assert_type(record.timestamp, dt.datetime | None)
    assert_type(
        (record.id, record.run_id, record.parent_id, record.status),
        tuple[str | None, str | None, str | None, str | None],
    )
    assert_type(record.duration_s, float | None)
    assert_type(record.tags, tuple[str, ...])
    assert_type(record.extra, dict[str, Any])
    assert_type(record.to_dict(), dict[str, Any])


def use_positions(text: str) -> None:
    """Store positions as text."""
    assert_type(Position.parse(text), Position)
    assert_type(Position.of(1, 2) < iterlog.START, bool)


def use_the_three_functions(place: Path) -> None:
    """Save, ask for the feedback, ask for the last number."""
    iterlog.HISTORY_FILE = place
    iterlog.HISTORY_FILE = str(place)
    iterlog.save_iteration_result(0, "x", {"a": 1.0}, "f", used_fallback=False, success=True, error=None)
    assert_type(iterlog.load_previous_feedback(successful_only=True), str)
    assert_type(iterlog.get_last_iteration_number(), int)


async def use_asynchronously(history: HistoryStore) -> None:
    """Append and read without blocking the event loop."""
    assert_type(await history.aappend({"code": None, "metrics": {}, "feedback": ""}), Position)
    assert_type(history.aread(), AsyncIterator[IterationRecord])
    async for record in history.aread():
        assert_type(record, IterationRecord)
