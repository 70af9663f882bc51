"""Whole records: a page for people, a line of JSON, or nothing but the code."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING

from iterlog.cli.escape import visible, visible_block
from iterlog.cli.records import result_of, time_of
from iterlog.cli.tables import json_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import iterlog
    from iterlog.cli.output import Output

_LONGEST_HIGHLIGHTED = 200_000  # beyond, highlighting takes seconds
_LABEL_WIDTH = 8


class Part(enum.Enum):
    """What of a record is written."""

    PAGE = "page"
    JSON = "json"
    CODE = "code"
    LINES = "lines"


def write_record(out: Output, record: iterlog.IterationRecord, part: Part) -> None:
    """Write a record, or its code, as one of several."""
    if part is Part.JSON:
        out.data(json_line(record.to_dict()))
    elif part is Part.CODE:
        write_code(out, record.code or "", whole_lines=True)
    else:
        for line in _page(record):
            out.text(line)
        if record.code:
            out.text("  source")
            write_code(out, record.code, whole_lines=True, indent="    ")
        out.text()


def write_code(out: Output, code: str, *, whole_lines: bool, indent: str = "") -> None:
    """Write code: on a terminal made visible and highlighted, elsewhere its very bytes.

    Args:
        out: Where to.
        code: The code.
        whole_lines: Whether a missing last line feed is added; without it, what is written has the record's hash.
        indent: What stands before each line, on a page for people; then the code is made visible everywhere.
    """
    if not out.terminal and not indent:
        out.data(code.encode("utf-8", "surrogatepass"))
        if whole_lines and code and not code.endswith("\n"):
            out.data(b"\n")
        return
    text = "\n".join(f"{indent}{line}" if line else "" for line in visible_block(code).rstrip("\n").split("\n"))
    if not (out.colour and len(text) <= _LONGEST_HIGHLIGHTED and _highlighted(out, text)):
        out.text(text)


def _page(record: iterlog.IterationRecord) -> Iterator[str]:
    """Yield the lines of a page that shows everything in a record but its code."""
    yield f"iteration {shown(record.iteration)}"
    facts = {
        "time": time_of(record),
        "result": result_of(record),
        "error": record.error,
        "status": record.status,
        "duration": None if record.duration_s is None else f"{record.duration_s:.3f} s",
        "id": record.id,
        "run": record.run_id,
        "parent": record.parent_id,
        "tags": ", ".join(record.tags) or None,
        "code": None if record.code is None else f"{_count_lines(record.code)} lines, sha256 {record.code_hash}",
    }
    for name, value in facts.items():
        if value is not None:
            yield from labelled(name, str(value))
    for title, values in (("metrics", record.metrics), ("extra", record.extra)):
        if values:
            yield f"  {title}"
            width = max(len(visible(name)) for name in values)
            yield from (f"    {visible(name):{width}}  {shown(value)}" for name, value in values.items())
    if record.feedback:
        yield "  feedback"
        yield from (f"    {line}".rstrip() for line in visible_block(record.feedback).split("\n"))


def labelled(label: str, text: str, width: int = _LABEL_WIDTH) -> Iterator[str]:
    """Yield lines that show some stored text behind a label, further lines below the first."""
    first, *others = visible_block(text).split("\n")
    yield f"  {label:{width}}  {first}"
    yield from (f"  {'':{width}}  {line}".rstrip() for line in others)


def _count_lines(code: str) -> int:
    return code.count("\n") + (bool(code) and not code.endswith("\n"))


def _highlighted(out: Output, text: str) -> bool:
    """Write code in colours, if rich is installed; return whether it was."""
    try:
        from rich.console import Console  # noqa: PLC0415 - optional, and 100 ms that only a terminal pays for
        from rich.syntax import Syntax  # noqa: PLC0415
    except ImportError:
        return False
    out.flush()
    highlighted = Syntax("", "python", theme="ansi_dark").highlight(text)
    highlighted.rstrip()
    Console(file=sys.stdout).print(highlighted, soft_wrap=True)
    return True
