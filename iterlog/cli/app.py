"""The table of commands and the way in.

A command's module is imported when the command is called, and only then: ``iterlog --help`` pays for none of them.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem, shell_complete

import iterlog
from iterlog.cli.command import ExamplesFirst, version_option
from iterlog.cli.exits import ExitCode, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAME = "iterlog"
COMPLETION_VARIABLE = "_ITERLOG_COMPLETE"

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("iterlog.cli.demo:demo", "Run a whole loop here, kill it midway, and resume."),
    "show": ("iterlog.cli.show:show", "A table of records, a line for each."),
    "cat": ("iterlog.cli.cat:cat", "Whole records, their code alone, or the stored lines."),
    "tail": ("iterlog.cli.show:tail", "The last records; -f waits for more."),
    "last": ("iterlog.cli.one:last", "The newest record."),
    "get": ("iterlog.cli.one:get", "The newest record with a number."),
    "append": ("iterlog.cli.append:append", "Store records given as JSON lines."),
    "stats": ("iterlog.cli.stats:stats", "Counts, times, sizes and the range of every metric."),
    "verify": ("iterlog.cli.verify:verify", "Check every stored line."),
    "repair": ("iterlog.cli.verify:repair", "Set a torn end aside now."),
    "resume": ("iterlog.cli.resume:resume", "Where a loop goes on: the next number and its feedback."),
    "seal": ("iterlog.cli.keeping:seal", "Seal the file of a rotating set that is appended to."),
    "compress": ("iterlog.cli.keeping:compress", "Compress the sealed files of a rotating set."),
    "prune": ("iterlog.cli.keeping:prune", "Remove the oldest sealed files of a rotating set."),
    "compact": ("iterlog.cli.keeping:compact", "Merge small files of a rotating set, or compress them anew."),
    "drain": ("iterlog.cli.drain:drain", "Store what waits in a history's spool."),
    "rotate": ("iterlog.cli.archive:rotate", "Turn a plain history into a rotating set."),
    "sync": ("iterlog.cli.sync:sync", "Keep a copy up with a history; the other way round, restore it."),
    "archive": ("iterlog.cli.archive:archive", "Copy whole histories, proven, and remove the source when asked to."),
}
"""Where each command lives, as ``module:name``, and its line in the help."""


class App(ExamplesFirst, click.Group):
    """The command ``iterlog`` itself."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Run a command line and exit with its code."""
        instruction = os.environ.get(COMPLETION_VARIABLE)
        if instruction:
            sys.exit(shell_complete(self, {}, NAME, COMPLETION_VARIABLE, instruction))
        words = list(sys.argv[1:] if args is None else args)
        sys.exit(run(lambda: self._run(words)))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Return the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names, or say which one may have been meant."""
        if args[0] not in COMMANDS:
            from iterlog.options import suggestion  # noqa: PLC0415 - only a mistyped command pays for difflib

            ctx.fail(f"there is no command {args[0]!r}{suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        """Write the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table, importing nothing."""
        found = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def _run(self, words: list[str]) -> None:
        with self.make_context(NAME, words) as context:
            self.invoke(context)


_CODES = " · ".join(f"{code.value} {code.meaning}" for code in ExitCode)


@click.group(
    cls=App,
    name=NAME,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=[
        ("iterlog demo", "watch a loop being killed and going on"),
        ("iterlog show run.jsonl", "a line per record"),
        ("iterlog tail -f run.jsonl", "what a running loop appends"),
        ("iterlog get 17 --code run.jsonl", "the code of iteration 17"),
        ("iterlog verify run.jsonl", "check every stored line"),
    ],
    epilog=(
        "A history is named by a path or a URL; without one, $ITERLOG_URL is meant, else iteration_history.jsonl. "
        f"\n\nExit codes: {_CODES}. "
        "\n\nShell completion: put into ~/.bashrc the line\n\n"
        f'\b\n  eval "$({COMPLETION_VARIABLE}=bash_source {NAME})"\n\n'
        "and for zsh (~/.zshrc) the same with zsh_source. For fish, write the output of\n\n"
        f"\b\n  env {COMPLETION_VARIABLE}=fish_source {NAME}\n\nto ~/.config/fish/completions/iterlog.fish."
    ),
)
@version_option(f"{NAME} {iterlog.__version__}")
@click.pass_context
def app(context: click.Context) -> None:
    """Look into the history of a learning loop, add to it, and check it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(ExitCode.USAGE)


main: Callable[[], NoReturn] = app
"""The entry point."""
