"""``iterlog last`` and ``iterlog get``: one record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from iterlog.cli.command import command, part_options, url_argument
from iterlog.cli.exits import NotFoundError
from iterlog.cli.output import Output
from iterlog.cli.pages import Part, write_code, write_record
from iterlog.cli.reading import opened_to_read

if TYPE_CHECKING:
    import iterlog


@command(
    "last",
    examples=[
        ("iterlog last run.jsonl", "the newest record"),
        ("iterlog last --json run.jsonl", "the same for a program"),
        ("iterlog last --code run.jsonl > candidate.py", "its code, byte by byte"),
    ],
)
@url_argument
@part_options
def last(url: str | None, part: str) -> None:
    """Show the newest readable record."""
    with opened_to_read(url) as history:
        _write(history.last(), Part(part), f"there is no record yet [{history.url}]")


@command(
    "get",
    examples=[
        ("iterlog get 17 run.jsonl", "everything of iteration 17"),
        ("iterlog get 17 --code run.jsonl > 17.py", "its code, byte by byte"),
        ("iterlog get 17 --json run.jsonl", "the record for a program"),
    ],
)
@click.argument("iteration", type=click.IntRange(min=0))
@url_argument
@part_options
def get(iteration: int, url: str | None, part: str) -> None:
    """Show the newest record with a number."""
    with opened_to_read(url) as history:
        _write(history.get(iteration), Part(part), f"there is no iteration {iteration} [{history.url}]")


def _write(record: iterlog.IterationRecord | None, part: Part, missing: str) -> None:
    if record is None:
        raise NotFoundError(missing)
    if part is not Part.CODE:
        write_record(Output(), record, part)
    elif record.code is None:
        raise NotFoundError(f"iteration {record.iteration} has no code")
    else:
        write_code(Output(), record.code, whole_lines=False)
