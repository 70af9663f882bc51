"""Opening a history for a command, and choosing records of it."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import iterlog
from iterlog.cli.output import talk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WARNINGS_SHOWN = 10
_LOCAL_SCHEMES = {"file", "jsonl"}


class Entry(NamedTuple):
    """A record and the position after it, None where nobody asked for it."""

    position: iterlog.Position | None
    record: iterlog.IterationRecord


@contextlib.contextmanager
def opened(url: str | None, *, quiet: bool = False, **options: object) -> Iterator[iterlog.HistoryStore]:
    """Open a history for a command, close it at the end, and show on stderr what the library warns of.

    Args:
        url: Path or URL; None for ``$ITERLOG_URL`` or the default.
        quiet: Keep the warnings to oneself: the command prints the same as data.
        **options: As of `iterlog.open_history`.

    Raises:
        IterlogError: It cannot be opened; the message says how to name another one when none was named.
    """
    with warnings_shown(quiet=quiet):
        try:
            history = iterlog.open_history(url, **options)
        except iterlog.HistoryNotFoundError as error:
            hint = "" if url else "; name one as the last argument or in ITERLOG_URL"
            raise iterlog.HistoryNotFoundError(f"{error.message}{hint}", url=error.url) from error
        with history:
            yield history


@contextlib.contextmanager
def opened_to_read(url: str | None) -> Iterator[iterlog.HistoryStore]:
    """Open a history as `opened` does, but never create one: a missing history is not an empty one."""
    with opened(url, create=False) as history:
        yield history


def chosen(
    history: iterlog.HistoryStore, start: str | None, count: int | None, *, positions: bool = False
) -> Iterator[Entry]:
    """Return an iterator over the records that ``--from`` and ``-n`` choose, oldest first.

    Args:
        history: The history.
        start: A position as text: only what stands behind it.
        count: Only so many: the first ones behind ``start``, else the last ones of the history.
        positions: Whether the positions are wanted.
    """
    if start is None and count is not None:
        return iter(last_entries(history, count))
    if start is None and not positions:
        return (Entry(None, record) for record in history)
    entries = history.entries(None if start is None else iterlog.Position.parse(start))
    return (Entry(position, record) for position, record in islice(entries, count))


def chosen_lines(history: iterlog.HistoryStore, start: str | None, count: int | None) -> Iterable[bytes]:
    """Return the stored lines that ``--from`` and ``-n`` choose as in `chosen`, damaged ones included."""
    if start is not None:
        return (line for _, line in islice(history.lines(iterlog.Position.parse(start)), count))
    lines = (line for _, line in history.lines())
    return lines if count is None else deque(lines, maxlen=count)


def last_entries(history: iterlog.HistoryStore, count: int) -> list[Entry]:
    """Return the last records with their positions, oldest first, without reading those before them."""
    return [Entry(position, record) for position, record in islice(history.entries_back(), count)][::-1]


def local_file(url: str | None) -> Path | None:
    """Return the file of a history that lives in one, None for any other."""
    parsed = iterlog.HistoryURL.parse(url)
    return Path(parsed.local_path()) if parsed.scheme in _LOCAL_SCHEMES else None


class _Talker(logging.Handler):
    """Shows the first warnings on stderr and counts the others."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        if self.count <= _WARNINGS_SHOWN:
            talk(f"warning: {record.getMessage()}")


@contextlib.contextmanager
def warnings_shown(*, quiet: bool = False) -> Iterator[None]:
    """Show on stderr what the library warns of during a block.

    Args:
        quiet: Keep it to oneself.
    """
    logger = logging.getLogger("iterlog")
    handler = logging.NullHandler() if quiet else _Talker()
    passes_on, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = passes_on
        if isinstance(handler, _Talker) and handler.count > _WARNINGS_SHOWN:
            talk(f"warning: {handler.count - _WARNINGS_SHOWN} more of these; 'iterlog verify' lists all damage")
