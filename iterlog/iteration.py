"""One turn of a loop as a ``with`` block: number and feedback going in, a record coming out, whatever happens."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from iterlog.errors import HistoryClosedError, RecordError
from iterlog.options import suggestion
from iterlog.record import IterationRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from iterlog.position import Position
    from iterlog.reports import ResumePoint
    from iterlog.store import HistoryStore

_ATTRIBUTES = frozenset(
    {
        "code",
        "metrics",
        "feedback_for_next",
        "used_fallback",
        "success",
        "error",
        "status",
        "run_id",
        "parent_id",
        "tags",
        "extra",
    }
)

_OWN = frozenset({"number", "feedback", "last", "record", "position", "_history", "_began_at", "_begun"})


class Iteration:
    """Records one iteration when its ``with`` block ends, also when the body raises.

    Entering claims the history as `HistoryStore.resume` does. Set the attributes in the block; leaving it appends one
    record with the duration. When the body raises, the record says ``success=False`` with the error and the code as far
    as they were set, and the exception goes on.

    Raises:
        ConflictError: On entering: another loop runs on this history.
        HistoryClosedError: On entering: the block was entered before, or the handle is closed.
        RecordError: On leaving, unless the body raised: what was set cannot be stored; nothing was written.
        IterlogError: On leaving: whatever `HistoryStore.append` raises, with the body's own exception as its context.

    Attributes:
        number: This iteration's number.
        feedback: What the last iteration left for this one; ``""`` in a new history.
        last: The last record, or None.
        code: The source text of this iteration, or None.
        metrics: What was measured; a dict to fill or replace.
        feedback_for_next: Text for the next iteration. Left empty when the body raises, it becomes the error.
        used_fallback, success, error, status, run_id, parent_id, tags, extra: As in `iterlog.IterationRecord`.
        record: The stored record, once the block has ended.
        position: The position after it.
    """

    _begun = False

    def __init__(self, history: HistoryStore, fields: dict[str, object]) -> None:
        for name in fields:
            if name not in _ATTRIBUTES:
                raise RecordError(
                    f"an iteration has no {name!r} to begin with; it has {', '.join(sorted(_ATTRIBUTES))}"
                )
        self.code: str | None = None
        self.metrics: dict[str, Any] = {}
        self.feedback_for_next = ""
        self.used_fallback = False
        self.success = True
        self.error: str | None = None
        self.status: str | None = None
        self.run_id: str | None = None
        self.parent_id: str | None = None
        self.tags: tuple[str, ...] = ()
        self.extra: dict[str, Any] = {}
        for name, value in fields.items():
            setattr(self, name, value)
        self.number = -1
        self.feedback = ""
        self.last: IterationRecord | None = None
        self.record: IterationRecord | None = None
        self.position: Position | None = None
        self._history = history
        self._began_at = 0.0

    if not TYPE_CHECKING:  # a type checker that saw it would take every name for an attribute

        def __setattr__(self, name: str, value: object) -> None:
            """Set an attribute there is; what is set under any other name would be lost without a word."""
            if self._begun and name == "feedback":
                raise AttributeError("an iteration's feedback is what the last one left; set feedback_for_next")
            if name not in _ATTRIBUTES and name not in _OWN:
                raise AttributeError(f"an iteration has no {name!r}{suggestion(name, _ATTRIBUTES)}")
            super().__setattr__(name, value)

    def __enter__(self) -> Self:
        if self.number >= 0:
            raise HistoryClosedError("this iteration has begun already; ask the history for a new one")
        self.number, self.last = self._history._reserve_number()  # noqa: SLF001 - two halves of one interface
        self.feedback = self.last.feedback if self.last else ""
        self._began_at = time.monotonic()
        self._begun = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._fail(error)
            self.record = self._make_record(lost=error is not None)
            self.position = self._history.append(self.record)
        finally:
            self._history._release_number(self.number)  # noqa: SLF001 - as in __enter__

    def _fail(self, error: BaseException) -> None:
        self.success = False
        self.error = self.error or _described(error)
        self.status = self.status or "crash"
        self.feedback_for_next = self.feedback_for_next or f"Iteration {self.number} failed: {self.error}"

    def _make_record(self, *, lost: bool) -> IterationRecord:
        fields = {name: getattr(self, name) for name in _ATTRIBUTES - {"feedback_for_next"}}
        fields |= {
            "iteration": self.number,
            "feedback": self.feedback_for_next,
            "duration_s": time.monotonic() - self._began_at,
        }
        try:
            return IterationRecord(**fields)
        except RecordError as invalid:
            if not lost:
                raise
            return _storable({**fields, "error": f"{self.error} (also: {invalid.message})"})


def _storable(fields: dict[str, Any]) -> IterationRecord:
    """Make a record of a body that failed and left something that cannot be stored: each field that can be is kept."""
    kept: dict[str, Any] = {"code": None, "metrics": {}, "feedback": str(fields["feedback"])}
    for name, value in fields.items():
        with suppress(RecordError):
            IterationRecord(**{**kept, "iteration": fields["iteration"], name: value})
            kept[name] = value
    return IterationRecord(**kept)


class Reservations:
    """The numbers of a handle's iterations that are running: none of them is handed out again.

    Attributes:
        end: The number behind all of them; 0 when none is running.
    """

    def __init__(self) -> None:
        self.end = 0
        self._taken: set[int] = set()
        self._lock = threading.Lock()
        _live.add(self)

    def reserve(
        self, resume: Callable[[], ResumePoint], next_number: Callable[[], int]
    ) -> tuple[int, IterationRecord | None]:
        """Return the first number that is free, and the newest record.

        Args:
            resume: Asks the history where to go on.
            next_number: Asks it for the first number not handed out.
        """
        # The history is asked under the lock: between asking and reserving, another thread could append the number it
        # holds and give it back, and it would be handed out twice.
        with self._lock:
            while True:
                point = resume()
                number = max(point.next_iteration, self.end)
                self._change(self._taken | {number})
                # Appends that want a number look at `end`; one that looked too early has taken this number by now.
                if next_number() <= number:
                    return number, point.last
                self._change(self._taken - {number})

    def release(self, number: int) -> None:
        """Give a number back; by now its record is stored, or never will be."""
        with self._lock:
            self._change(self._taken - {number})

    def forget(self) -> None:
        """Start anew in a forked child: what runs, and who holds the lock, is the parent's."""
        self._lock = threading.Lock()
        self._change(set())

    def _change(self, taken: set[int]) -> None:
        self._taken, self.end = taken, max(taken, default=-1) + 1


_live: weakref.WeakSet[Reservations] = weakref.WeakSet()


def _forget_all() -> None:
    for reservations in list(_live):
        reservations.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _described(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an error that cannot be shown is recorded all the same
        text = f"(its text fails with {type(broken).__name__})"
    return f"{type(error).__name__}: {text}".rstrip(": ")
