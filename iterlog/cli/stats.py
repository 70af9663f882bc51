"""``iterlog stats``: a history in a few figures, from one pass over it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click

import iterlog
from iterlog.cli.command import Format, command, format_options, url_argument
from iterlog.cli.drain import spool_fields, spool_rows
from iterlog.cli.output import Output
from iterlog.cli.reading import opened_to_read
from iterlog.cli.tables import Column, Table, json_line
from iterlog.places import local_path
from iterlog.rotation.layout import bytes_in

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

_LABEL_WIDTH = 12


@dataclass
class Range:
    """What one metric did.

    Attributes:
        count: How many records have it.
        numbers: In how many of these it is a finite number.
        least: The smallest of them.
        greatest: The largest of them.
        last: The newest value, whatever it is.
    """

    count: int = 0
    numbers: int = 0
    least: float | None = None
    greatest: float | None = None
    last: Any = None

    def add(self, value: object) -> None:
        """Take in one record's value."""
        self.count += 1
        self.last = value
        if _is_finite_number(value):
            self.numbers += 1
            self.least = value if self.least is None else min(self.least, value)
            self.greatest = value if self.greatest is None else max(self.greatest, value)


@dataclass
class Figures:
    """What `figures_of` counted."""

    records: int = 0
    succeeded: int = 0
    failed: int = 0
    fallback: int = 0
    first_iteration: int | None = None
    last_iteration: int | None = None
    first_time: dt.datetime | None = None
    last_time: dt.datetime | None = None
    with_code: int = 0
    code_hashes: set[bytes] = field(default_factory=set)
    metrics: dict[str, Range] = field(default_factory=dict)

    def add(self, record: iterlog.IterationRecord) -> None:
        """Take in one record."""
        self.records += 1
        self.succeeded += record.success
        self.failed += not record.success
        self.fallback += record.used_fallback
        if self.first_iteration is None:
            self.first_iteration = record.iteration
        self.last_iteration = record.iteration
        if record.timestamp is not None:
            self.first_time = min(self.first_time or record.timestamp, record.timestamp)
            self.last_time = max(self.last_time or record.timestamp, record.timestamp)
        if record.code_hash is not None:
            self.with_code += 1
            self.code_hashes.add(bytes.fromhex(record.code_hash))
        for name, value in record.metrics.items():
            self.metrics.setdefault(name, Range()).add(value)


def _is_finite_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, int):  # math.isfinite refuses those that no float can hold
        return not isinstance(value, bool)
    return isinstance(value, float) and math.isfinite(value)


def figures_of(records: Iterable[iterlog.IterationRecord]) -> Figures:
    """Count what `Figures` holds."""
    figures = Figures()
    for record in records:
        figures.add(record)
    return figures


@command(
    "stats",
    examples=[
        ("iterlog stats run.jsonl", "counts, times, and each metric's range"),
        ("iterlog stats --json run.jsonl", "the same for a program"),
        ("iterlog stats --csv run.jsonl", "the table of metrics alone"),
    ],
)
@url_argument
@format_options(Format.JSON, Format.CSV, Format.MARKDOWN)
def stats(url: str | None, form: Format) -> None:
    """Sum a history up: records, results, times, size, how often code repeats, the range of every metric."""
    out = Output()
    with opened_to_read(url) as history:
        spool = history if isinstance(history, iterlog.SupportsSpool) else None
        try:
            figures = figures_of(history)
        except iterlog.UnavailableError:
            if spool is not None:  # the store is away: what is known of it is what waits for it
                _show_spool(out, spool.spool, form)
            raise
        status = spool.spool if spool is not None else None
        requests = history.stats() if isinstance(history, iterlog.SupportsRequestCounts) else None
    size = _local_size(url)
    if form is Format.JSON:
        asked = {"requests": asdict(requests)} if requests else {}
        out.data(json_line(_as_json(figures, size) | asked | ({"spool": spool_fields(status)} if status else {})))
        return
    if form is Format.TEXT:
        for label, text in _lines(figures, size):
            out.text(f"{label:{_LABEL_WIDTH}}  {text}")
        if requests is not None:
            out.text(f"{'requests':{_LABEL_WIDTH}}  {_shown(requests)}")
        if status is not None:
            _show_spool(out, status, form)
        if not figures.metrics:
            return
        out.text()
    Table(out, form, _METRIC_COLUMNS).write(list(figures.metrics.items()))


def _show_spool(out: Output, status: iterlog.SpoolStatus, form: Format) -> None:
    if form is Format.JSON:
        out.data(json_line({"spool": spool_fields(status)}))
    elif form is Format.TEXT:
        for label, text in spool_rows(status):
            out.text(f"{label:{_LABEL_WIDTH}}  {text}")


_METRIC_COLUMNS: list[Column[tuple[str, Range]]] = [
    Column("metric", lambda item: item[0]),
    Column("records", lambda item: item[1].count, right=True),
    Column("numbers", lambda item: item[1].numbers, right=True),
    Column("min", lambda item: item[1].least, right=True),
    Column("max", lambda item: item[1].greatest, right=True),
    Column("last", lambda item: item[1].last, right=True),
]


def _lines(figures: Figures, size: int | None) -> Iterable[tuple[str, str]]:
    yield "records", f"{figures.records}"
    yield "succeeded", f"{figures.succeeded}"
    yield "failed", f"{figures.failed}"
    yield "fallback", f"{figures.fallback}"
    if figures.records:
        yield "iterations", f"{figures.first_iteration} … {figures.last_iteration}"
    if figures.first_time and figures.last_time:
        yield "time (UTC)", f"{figures.first_time:%Y-%m-%d %H:%M:%S} … {figures.last_time:%Y-%m-%d %H:%M:%S}"
    if size is not None:
        yield "bytes", f"{size}"
    yield "code", f"{len(figures.code_hashes)} different of {figures.with_code}"


def _shown(requests: iterlog.Requests) -> str:
    asked = f"{requests.lists} to list, {requests.gets} to read {requests.bytes_received} bytes"
    return f"{asked}, for these figures"


def _as_json(figures: Figures, size: int | None) -> dict[str, Any]:
    return {
        "records": figures.records,
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "fallback": figures.fallback,
        "first_iteration": figures.first_iteration,
        "last_iteration": figures.last_iteration,
        "first_time": figures.first_time and figures.first_time.isoformat(),
        "last_time": figures.last_time and figures.last_time.isoformat(),
        "bytes": size,
        "with_code": figures.with_code,
        "different_code": len(figures.code_hashes),
        "metrics": {
            name: {
                "records": found.count,
                "numbers": found.numbers,
                "min": found.least,
                "max": found.greatest,
                "last": found.last,
            }
            for name, found in figures.metrics.items()
        },
    }


def _local_size(url: str | None) -> int | None:
    """Return the bytes of a history in a local file or set, None for any other."""
    path = local_path(iterlog.HistoryURL.parse(url))
    try:
        if path is None:
            return None
        return bytes_in(path) if Path(path).is_dir() else Path(path).stat().st_size
    except OSError as error:
        raise click.ClickException(f"the size of the history cannot be read: {error.strerror}") from error
