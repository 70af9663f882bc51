"""Telling about the demo: a line for what is worth one while it runs, and the summary."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from iterlog.demo.feedback import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from iterlog.demo.outcome import Kill, Outcome

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*#@"
_CHART_WIDTH = 60


def event_line(event: Mapping[str, Any], *, everything: bool) -> str | None:
    """Return the line for an event, None for one that needs none.

    Args:
        event: What a worker or the parent said.
        everything: Whether iterations that neither failed nor improved get a line too.
    """
    match event:
        case {"event": "acknowledged", "status": "crash"}:
            return _iteration_line(event, "crash", f"{event['error']}; the known-good strategy ran instead")
        case {"event": "acknowledged", "status": "keep"}:
            return _iteration_line(event, "keep", event["change"])
        case {"event": "acknowledged"} if everything:
            return _iteration_line(event, "", event["change"])
        case {"event": "killed"}:
            return f"      SIGKILL to the worker, process {event['pid']}, {_moment(event)}"
        case {"event": "resumed", "number": int(number)} if number:
            return f"      a worker resumed the history at iteration {number}"
    return None


def summary(outcome: Outcome, url: str | None, *, blocks: bool = True) -> Iterator[str]:
    """Yield the lines of the summary.

    Args:
        outcome: What the run came to.
        url: The history as the user named it; None when they did not.
        blocks: Whether the terminal can show block characters.
    """
    last = outcome.first + outcome.iterations - 1
    kept = f"{len(outcome.records)} of {outcome.iterations} iterations, {outcome.first} to {last}"
    yield f"Kept         {kept}, in {outcome.url}"
    yield f"             {len(outcome.acknowledged)} were acknowledged; {_missing(outcome)}"
    yield f"             {_verified(outcome)}"
    if outcome.kill is not None:
        first, *more = _cost(outcome.kill)
        yield f"The crash    {first}"
        yield from (f"             {line}" for line in more)
    yield f"Failures     {_failures(sum(record.used_fallback for record in outcome.records))}"
    if outcome.best is not None:
        metrics = outcome.best.metrics
        yield f"Best         iteration {outcome.best.iteration}: {in_words(metrics)}"
        held_back = metrics["held_back_sharpe_ratio"]
        yield f"             on the year held back, which decided nothing: Sharpe ratio {held_back:.2f}"
        yield f"Best so far  {chart(outcome.curve, blocks=blocks)}  {outcome.curve[0]:.2f} to {outcome.curve[-1]:.2f}"
    yield ""
    yield "Look around:"
    yield from (f"  {command}" for command in _next_commands(outcome, url))


def chart(values: Sequence[float], *, blocks: bool = True) -> str:
    """Return values as a line of small bars, the lowest and the highest at the ends of the scale."""
    levels = _BLOCKS if blocks else _ASCII_BLOCKS
    shown = values
    if len(values) > _CHART_WIDTH:
        shown = [values[(i + 1) * len(values) // _CHART_WIDTH - 1] for i in range(_CHART_WIDTH)]
    low, high = min(values), max(values)
    scale = (len(levels) - 1) / (high - low) if high > low else 0.0
    return "".join(levels[round((value - low) * scale)] for value in shown)


def _iteration_line(event: Mapping[str, Any], status: str, text: str) -> str:
    return f"{event['number']:>5} {status:<5}  Sharpe {event['sharpe_ratio']:>6.2f}  {text}"


def _moment(event: Mapping[str, Any]) -> str:
    if event["in_flight"] is None:
        return "between two iterations"
    doing = "while it appended" if event["appending"] else "in the middle of"
    return f"{doing} iteration {event['in_flight']}"


def _missing(outcome: Outcome) -> str:
    if outcome.kept_its_word:
        return "all of these are there, in order, once, with no number left out"
    if outcome.missing:
        return f"LOST: {len(outcome.missing)} of these are not there, ids {', '.join(outcome.missing)}"
    return "WRONG: they are there, but their numbers or their order are not as they should be"


def _verified(outcome: Outcome) -> str:
    faults = len(outcome.report.faults)
    return f"{outcome.report.records} records verified, {faults or 'no'} fault{'' if faults == 1 else 's'}"


def _failures(count: int) -> str:
    if not count:
        return "none: every candidate ran"
    candidates = "1 candidate" if count == 1 else f"{count} candidates"
    return f"{candidates} did not run; the error and the code that failed are kept"


def _cost(kill: Kill) -> Iterator[str]:
    if kill.in_flight is None:
        yield "nothing: the kill fell between two iterations"
    elif kill.stored_all_the_same:
        yield f"nothing: the record of iteration {kill.in_flight} was stored, though not acknowledged yet"
    else:
        yield f"nothing acknowledged: iteration {kill.in_flight} had no whole record yet and was done again"
    for piece in kill.torn:
        where = f"set aside in {piece['kept_at']}" if piece["kept_at"] else "left in place"
        yield f"{piece['size']} torn bytes of its record were {where}"


def _next_commands(outcome: Outcome, url: str | None) -> Iterator[str]:
    name = f" {shlex.quote(url)}" if url is not None else ""
    yield f"iterlog show{name}"
    if outcome.best is not None:
        yield f"iterlog get {outcome.best.iteration}{name}"
    yield f"iterlog verify{name}"
    yield f"iterlog demo{name}"
