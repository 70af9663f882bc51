"""``iterlog verify`` and ``iterlog repair``: what is damaged, and putting the end in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from iterlog.cli.command import Format, command, format_options, url_argument
from iterlog.cli.exits import ExitCode
from iterlog.cli.output import Output, chat
from iterlog.cli.reading import opened, opened_to_read
from iterlog.cli.tables import Column, Table, json_line

if TYPE_CHECKING:
    import iterlog

_FAULT_COLUMNS: list[Column[iterlog.Fault]] = [
    Column("position", lambda fault: str(fault.position), right=True),
    Column("kind", lambda fault: str(fault.kind)),
    Column("what is wrong, and what to do", lambda fault: f"{fault.detail}; {fault.advice}"),
]
_FAULT_FIELDS: list[Column[iterlog.Fault]] = [
    *_FAULT_COLUMNS[:2],
    Column("detail", lambda fault: fault.detail),
    Column("advice", lambda fault: fault.advice),
]
_DROPPED_COLUMNS: list[Column[iterlog.Dropped]] = [
    Column("position", lambda dropped: str(dropped.position), right=True),
    Column("bytes", lambda dropped: dropped.size, right=True),
    Column("kind", lambda dropped: str(dropped.kind)),
    Column("kept_at", lambda dropped: dropped.kept_at),
]
_FORMATS = (Format.JSON, Format.CSV, Format.MARKDOWN)


@command(
    "verify",
    examples=[
        ("iterlog verify run.jsonl", "check every stored line"),
        ("iterlog verify run.jsonl && deploy", "go on only when nothing is damaged"),
        ("iterlog verify --json run.jsonl", "the same for a program"),
    ],
)
@url_argument
@format_options(*_FORMATS)
@click.pass_context
def verify(context: click.Context, url: str | None, form: Format) -> None:
    """Check every line of a history and say what is damaged, where, and what can be done. Changes nothing.

    Ends with exit code 4 when damage is found. A position is the one after the damage: 'iterlog show --from' goes on
    behind it. While a loop is appending, its record in flight may show as torn.
    """
    with opened_to_read(url) as history:
        report = history.verify()
    out = Output()
    if form is Format.JSON:
        out.data(json_line(_as_json(report)))
    elif form is Format.TEXT:
        found = f"{len(report.faults)} damaged" if report.faults else "nothing damaged"
        out.text(f"{report.records} records up to position {report.end}, {found}")
        if report.faults:
            Table(out, form, _FAULT_COLUMNS).write(report.faults)
    else:
        Table(out, form, _FAULT_FIELDS).write(report.faults)
    if not report.ok:
        context.exit(ExitCode.DAMAGE)


@command(
    "repair",
    examples=[
        ("iterlog repair run.jsonl", "set a torn end aside now, not at the next append"),
        ("iterlog repair --json run.jsonl", "what was set aside, and where it is kept"),
    ],
)
@url_argument
@format_options(*_FORMATS)
def repair(url: str | None, form: Format) -> None:
    """Put the end of a history in order, as the next append would, and say what was set aside and where.

    Nothing is deleted. Damaged lines in the middle stay where they are: see 'iterlog verify'.
    """
    with opened(url, quiet=True, create=False) as history:
        dropped = history.repair()
    if dropped or form is not Format.TEXT:
        Table(Output(), form, _DROPPED_COLUMNS).write(dropped)
    else:
        chat("nothing to repair")


def _as_json(report: iterlog.VerifyReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "records": report.records,
        "end": str(report.end),
        "faults": [{column.name: column.value(fault) for column in _FAULT_FIELDS} for fault in report.faults],
    }
