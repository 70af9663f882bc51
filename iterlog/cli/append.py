"""``iterlog append``: records from a pipe or a file into a history.

Each position is printed once its record is as durable as the history promises, and handed on at once: it is a receipt.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import IO, TYPE_CHECKING

import click

import iterlog
from iterlog.cli.command import command, url_argument
from iterlog.cli.output import Output, OutputGoneError, chat, give_up_stdout, talk
from iterlog.cli.reading import local_file, opened
from iterlog.lines import DamagedLineError, decode_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECKSUM_KEY = b',"crc":"'


@command(
    "append",
    examples=[
        ("my_loop | iterlog append - run.jsonl", "store records as they come"),
        ("iterlog append results.ndjson run.jsonl", "store a file of records"),
        ("iterlog append --batch batch.ndjson run.jsonl", "all of them or none"),
        ("iterlog cat a.jsonl --lines | iterlog append - b.jsonl", "copy a history behind another"),
    ],
)
@click.argument("source", type=click.File("rb"))
@url_argument
@click.option("--batch", is_flag=True, help="Store all records in one append, all or nothing.")
def append(source: IO[bytes], url: str | None, batch: bool) -> None:
    """Store records behind all others and print the position after each.

    SOURCE is a file, or - for standard input: one JSON object a line, with at least "code", "metrics" and "feedback".
    Without "iteration" a record gets the next free number. A bad line ends the command; what stood before it is stored,
    unless --batch was given.
    """
    if source.isatty():
        talk("reading records from the terminal, one JSON object a line; Ctrl-D ends them")
    with opened(url) as history:
        _check_not_itself(source, url)
        if batch:
            records = [record for _, record in _numbered_records(source, "nothing was stored")]
            _Receipts().give(history.extend(records))
            chat(f"{len(records)} records stored")
            return
        receipts = _Receipts()
        for number, record in _numbered_records(source, receipts):
            try:
                receipts.give(history.append(record))
            except iterlog.IterlogError as error:
                raise _about_line(number, error, receipts) from None
        chat(f"{receipts.count} records stored")


class _Receipts:
    """Prints positions. When nobody reads them any more, records are stored all the same."""

    def __init__(self) -> None:
        self.count = 0
        self._out = Output()
        self._last: iterlog.Position | None = None
        self._read = True

    def give(self, position: iterlog.Position) -> None:
        self.count += 1
        self._last = position
        if self._read:
            try:
                self._out.text(str(position))
                self._out.flush()
            except OutputGoneError:
                self._read = False
                give_up_stdout()

    def __str__(self) -> str:
        if self._last is None:
            return "nothing was stored"
        return f"{self.count} records before it were stored, up to position {self._last}"


def _numbered_records(source: IO[bytes], stored: object) -> Iterator[tuple[int, iterlog.IterationRecord]]:
    """Yield each line's number and record.

    Args:
        source: The lines.
        stored: Says, as text, what was stored when a line turns out bad.
    """
    for number, line in enumerate(_lines_of(source), 1):
        text = line.strip().removeprefix(b"\xef\xbb\xbf")
        if text:
            try:
                yield number, _record_of(text)
            except iterlog.RecordError as error:
                raise _about_line(number, error, stored) from None


def _record_of(line: bytes) -> iterlog.IterationRecord:
    """Read a record strictly; a stored line, known by its checksum, as a history would read it."""
    if _CHECKSUM_KEY in line[-20:]:
        try:
            return decode_line(line)
        except DamagedLineError as damage:
            raise iterlog.RecordError(damage.detail) from None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise iterlog.RecordError(f"no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise iterlog.RecordError("no JSON object, but a record is one")
    return iterlog.IterationRecord.from_dict(fields)


def _about_line(number: int, error: iterlog.IterlogError, stored: object) -> iterlog.IterlogError:
    """Let an error say which line it is about and what is safe."""
    error.message = f"line {number}: {error.message}; {stored}"
    return error


def _lines_of(source: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from source
    except OSError as error:
        raise click.ClickException(f"cannot read the records: {error.strerror}") from error


def _check_not_itself(source: IO[bytes], url: str | None) -> None:
    """Refuse to append a file to itself, which would never end."""
    path = local_file(url)
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, or no such file: not the same then
        if path is not None and os.path.samestat(os.fstat(source.fileno()), path.stat()):
            raise click.UsageError("the source is the history itself; name another file, or another history")
