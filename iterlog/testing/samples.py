"""What the tests of the contract store, and how they look at what came back."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import iterlog

if TYPE_CHECKING:
    from collections.abc import Iterator


def sample(iteration: int | None = 0, **fields: Any) -> iterlog.IterationRecord:
    """Return a record as a loop makes them, with the fields given in place of the usual ones."""
    usual: dict[str, Any] = {
        "code": f"def strategy(prices):\n    return prices[-1] > {iteration}  # é, 価格, 🙂\n",
        "metrics": {"sharpe_ratio": 1.25, "total_trades": 7},
        "feedback": f"what {iteration} taught",
    }
    return iterlog.IterationRecord(iteration=iteration, **(usual | fields))


def fill(history: iterlog.HistoryStore, count: int, first: int = 0) -> list[iterlog.IterationRecord]:
    """Append records numbered from ``first`` on, one by one, and return them."""
    records = [sample(first + i) for i in range(count)]
    for record in records:
        history.append(record)
    return records


def filled(url: str, count: int, first: int = 0) -> list[iterlog.IterationRecord]:
    """Do what `fill` does, with a handle that is closed again."""
    with iterlog.open_history(url) as history:
        return fill(history, count, first)


def numbers(url: str) -> list[int | None]:
    """Return the numbers of a history's records as a new handle reads them."""
    with iterlog.open_history(url) as history:
        return [record.iteration for record in history]


def stored_lines(url: str) -> list[bytes]:
    """Return a history's lines as a new handle reads them."""
    with iterlog.open_history(url) as history:
        return [line for _, line in history.lines()]


def with_option(url: str, option: str) -> str:
    """Return a URL with ``name=value`` added to its query."""
    return f"{url}{'&' if '?' in url else '?'}{option}"


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what iterlog logs within the block."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, collector = logging.getLogger("iterlog"), Collector()
    level = logger.level
    logger.setLevel(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield messages
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)
