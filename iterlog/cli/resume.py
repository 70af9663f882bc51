"""``iterlog resume``: where a loop goes on, for loops that are no Python programs, and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from iterlog.cli.command import command, url_argument
from iterlog.cli.output import Output
from iterlog.cli.pages import labelled
from iterlog.cli.reading import opened
from iterlog.cli.tables import json_line

if TYPE_CHECKING:
    import iterlog

_LABEL_WIDTH = 14


@command(
    "resume",
    examples=[
        ("iterlog resume run.jsonl", "the next number, the feedback, what a crash cost"),
        ("iterlog resume --json run.jsonl | jq .next_iteration", "the number, for a script"),
    ],
)
@url_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def resume(url: str | None, as_json: bool) -> None:
    """Put the end of a history in order and show where a loop goes on.

    A missing history is a new one: 0, and no feedback. The history is claimed only while the command runs, so it fails
    when a loop is running on it, and says which.
    """
    with opened(url, quiet=True) as history:
        point = history.resume()
    out = Output()
    if as_json:
        out.data(json_line(_as_json(point)))
        return
    for line in labelled("next iteration", str(point.next_iteration), _LABEL_WIDTH):
        out.text(line.strip())
    for dropped in point.dropped:
        for line in labelled("set aside", str(dropped), _LABEL_WIDTH):
            out.text(line[2:])
    for line in labelled("feedback", point.feedback or "-", _LABEL_WIDTH):
        out.text(line[2:])


def _as_json(point: iterlog.ResumePoint) -> dict[str, object]:
    return {
        "next_iteration": point.next_iteration,
        "feedback": point.feedback,
        "last_iteration": point.last.iteration if point.last else None,
        "dropped": [
            {
                "position": str(dropped.position),
                "bytes": dropped.size,
                "kind": str(dropped.kind),
                "kept_at": dropped.kept_at,
            }
            for dropped in point.dropped
        ],
    }
