"""``iterlog show`` and ``iterlog tail``: records as rows."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from iterlog.cli.command import Format, command, count_option, format_options, start_option, url_argument
from iterlog.cli.output import Output
from iterlog.cli.reading import Entry, chosen, last_entries, opened_to_read
from iterlog.cli.records import columns_for, warn_of_missing, watched_names
from iterlog.cli.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOOKED_AT = 1000
_TAIL = 10

_metrics_option = click.option(
    "-m", "--metric", "metrics", multiple=True, metavar="NAME", help="A metric to show; may be repeated."
)
_positions_option = click.option("-p", "--positions", is_flag=True, help="Show the position after each record.")
_rows = format_options(Format.JSON, Format.CSV, Format.MARKDOWN)


@command(
    "show",
    examples=[
        ("iterlog show run.jsonl", "a line per record"),
        ("iterlog show run.jsonl -n 20 -m sharpe_ratio", "the last 20, one metric"),
        ("iterlog show run.jsonl --csv > run.csv", "for a spreadsheet"),
        ("iterlog show run.jsonl --json -p", "for a program, with positions"),
        ("iterlog show run.jsonl --from 18734 -n 50", "the first 50 behind a position"),
    ],
)
@url_argument
@count_option("Only the last N records; with --from, the first N behind it.")
@start_option
@_metrics_option
@_positions_option
@_rows
def show(
    url: str | None, count: int | None, start: str | None, metrics: tuple[str, ...], positions: bool, form: Format
) -> None:
    """Show records as a table, oldest first, a line for each.

    Without -m, text shows the first numeric metrics that a line has room for, CSV and Markdown those of the first
    thousand records, and JSON all. The code is not shown: see 'iterlog cat' and 'iterlog get'.
    """
    with opened_to_read(url) as history:
        entries = chosen(history, start, count, positions=positions)
        first = list(islice(entries, _LOOKED_AT))
        warn_of_missing(first, metrics)
        rest = entries if metrics or form in {Format.TEXT, Format.JSON} else watched_names(entries, first)
        out = Output()
        Table(out, form, columns_for(form, first, metrics, width=out.width, positions=positions)).write(first, rest)


@command(
    "tail",
    examples=[
        ("iterlog tail run.jsonl", "the last 10 records"),
        ("iterlog tail -n 3 run.jsonl", "the last 3"),
        ("iterlog tail -f run.jsonl", "and what a running loop appends; Ctrl-C ends it"),
        ("iterlog tail -n 0 -f --json run.jsonl", "only new ones, for a program"),
    ],
)
@url_argument
@count_option("How many.", default=_TAIL)
@click.option("-f", "--follow", is_flag=True, help="Wait for more records and show each as it comes.")
@_metrics_option
@_rows
def tail(url: str | None, count: int, follow: bool, metrics: tuple[str, ...], form: Format) -> None:
    """Show the last records as a table, oldest first."""
    with opened_to_read(url) as history:
        newest = last_entries(history, max(count, 1))
        first: Sequence[Entry] = newest[-count:] if count else ()
        rest: Iterator[Entry] = iter(())
        if follow:
            start = newest[-1].position if newest else None
            rest = (Entry(None, record) for record in history.follow(start))
            if not first:
                first = list(islice(rest, 1))
        out = Output()
        Table(out, form, columns_for(form, first, metrics, width=out.width)).write(first, rest, live=follow)
