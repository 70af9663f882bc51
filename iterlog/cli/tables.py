"""Rows of the same columns, written as aligned text, CSV, Markdown or JSON lines.

The rows may be endless: the first ones decide how wide the columns of aligned text are, the others follow as they come.
"""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from iterlog.cli.command import Format
from iterlog.cli.escape import csv_text, markdown_text, visible, visible_json
from iterlog.values import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from iterlog.cli.output import Output

_T = TypeVar("_T")

GAP = 2
"""Blanks between two columns."""

LONGEST_CELL = 24
"""How wide any column but the last may be in text for people."""

_NARROWEST_LAST_CELL = 20


@dataclass(frozen=True)
class Column(Generic[_T]):
    """One column.

    Attributes:
        name: Its head; may be stored text.
        value: What stands in it for an item.
        right: Whether it is aligned to the right, as numbers are.
        colours: The colour of a cell by its text, where colours are wanted.
        least: How wide it is at least: for rows that come later.
    """

    name: str
    value: Callable[[_T], Any]
    right: bool = False
    colours: Mapping[str, str] = field(default_factory=dict)
    least: int = 0


class Table(Generic[_T]):
    """Writes items as rows.

    Args:
        out: Where to.
        form: How.
        columns: Of each row.
    """

    def __init__(self, out: Output, form: Format, columns: Sequence[Column[_T]]) -> None:
        self._out = out
        self._form = form
        self._columns = columns

    def write(self, first: Sequence[_T], rest: Iterable[_T] = (), *, live: bool = False) -> None:
        """Write a head and rows.

        Args:
            first: The items that decide how wide columns are.
            rest: More, perhaps without end.
            live: Hand on each row of ``rest`` at once.
        """
        as_row = self._begin(first)
        for item in first:
            self._out.data(as_row(item))
        if live:
            self._out.flush()
        for item in rest:
            self._out.data(as_row(item))
            if live:
                self._out.flush()

    def _begin(self, first: Sequence[_T]) -> Callable[[_T], bytes]:
        """Write the head and return what makes a row of an item."""
        if self._form is Format.JSON:
            return lambda item: json_line({column.name: column.value(item) for column in self._columns})
        if self._form is Format.CSV:
            self._out.data(_csv_row(column.name for column in self._columns))
            return lambda item: _csv_row(column.value(item) for column in self._columns)
        if self._form is Format.MARKDOWN:
            self._out.data(_markdown_row(column.name for column in self._columns))
            self._out.data(_markdown_rule(column.right for column in self._columns))
            return lambda item: _markdown_row(column.value(item) for column in self._columns)
        widths = self._widths(first)
        head = self._line((visible(column.name) for column in self._columns), widths)
        self._out.text(click.style(head, bold=True) if self._out.colour else head)
        return lambda item: self._out.encoded(
            self._line((shown(column.value(item)) for column in self._columns), widths)
        )

    def _widths(self, first: Sequence[_T]) -> list[tuple[int, int]]:
        """Return, for each column that fits, how wide it usually is, and how wide it may be.

        The last column takes what the others leave. A terminal's line is not exceeded; elsewhere every column fits.
        """
        widths = []
        room = self._out.width
        for column in self._columns:
            is_last = column is self._columns[-1]
            limit = max(room, _NARROWEST_LAST_CELL) if is_last else LONGEST_CELL
            if self._out.terminal:
                limit = min(limit, room)
                if limit <= 0:
                    break
            cells = [visible(column.name), *(shown(column.value(item)) for item in first)]
            width = max(column.least, *(min(width_of(cell), limit) for cell in cells))
            widths.append((width, limit))
            room -= width + GAP
        return widths

    def _line(self, cells: Iterable[str], widths: Sequence[tuple[int, int]]) -> str:
        padded = []
        for column, cell, (width, limit) in zip(self._columns, cells, widths, strict=False):
            text = clipped(cell, limit)
            room = " " * (width - width_of(text))
            colour = column.colours.get(cell) if self._out.colour else None
            text = click.style(text, fg=colour) if colour else text
            padded.append(room + text if column.right else text + room)
        return (" " * GAP).join(padded).rstrip()


def shown(value: object) -> str:
    """Return a value for people, on one line."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(wire(value))
    return visible(value if isinstance(value, str) else _as_text(value))


def clipped(text: str, width: int) -> str:
    """Return text that takes no more than so many columns."""
    if width_of(text) <= width:
        return text
    kept: list[str] = []
    room = width - 1
    for char in text:
        room -= width_of(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def width_of(text: str) -> int:
    """Return how many columns a terminal gives to some visible text."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def json_line(fields: Mapping[str, Any]) -> bytes:
    """Return an object as a line of JSON: non-finite numbers as the format has them, nothing that a terminal obeys."""
    text = json.dumps(wire(fields), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return visible_json(text).encode() + b"\n"


def _csv_row(values: Iterable[object]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(map(_csv_cell, values))
    return buffer.getvalue().encode()


def _csv_cell(value: object) -> object:
    if isinstance(value, str):
        return csv_text(value)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return wire(value)
    return csv_text(_as_text(value))


def _markdown_row(values: Iterable[object]) -> bytes:
    cells = ("" if value is None else value if isinstance(value, str) else _as_text(value) for value in values)
    return f"| {' | '.join(markdown_text(cell) for cell in cells)} |\n".encode()


def _markdown_rule(rights: Iterable[bool]) -> bytes:
    return f"| {' | '.join('---:' if right else '---' for right in rights)} |\n".encode()


def _as_text(value: object) -> str:
    """Return numbers and nested values as JSON has them."""
    plain = wire(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
