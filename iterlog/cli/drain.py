"""``iterlog drain``: what waits in a spool goes into its store, now; and how a spool is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import iterlog
from iterlog.cli.command import Format, command, format_options, url_argument
from iterlog.cli.escape import visible
from iterlog.cli.output import Output
from iterlog.cli.progress import Progress
from iterlog.cli.reading import opened
from iterlog.cli.tables import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator


@command(
    "drain",
    examples=[
        ("iterlog drain s3://bucket/run", "store what a loop had to leave in its spool"),
        ("iterlog drain --spool runs/spool s3://bucket/run", "of a spool that was opened by its path"),
        ("iterlog drain --json s3://bucket/run", "the same, told to a program"),
    ],
)
@url_argument
@click.option("--spool", "place", metavar="DIRECTORY", help="The spool; by default the one of spool=true.")
@format_options(Format.JSON)
def drain(url: str | None, place: str | None, form: Format) -> None:
    """Bring everything that waits in a history's spool into its store.

    Ends with exit code 5 while the store is away, and changes nothing then. A loop may be running.
    """
    named = iterlog.HistoryURL.parse(url).query.get("spool", True)
    with opened(url, spool=named if place is None else place) as history:
        if not isinstance(history, iterlog.SupportsSpool):
            raise click.UsageError("this history is opened without a spool; name it with --spool")
        before = history.spool.records
        try:
            with Progress() as progress:
                history.drain(lambda lines: progress.add("drained", lines))
        finally:
            _show(before, history.spool, form)


def spool_rows(status: iterlog.SpoolStatus) -> Iterator[tuple[str, str]]:
    """Yield labels and texts that show a spool to people."""
    yield "spool", f"{status.state} since {status.since:%Y-%m-%d %H:%M:%S} UTC, in {visible(status.path)}"
    if status.records:
        oldest = f", the oldest of {status.oldest:%Y-%m-%d %H:%M:%S} UTC" if status.oldest else ""
        yield "waiting", f"{status.records} records, {status.bytes} bytes{oldest}"
    if status.error:
        yield "last error", visible(status.error)


def spool_fields(status: iterlog.SpoolStatus) -> dict[str, Any]:
    """Return what shows a spool to a program."""
    return {
        "state": status.state.value,
        "records": status.records,
        "bytes": status.bytes,
        "oldest": status.oldest and status.oldest.isoformat(),
        "since": status.since.isoformat(),
        "error": status.error,
        "path": status.path,
    }


def _show(before: int, status: iterlog.SpoolStatus, form: Format) -> None:
    out, drained = Output(), max(0, before - status.records)
    if form is Format.JSON:
        out.data(json_line({"drained": drained, **spool_fields(status)}))
        return
    out.text(f"{drained} records drained, {status.records} wait")
