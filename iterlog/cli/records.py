"""Records as the columns of a table, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iterlog.cli.command import Format
from iterlog.cli.output import chat, talk
from iterlog.cli.tables import GAP, LONGEST_CELL, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import iterlog
    from iterlog.cli.reading import Entry

_TIME_WIDTH = 19
_RESULT_WIDTH = 8
_METRIC_WIDTH = 9
_NOTE_WIDTH = 20
_HASH_SHOWN = 8
_RESULT_COLOURS = {"failed": "red", "fallback": "yellow"}


def columns_for(
    form: Format, first: Sequence[Entry], metrics: Sequence[str], *, width: int, positions: bool = False
) -> list[Column[Entry]]:
    """Return the columns that show records in a format.

    Args:
        form: Text for people has short columns; the other formats have every field but the code.
        first: Records that say which metrics there are.
        metrics: The metrics the user chose; empty for those of ``first``.
        width: Of a line of text.
        positions: Whether the position after each record is wanted.
    """
    before: list[Column[Entry]] = (
        [Column("position", lambda entry: str(entry.position), right=True)] if positions else []
    )
    if form is Format.TEXT:
        return before + _short_columns(first, metrics, width)
    if form is Format.JSON:
        return before + _full_columns([_metrics_column(metrics)])
    names = metrics or _names_in(first)
    taken = {column.name for column in _full_columns([])} | {"position"}
    return before + _full_columns(
        [_metric_column(name, f"metrics.{name}" if name in taken else name) for name in names]
    )


def warn_of_missing(entries: Sequence[Entry], metrics: Iterable[str]) -> None:
    """Say on stderr which of the chosen metrics no record has."""
    there = _names_in(entries)
    for name in metrics:
        if entries and name not in there:
            talk(f"warning: none of the first records has a metric {name!r}; there are: {', '.join(there) or 'none'}")


def watched_names(entries: Iterable[Entry], first: Sequence[Entry]) -> Iterator[Entry]:
    """Yield entries; at the end, say which metrics came up too late to have a column."""
    known = set(_names_in(first))
    late: dict[str, None] = {}
    for entry in entries:
        late.update(dict.fromkeys(name for name in entry.record.metrics if name not in known))
        yield entry
    if late:
        talk(f"warning: these metrics came up late and have no column, choose them with -m: {', '.join(late)}")


def time_of(record: iterlog.IterationRecord) -> Any:
    """Return when a record was made, for people."""
    if record.timestamp is not None:
        return f"{record.timestamp:%Y-%m-%d %H:%M:%S}"
    return record.extra.get("timestamp")  # what another program wrote there and is no time


def result_of(record: iterlog.IterationRecord) -> str:
    """Return how an iteration ended, in a word."""
    if not record.success:
        return "failed"
    return "fallback" if record.used_fallback else record.status or "ok"


def _short_columns(first: Sequence[Entry], metrics: Sequence[str], width: int) -> list[Column[Entry]]:
    """Return narrow columns, and as many metrics as leave room for them."""
    before: list[Column[Entry]] = [
        Column("iteration", lambda entry: entry.record.iteration, right=True),
        Column("time (UTC)", lambda entry: time_of(entry.record), least=_TIME_WIDTH),
        Column("result", lambda entry: result_of(entry.record), colours=_RESULT_COLOURS, least=_RESULT_WIDTH),
    ]
    if any(entry.record.duration_s is not None for entry in first):
        before.append(Column("seconds", lambda entry: _seconds_of(entry.record), right=True))
    behind: list[Column[Entry]] = [Column("error or feedback", lambda entry: _note_of(entry.record), least=_NOTE_WIDTH)]
    if any(entry.record.code is not None for entry in first):
        behind.insert(0, Column("code", lambda entry: (entry.record.code_hash or "")[:_HASH_SHOWN], least=_HASH_SHOWN))
    names = metrics or _names_that_fit(first, width, before + behind)
    return before + [_metric_column(name, name) for name in names] + behind


def _names_that_fit(first: Sequence[Entry], width: int, others: Sequence[Column[Entry]]) -> list[str]:
    """Return the first numeric metrics, as many as a line has room for beside the other columns, but one at least."""
    names = _simple_names_in(first)
    room = width - sum(max(len(column.name), column.least) + GAP for column in others)
    kept: list[str] = []
    for name in names:
        room -= min(max(len(name), _METRIC_WIDTH), LONGEST_CELL) + GAP
        if kept and room < 0:
            break
        kept.append(name)
    if left := names[len(kept) :]:
        chat(f"{len(left)} more metrics, choose with -m: {', '.join(left)}")
    return kept


def _full_columns(metrics: Sequence[Column[Entry]]) -> list[Column[Entry]]:
    return [
        Column("iteration", lambda entry: entry.record.iteration, right=True),
        Column("timestamp", lambda entry: entry.record.to_dict()["timestamp"]),
        Column("success", lambda entry: entry.record.success),
        Column("used_fallback", lambda entry: entry.record.used_fallback),
        Column("status", lambda entry: entry.record.status),
        Column("duration_s", lambda entry: entry.record.duration_s, right=True),
        *metrics,
        Column("code_hash", lambda entry: entry.record.code_hash),
        Column("error", lambda entry: entry.record.error),
        Column("feedback", lambda entry: entry.record.feedback),
    ]


def _metric_column(name: str, head: str) -> Column[Entry]:
    return Column(head, lambda entry: entry.record.metrics.get(name), right=True, least=_METRIC_WIDTH)


def _metrics_column(names: Sequence[str]) -> Column[Entry]:
    def value(entry: Entry) -> dict[str, Any]:
        metrics = entry.record.metrics
        return {name: metrics[name] for name in names if name in metrics} if names else metrics

    return Column("metrics", value)


def _names_in(entries: Iterable[Entry]) -> list[str]:
    """Return the names of all metrics in the order they first came up."""
    return list(dict.fromkeys(name for entry in entries for name in entry.record.metrics))


def _simple_names_in(entries: Iterable[Entry]) -> list[str]:
    """Return the names of the metrics that are numbers somewhere: those that a narrow column can show."""
    metrics = ((name, value) for entry in entries for name, value in entry.record.metrics.items())
    return list(dict.fromkeys(name for name, value in metrics if isinstance(value, int | float)))


def _seconds_of(record: iterlog.IterationRecord) -> str | None:
    return None if record.duration_s is None else f"{record.duration_s:.2f}"


def _note_of(record: iterlog.IterationRecord) -> str:
    return (record.error or record.feedback).strip().partition("\n")[0]
