"""``iterlog demo``: run a whole loop, lose its worker to SIGKILL half-way, go on, and check that nothing is missing."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from iterlog.cli.command import Format, command, format_options, url_argument
from iterlog.cli.escape import visible
from iterlog.cli.exits import ExitCode
from iterlog.cli.output import Output
from iterlog.cli.tables import json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Watch = Callable[[Mapping[str, Any]], None]


@command(
    "demo",
    examples=[
        ("iterlog demo", "48 iterations in a few seconds, one SIGKILL"),
        ("iterlog demo demo.jsonl", "in a file of its own; again: it goes on"),
        ("iterlog demo --json demo.jsonl", "what came of it, as one JSON object"),
    ],
)
@url_argument
@click.option(
    "--seed", default=25, show_default=True, help="Of the prices and the candidates; the kill follows no seed."
)
@click.option("--iterations", type=click.IntRange(1, 1_000_000), default=48, show_default=True, help="How many to run.")
@click.option("--no-kill", is_flag=True, help="Let the worker live.")
@format_options(Format.JSON)
@click.pass_context
def demo(context: click.Context, url: str | None, seed: int, iterations: int, no_kill: bool, form: Format) -> None:
    """Evolve a trading strategy on synthetic prices, and kill the loop midway.

    The history goes on where it ended when it is a demo's already; any other is refused. No network, no setup. It ends
    with an error (4) if a record that was acknowledged before the kill cannot be read back.
    """
    from iterlog.demo.conductor import run_demo  # noqa: PLC0415 - `iterlog demo --help` need not pay for it
    from iterlog.demo.report import summary  # noqa: PLC0415

    out = Output()
    if form is Format.JSON:
        outcome = run_demo(url, seed=seed, iterations=iterations, kill=not no_kill)
        out.data(json_line(outcome.to_dict()))
    else:
        with _progress(out, iterations) as watch:
            outcome = run_demo(url, seed=seed, iterations=iterations, kill=not no_kill, watch=watch)
        out.text()
        for line in summary(outcome, url, blocks=_shows_blocks()):
            out.text(visible(line))
    if not outcome.kept_its_word:
        context.exit(ExitCode.DAMAGE)


@contextlib.contextmanager
def _progress(out: Output, iterations: int) -> Iterator[Watch]:
    """Give what to tell events to: a bar above what matters on a terminal with rich, a line for each elsewhere."""
    if out.terminal:
        with contextlib.suppress(ImportError):
            import rich.progress  # noqa: F401, PLC0415 - optional, and 60 ms

            with _bar(iterations) as watch:
                yield watch
            return
    yield _lines(out)


def _lines(out: Output) -> Watch:
    from iterlog.demo.report import event_line  # noqa: PLC0415 - as in `demo`

    def watch(event: Mapping[str, Any]) -> None:
        line = event_line(event, everything=True)
        if line is not None:
            out.text(visible(line))
            out.flush()

    return watch


@contextlib.contextmanager
def _bar(iterations: int) -> Iterator[Watch]:
    from rich.console import Console  # noqa: PLC0415 - as in `_progress`
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    from iterlog.demo.report import event_line  # noqa: PLC0415 - as in `demo`

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting a worker", total=iterations)

        begun_at: list[int] = []

        def watch(event: Mapping[str, Any]) -> None:
            # By number, not by count: a record may be stored whose acknowledgement the kill took.
            if event["event"] == "resumed":
                begun_at.append(event["number"])
                progress.update(task, completed=event["number"] - begun_at[0])
            elif event["event"] == "acknowledged":
                done = event["number"] + 1 - begun_at[0]
                progress.update(task, completed=done, description=visible(event["change"]))
            line = event_line(event, everything=False)
            if line is not None:
                console.print(visible(line), soft_wrap=True)

        yield watch


def _shows_blocks() -> bool:
    try:
        "▁█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
