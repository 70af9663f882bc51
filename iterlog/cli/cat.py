"""``iterlog cat``: whole records, one after the other."""

from __future__ import annotations

import click

from iterlog.cli.command import command, count_option, part_options, start_option, url_argument
from iterlog.cli.escape import visible_json
from iterlog.cli.output import Output
from iterlog.cli.pages import Part, write_record
from iterlog.cli.reading import chosen, chosen_lines, opened_to_read


@command(
    "cat",
    examples=[
        ("iterlog cat run.jsonl -n 1", "everything in the last record"),
        ("iterlog cat run.jsonl --json", "all records, for a program"),
        ("iterlog cat run.jsonl --code -n 1 > best.py", "the code alone"),
        ("iterlog cat run.jsonl --lines > copy.jsonl", "the stored lines, byte by byte"),
    ],
)
@url_argument
@count_option("Only the last N records; with --from, the first N behind it.")
@start_option
@part_options
@click.option("--lines", "part", flag_value=Part.LINES.value, help="The lines as they are stored, damaged ones too.")
def cat(url: str | None, count: int | None, start: str | None, part: str) -> None:
    """Show whole records, oldest first.

    Control characters in stored text are shown as escapes; --code and --lines, written to a file or a pipe, are exact.
    """
    out = Output()
    with opened_to_read(url) as history:
        if part == Part.LINES.value:
            for line in chosen_lines(history, start, count):
                _write_line(out, line)
            return
        for _, record in chosen(history, start, count):
            write_record(out, record, Part(part))


def _write_line(out: Output, line: bytes) -> None:
    if out.terminal:
        line = visible_json(line.decode("utf-8", "backslashreplace")).encode()
    out.data(line + b"\n")
