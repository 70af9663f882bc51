"""``iterlog seal``, ``compress``, ``prune`` and ``compact``: keeping a rotating set in order by hand.

A file is a step, and its row is written when the step is done: that is the progress, and what stands there stays done
when the command is ended.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

import iterlog
from iterlog.cli.command import Format, command, format_options, url_argument
from iterlog.cli.output import Output, chat
from iterlog.cli.reading import opened
from iterlog.cli.tables import Column, Table, json_line
from iterlog.registry import find_backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NAME_WIDTH = len("000000000000-000000000999.jsonl.zst")

_COLUMNS: list[Column[iterlog.FileChange]] = [
    Column("from", lambda kept: kept.first, right=True, least=9),
    Column("to", lambda kept: kept.end, right=True, least=9),
    Column("bytes", lambda kept: kept.before_bytes, right=True, least=12),
    Column("now", lambda kept: kept.after_bytes, right=True, least=12),
    Column("file", lambda kept: kept.name, least=_NAME_WIDTH),
]
_FIELDS: list[Column[iterlog.FileChange]] = [
    Column("file", lambda kept: kept.name),
    Column("from", lambda kept: kept.first),
    Column("to", lambda kept: kept.end),
    Column("before_bytes", lambda kept: kept.before_bytes),
    Column("after_bytes", lambda kept: kept.after_bytes),
]

_json_option = format_options(Format.JSON)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@command(
    "seal",
    examples=[
        ("iterlog seal runs/set", "begin a new file with the next record"),
        ("iterlog seal runs/set && iterlog compress runs/set", "have everything compressed now"),
    ],
)
@url_argument
@_json_option
def seal(url: str | None, form: Format) -> None:
    """Seal the file of a rotating set that is appended to, before it is full.

    Running loops go on with a new file. What is sealed can be compressed and removed.
    """
    with _opened_set(url) as rotation:
        sealed = rotation.seal()
    if form is Format.JSON:
        Output().data(json_line({"sealed": sealed}))
    else:
        chat("sealed" if sealed else "nothing to seal: the file that is appended to is empty")


@command(
    "compress",
    examples=[
        ("iterlog compress runs/set", "compress every sealed file that is plain"),
        ("iterlog compress 'rotating:///abs/set?codec=gzip'", "with another codec"),
    ],
)
@url_argument
@_json_option
def compress(url: str | None, form: Format) -> None:
    """Compress the sealed files of a rotating set, each verified before the plain one is removed.

    Running loops do this by themselves. While another process is at it, the command waits for a minute at most.
    """
    with _opened_set(url) as rotation:
        _write(form, rotation.compress(), "nothing to compress")


@command(
    "prune",
    examples=[
        ("iterlog prune --keep-records 100000 runs/set", "remove what is older than the last 100,000 records"),
        ("iterlog prune --keep-age 30d --dry-run runs/set", "say what would be removed"),
        ("iterlog prune 'rotating:///abs/set?keep_bytes=10GB'", "until the set takes no more than that"),
    ],
)
@url_argument
@click.option("--keep-records", metavar="N", help="Keep at least so many of the newest records.")
@click.option("--keep-bytes", metavar="SIZE", help="Remove the oldest files while all take more, such as 10GB.")
@click.option("--keep-age", metavar="AGE", help="Remove files whose last record is older, such as 30d.")
@_dry_run_option
@_json_option
def prune(url: str | None, dry_run: bool, form: Format, **limits: str | None) -> None:
    """Remove the oldest sealed files of a rotating set, never the one that is appended to.

    Whole files are removed; what is to be kept is said by the options, or in the URL. While another process is
    compressing or removing files, the command waits for a minute at most.
    """
    given = {name: text for name, text in limits.items() if text is not None}
    if not given and not any(name in limits for name in iterlog.HistoryURL.parse(url).query):
        raise click.UsageError("say what to keep: --keep-records, --keep-bytes or --keep-age")
    with _opened_set(url, given) as rotation:
        _write(form, rotation.prune(dry_run=dry_run), "nothing to remove")


@command(
    "compact",
    examples=[
        ("iterlog compact runs/set", "merge small files, give footers to those without"),
        ("iterlog compact --recompress --level 19 runs/set", "write every sealed file anew, smaller"),
        ("iterlog compact --dry-run --json runs/set", "say what would be done"),
    ],
)
@url_argument
@click.option("--recompress", is_flag=True, help="Write every sealed file of a set anew at this codec and level.")
@click.option("--codec", metavar="CODEC", help="zstd or gzip.")
@click.option("--level", metavar="N", help="Compression level; for zstd 9 by default, for gzip the fastest.")
@click.option("--max-records", metavar="N", help="Merge up to so many records; 1000 by default.")
@click.option("--max-bytes", metavar="SIZE", help="Merge up to this size, uncompressed; 8MiB by default.")
@_dry_run_option
@_json_option
def compact(url: str | None, recompress: bool, dry_run: bool, form: Format, **options: str | None) -> None:
    """Merge the small sealed files of a rotating set, and give an index to those that have none.

    In an object store: seal every thousand commits that no writer has sealed, and with collect=true in the URL remove
    commits that were sealed a week ago. Readers and running loops carry on meanwhile; no record's position changes.
    """
    given = {name: text for name, text in options.items() if text is not None}
    with _opened_with_segments(url, given) as history:
        _write(form, history.compact(recompress=recompress, dry_run=dry_run), "nothing to compact")


@contextlib.contextmanager
def _opened_set(url: str | None, options: Mapping[str, Any] | None = None) -> Iterator[iterlog.SupportsRotation]:
    # An option that only sets know would be the wrong thing to complain of.
    known = issubclass(find_backend(iterlog.HistoryURL.parse(url)), iterlog.SupportsRotation)
    with _opened_with_segments(url, (options or {}) if known else {}) as history:
        if not isinstance(history, iterlog.SupportsRotation):
            raise iterlog.UnsupportedOperationError(
                "an object store seals by itself, and removes with collect=true only; 'iterlog compact' does both now",
                url=str(iterlog.HistoryURL.parse(url)),
            )
        yield history


@contextlib.contextmanager
def _opened_with_segments(url: str | None, options: Mapping[str, Any]) -> Iterator[iterlog.SupportsSegments]:
    known = issubclass(find_backend(iterlog.HistoryURL.parse(url)), iterlog.SupportsSegments)
    with opened(url, create=False, **options if known else {}) as history:
        if not isinstance(history, iterlog.SupportsSegments):
            raise iterlog.UnsupportedOperationError(
                "this history is no rotating set; 'iterlog rotate' makes one of a plain file", url=history.url
            )
        yield history


def _write(form: Format, steps: Iterable[iterlog.FileChange], nothing: str) -> None:
    """Write a row per step, as it is done."""
    steps = iter(steps)
    first = list(islice(steps, 1))
    if first:
        Table(Output(), form, _FIELDS if form is Format.JSON else _COLUMNS).write(first, steps, live=True)
    elif form is Format.TEXT:
        chat(nothing)
