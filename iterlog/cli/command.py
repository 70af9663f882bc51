"""What the commands share: help that begins with examples, the arguments and options they have in common."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from iterlog.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_F = TypeVar("_F", bound="Callable[..., Any]")

_EXAMPLE_WIDTH = 48


class Format(enum.Enum):
    """How rows are written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "md"


class ExamplesFirst(click.Command):
    """A command whose help begins with examples.

    Args:
        examples: Command lines, each with what it does.
        **kwargs: As `click.Command`.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then what click writes."""
        with formatter.section("Examples"):
            formatter.write_dl(self.examples, col_max=_EXAMPLE_WIDTH)
        formatter.write_paragraph()
        super().format_help(ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Print help as all else is printed: click would let a full disk or a closed pipe end in a traceback."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def command(name: str, *, examples: Sequence[tuple[str, str]]) -> Callable[[Callable[..., Any]], ExamplesFirst]:
    """Make a command of a function.

    Args:
        name: What the user types.
        examples: Command lines, each with what it does; they stand first in the help.
    """
    return click.command(name, cls=ExamplesFirst, examples=examples)


def url_argument(function: _F) -> _F:
    """Add the optional last argument that names the history."""
    return click.argument("url", required=False, metavar="[URL]", shell_complete=_complete_file)(function)


def format_options(*formats: Format) -> Callable[[_F], _F]:
    """Add a flag per format; without one, text for people is written. Of several the last one counts."""
    helps = {
        Format.JSON: "One JSON object per line.",
        Format.CSV: "CSV, safe to open in a spreadsheet.",
        Format.MARKDOWN: "A Markdown table.",
    }

    def add(function: _F) -> _F:
        for kind in reversed(formats):
            flag = click.option(
                f"--{kind.value}", "form", flag_value=kind, type=Format, default=Format.TEXT, help=helps[kind]
            )
            function = flag(function)
        return function

    return add


def part_options(function: _F) -> _F:
    """Add ``--json`` and ``--code``, of which the last one counts; without one, a page for people is written."""
    function = click.option("--code", "part", flag_value="code", help="Nothing but the code.")(function)
    return click.option("--json", "part", flag_value="json", default="page", help="One JSON object per line.")(function)


def count_option(help_text: str, default: int | None = None) -> Callable[[_F], _F]:
    """Add ``-n``."""
    return click.option("-n", "count", type=click.IntRange(min=0), default=default, metavar="N", help=help_text)


def start_option(function: _F) -> _F:
    """Add ``--from``."""
    return click.option(
        "--from", "start", metavar="POSITION", help="Only what stands behind a position, as append prints it."
    )(function)


def version_option(text: str) -> Callable[[_F], _F]:
    """Add ``--version``."""

    def show(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
        if given and not context.resilient_parsing:
            Output().text(text)
            context.exit()

    return click.option(
        "--version", is_flag=True, expose_value=False, is_eager=True, callback=show, help="Show the version and exit."
    )


def _show_help(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if given and not context.resilient_parsing:
        Output().text(context.get_help())
        context.exit()


def _complete_file(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]
