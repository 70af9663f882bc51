"""One turn of a loop as a ``with`` block: number and feedback going in, a record coming out, whatever happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from iterlog.errors import HistoryClosedError, RecordError
from iterlog.record import IterationRecord

if TYPE_CHECKING:
    from types import TracebackType

    from iterlog.position import Position
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


class Iteration:
    """Records one iteration when its ``with`` block ends, also when the body raises.

    Entering claims the history as `HistoryStore.resume` does. Set the attributes in the block; leaving it appends one
    record with the duration. When the body raises, the record says ``success=False`` with the error and the code as far
    as they were set, and the exception goes on.

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

    def __init__(self, history: HistoryStore, fields: dict[str, Any]) -> None:
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
        self.__dict__.update(fields)
        self.number = -1
        self.feedback = ""
        self.last: IterationRecord | None = None
        self.record: IterationRecord | None = None
        self.position: Position | None = None
        self._history = history
        self._began_at = 0.0

    def __enter__(self) -> Self:
        if self.number >= 0:
            raise HistoryClosedError("this iteration has begun already; ask the history for a new one")
        self.number, self.last = self._history._reserve_number()  # noqa: SLF001 - two halves of one interface
        self.feedback = self.last.feedback if self.last else ""
        self._began_at = time.monotonic()
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
        self.error = self.error or f"{type(error).__name__}: {error}".rstrip(": ")
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
            # The body failed and left something that cannot be stored: keep what can be, the failure first of all.
            return IterationRecord(
                self.number,
                self.code if isinstance(self.code, str) else None,
                {},
                str(self.feedback_for_next),
                success=False,
                error=f"{self.error} (also: {invalid.message})",
                status="crash",
            )
