"""Mistakes that a type checker finds: `test_typing` gives this file to mypy, which must refuse each marked line."""

# mypy: ignore-errors
from __future__ import annotations

import iterlog
from iterlog import IterationRecord, Position, open_history


def misuse() -> None:
    """Make every mistake once; never called."""
    history = open_history("memory://x")
    open_history(b"run.jsonl")  # error: arg-type
    history.append("x = 1")  # error: arg-type
    history.read(5)  # error: arg-type
    history.save(metrics={}, feedback="")  # error: call-arg
    history.append(history.last())  # error: arg-type
    IterationRecord("0", "x", {}, "")  # error: arg-type
    IterationRecord(0, "x", {}, "").code = "y"  # error: misc
    Position.of("1")  # error: arg-type
    _ = history.get(0).code  # error: union-attr
    iterlog.save_iteration_result(0, "x", {})  # error: call-arg
    iterlog.HISTORY_FILE = 5  # error: assignment
    _ = iterlog.no_such_name  # error: attr-defined
    with history.iteration() as it:
        it.metrics = None  # error: assignment
