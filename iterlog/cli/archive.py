"""``iterlog archive`` and ``iterlog rotate``: whole histories to where they are kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iterlog.cli.command import Format, command, format_options
from iterlog.cli.exits import ExitCode, exit_code_of
from iterlog.cli.output import Output, chat, talk
from iterlog.cli.progress import Progress
from iterlog.cli.reading import warnings_shown
from iterlog.cli.tables import Column, Table, json_line
from iterlog.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iterlog.jobs.archive import Archived
    from iterlog.jobs.many import Outcome

_COLUMNS: list[Column[Outcome]] = [
    Column("state", lambda outcome: "failed" if outcome.archived is None else "done", colours={"failed": "red"}),
    Column("lines", lambda outcome: outcome.archived and outcome.archived.lines, right=True),
    Column("copied", lambda outcome: outcome.archived and outcome.archived.copied, right=True),
    Column("bytes", lambda outcome: outcome.archived and outcome.archived.plain_bytes, right=True),
    Column("source", lambda outcome: outcome.run.source),
    Column("destination", lambda outcome: outcome.run.destination),
]


@command(
    "archive",
    examples=[
        ("iterlog archive run.jsonl archive/run", "into a compressed set, verified"),
        ("iterlog archive --delete-source run.jsonl archive/run", "and remove the file once that is proven"),
        ("iterlog archive --delete-source --keep-last 1000 run.jsonl archive/run", "but leave the end of it"),
        ("iterlog archive --jobs 4 'runs/*/iteration_history.jsonl' archive/", "many at once"),
    ],
)
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("destination", metavar="DST")
@click.option("--codec", metavar="CODEC", help="zstd or gzip, for a rotating set.")
@click.option("--level", metavar="N", help="Compression level; for zstd 9 by default, for gzip the fastest.")
@click.option(
    "--delete-source", is_flag=True, help="Remove the source once everything in it is proven to stand in DST."
)
@click.option(
    "--keep-last", type=click.IntRange(min=1), metavar="N", help="Leave the last N records; with --delete-source."
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="How many at once; by default one per processor.")
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@format_options(Format.JSON)
@click.pass_context
def archive(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    destination: str,
    jobs: int | None,
    form: Format,
    **options: Any,
) -> None:
    """Copy whole histories, every stored line as it stands, prove the copy, and remove the source when asked to.

    Any history can go to any other. A path that does not end in .jsonl becomes a rotating set. Interrupted and called
    again, it goes on where it was. Several sources, a pattern in quotes, or a DST that ends with a slash: each history
    gets a set of its own under DST, named after its path; one that fails does not stop the rest.
    """
    if options["keep_last"] is not None and not options["delete_source"]:
        raise click.UsageError("--keep-last says what is left when the source is removed; give --delete-source, too")
    from iterlog.jobs.many import is_pattern  # noqa: PLC0415 - brings process pools, which other commands do without

    if len(sources) > 1 or is_pattern(sources[0]) or destination.endswith("/"):
        context.exit(_archive_many(sources, destination, jobs, form, options))
    from iterlog.jobs.archive import archive as archive_one  # noqa: PLC0415 - as above

    with Progress() as progress, warnings_shown():
        done = archive_one(sources[0], destination, on_progress=progress.add, **options)
    if form is Format.JSON:
        Output().data(json_line(_as_json(done)))
    else:
        chat(_in_words(done, dry_run=options["dry_run"], emptied=options["delete_source"]))


def _archive_many(
    sources: Sequence[str], destination: str, jobs: int | None, form: Format, options: Mapping[str, Any]
) -> int:
    from iterlog.jobs.many import archive_many, plan  # noqa: PLC0415 - as above

    if "://" in destination:
        raise ConfigError("several histories are archived into a directory; name one", url=destination)
    runs = plan(sources, destination)
    outcomes = []
    with Progress() as progress, warnings_shown():
        for outcome in archive_many(runs, processes=jobs or os.cpu_count() or 1, **options):
            outcomes.append(outcome)
            if form is Format.JSON:
                out = Output()
                out.data(json_line(_outcome_as_json(outcome)))
                out.flush()
            progress.add(f"of {len(runs)} histories:", 1)
    if form is not Format.JSON:
        Table(Output(), form, _COLUMNS).write(sorted(outcomes, key=lambda outcome: outcome.run.source))
    for outcome in outcomes:
        if outcome.error is not None:
            talk(str(outcome.error))
    return ExitCode.ERROR if any(outcome.error for outcome in outcomes) else ExitCode.OK


@command(
    "rotate",
    examples=[
        ("iterlog rotate run.jsonl", "the set stands at run/, and run.jsonl leads there"),
        ("iterlog rotate run.jsonl archive/run", "the set at another place of the same file system"),
        ("iterlog rotate --dry-run --json run.jsonl", "say what would become of it"),
    ],
)
@click.argument("file", metavar="FILE")
@click.argument("directory", required=False, metavar="[DIR]")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@format_options(Format.JSON)
def rotate(file: str, directory: str | None, dry_run: bool, form: Format) -> None:
    """Turn a plain history into a rotating set, in use or not; its path goes on working.

    A loop that has the file open is told so at its next append, with nothing written, and goes on when it opens the
    same path again. Other programs no longer find a file at the path, but a directory of files.
    """
    from iterlog.jobs.rotate import rotate as turn  # noqa: PLC0415 - needs POSIX

    with warnings_shown():
        done = turn(file, Path(directory) if directory else None, dry_run=dry_run)
    if form is Format.JSON:
        fields = {"path": done.path, "directory": done.directory, "lines": done.lines, "turned": done.turned}
        Output().data(json_line(fields))
    elif done.turned:
        chat(f"{done.lines} lines; the set stands at {done.directory}")
    else:
        chat(f"would stand at {done.directory}" if dry_run else "it is a rotating set already")


def _as_json(done: Archived) -> dict[str, object]:
    return {
        "source": done.source,
        "destination": done.destination,
        "lines": done.lines,
        "copied": done.copied,
        "plain_bytes": done.plain_bytes,
        "sha256": done.sha256 or None,
        "removed": done.removed,
        "left": done.left,
        "done_before": done.done_before,
    }


def _outcome_as_json(outcome: Outcome) -> dict[str, object]:
    fields: dict[str, object] = {"source": outcome.run.source, "destination": outcome.run.destination, "ok": True}
    if outcome.archived is not None:
        return {**fields, **{name: value for name, value in _as_json(outcome.archived).items() if name not in fields}}
    error = outcome.error
    return {**fields, "ok": False, "error": str(error), "exit_code": exit_code_of(error) if error else None}


def _in_words(done: Archived, *, dry_run: bool, emptied: bool) -> str:
    if dry_run and not done.done_before:
        return f"{done.copied} of {done.lines} lines would be copied"
    stand = f"{done.lines} lines stand in {done.destination}"
    if done.done_before:
        return f"done before: {stand}, all verified, and the source is gone"
    left = ""
    if done.removed:
        left = f"; {done.left} of them are left in the source" if done.left else "; the source was removed as asked"
    elif emptied:
        left = "; nothing was removed: appends, and the files of a set, are kept whole"
    return f"{stand}, {done.copied} of them new, all verified{left}"
