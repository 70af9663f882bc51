"""The process that runs the loop: ``python -m iterlog.demo.worker JOB``, started by `iterlog.demo.conductor`.

Each event is a line of JSON on stdout, which is a pipe to the parent, written whole and at once. ``acknowledged`` goes
out only when the append has returned; from then on the parent holds the history to it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import iterlog
from iterlog.demo.loop import evolve
from iterlog.demo.market import Market

if TYPE_CHECKING:
    from iterlog import IterationRecord


def main() -> None:
    """Resume the history of the job and run the loop to its end."""
    job = json.loads(sys.argv[1])
    try:
        with iterlog.open_history(job["url"]) as history:
            point = history.resume()
            dropped = [{"size": dropped.size, "kept_at": dropped.kept_at} for dropped in point.dropped]
            _send(event="resumed", number=point.next_iteration, dropped=dropped)
            evolve(history, Market.from_seed(job["seed"]), until=job["until"], run_id=job["run_id"], tell=_tell)
        _send(event="done")
    except iterlog.IterlogError as error:
        _send(event="failed", message=error.message)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _tell(event: str, number: int, record: IterationRecord | None = None) -> None:
    if record is None:
        _send(event=event, number=number)
        return
    told = {
        "id": record.id,
        "status": record.status,
        "error": record.error,
        "change": record.extra["change"],
        "sharpe_ratio": record.metrics["sharpe_ratio"],
    }
    _send(event=event, number=number, **told)


def _send(**fields: Any) -> None:
    try:
        os.write(1, json.dumps(fields).encode() + b"\n")
    except BrokenPipeError:
        os._exit(1)  # the parent is gone; an iteration that ends so is lost like one in a crash, and not recorded


if __name__ == "__main__":
    main()
