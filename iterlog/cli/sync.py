"""``iterlog sync``: one history kept up with another."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from iterlog.cli.command import Format, command, format_options
from iterlog.cli.output import Output, chat, talk
from iterlog.cli.progress import Progress
from iterlog.cli.reading import warnings_shown
from iterlog.cli.tables import json_line

if TYPE_CHECKING:
    from iterlog.jobs.sync import Synced


@command(
    "sync",
    examples=[
        ("iterlog sync run.jsonl /backup/run.jsonl", "copy what is new"),
        ("iterlog sync --verify run.jsonl rotating:///backup/run", "and prove all of it"),
        ("iterlog sync --follow run.jsonl /backup/run.jsonl", "until Ctrl-C, through outages"),
        ("iterlog sync --dry-run --json run.jsonl /backup/run.jsonl", "how far the copy is behind"),
        ("iterlog sync --verify /backup/run.jsonl run.jsonl", "restore: the other way round"),
    ],
)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is appended, until Ctrl-C.")
@click.option("--verify", is_flag=True, help="Read everything back and compare it; exit status 4 when it differs.")
@click.option("--dry-run", is_flag=True, help="Only compare what is there, and say what would be copied.")
@format_options(Format.JSON)
def sync(source: str, destination: str, follow: bool, verify: bool, dry_run: bool, form: Format) -> None:
    """Append to a copy what it lacks of a history, every stored line as it stands.

    Any history can be the copy of any other. Interrupted and called again, it goes on where it was. A DST that holds
    anything else is left as it is, with exit status 1, or 4 with --verify. With --follow, --verify proves what is there
    at the beginning.
    """
    if follow and dry_run:
        raise click.UsageError("--follow changes the copy, --dry-run nothing; give one of them")
    from iterlog.jobs.sync import follow as follow_on  # noqa: PLC0415 - --help pays for no job
    from iterlog.jobs.sync import sync as sync_once  # noqa: PLC0415 - as above

    with Progress() as progress, warnings_shown():
        if not follow or verify:
            done = sync_once(source, destination, verify=verify, dry_run=dry_run, on_progress=progress.add)
            _show(done, form, dry_run=dry_run)
        if follow:
            with closing(follow_on(source, destination, on_progress=progress.add)) as rounds:
                for done in rounds:
                    _show(done, form, live=True)


def _show(done: Synced, form: Format, *, live: bool = False, dry_run: bool = False) -> None:
    if done.damaged:
        talk(f"warning: {done.damaged} of the lines copied hold no readable record; they were copied as they stand")
    if form is not Format.JSON:
        if not live:
            chat(_in_words(done, dry_run=dry_run))
        return
    out = Output()
    out.data(json_line(_as_json(done)))
    out.flush()


def _as_json(done: Synced) -> dict[str, object]:
    verified = done.verified
    return {
        "source": done.source,
        "destination": done.destination,
        "copied": done.copied,
        "damaged": done.damaged,
        "position": str(done.position),
        "lag_records": done.lag.records,
        "lag_s": round(done.lag.seconds, 3),
        "missing_before": None if done.missing_before is None else str(done.missing_before),
        "lines": verified and verified.lines,
        "plain_bytes": verified and verified.plain_bytes,
        "sha256": verified and verified.sha256,
    }


def _in_words(done: Synced, *, dry_run: bool) -> str:
    if dry_run:
        return f"{done.copied} lines would be copied; {done.destination} is {done.lag.seconds:.0f} seconds behind"
    if done.verified:
        return f"{done.copied} lines copied; all {done.verified.lines} stand in {done.destination}, verified"
    return f"{done.copied} lines copied; {done.destination} is {done.lag.records} records behind"
