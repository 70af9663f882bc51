"""The one interface everything else stands on: an append-only, ordered log of iteration records at one URL."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self, final

from iterlog.abilities import SupportsClaim, SupportsFence, SupportsNumbering
from iterlog.errors import RecordError, UnsupportedOperationError
from iterlog.iteration import Iteration, Reservations
from iterlog.lines import DamagedLineError, decode_line, encode_body, finish_line, finish_lines, salvage
from iterlog.options import suggestion
from iterlog.position import START, Durability, Position
from iterlog.reader import HistoryReader, logger
from iterlog.record import MAX_ITERATION, IterationRecord
from iterlog.reports import Dropped, FaultKind, MirrorStatus, ResumePoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from iterlog.attendant import Attendant
    from iterlog.url import HistoryURL

_SAVE_FIELDS = frozenset(IterationRecord.__dataclass_fields__) - {"code_hash"}


class HistoryStore(HistoryReader):
    """An append-only, ordered log of iteration records at one URL.

    The promises, each held by a test of `iterlog.testing.HistoryStoreContract`:

    1. A record is durable when `append` returns; with ``batch_records`` or ``batch_interval``, when it is committed.
    2. A batch is wholly there or not at all, for every reader, at every moment.
    3. Order is append order; positions never change.
    4. A torn tail costs the record in flight and nothing else: it is set aside, never deleted, reported once,
       and never merged with the next append. A last line that only lacks its newline is kept.
    5. A damaged line costs that line only; it is reported with its position, and no later write removes it.
    6. A failing read never turns into an empty history that a writer then overwrites.
    7. Writers in threads, in processes and, where the store can create what must not exist yet, on several machines
       lose nothing and hand no number out twice. Where it cannot, a second machine's writer is refused.
    8. An invalid record writes nothing; whatever a Python loop can produce can be recorded.
    9. `resume` costs the same for ten records and ten million.
    10. Errors are raised, with what to do next in the message.

    A backend implements `_append` and `_scan`; see `iterlog.backends` for the guide. A handle may be shared by threads
    and survives a fork. Once it is closed, whatever it is asked raises HistoryClosedError.
    """

    def __init__(self, url: HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._dropped: list[Dropped] = []
        self._reservations = Reservations()
        self._attendants: tuple[Attendant, ...] = ()

    # hooks of a backend

    @classmethod
    def from_url(cls, url: HistoryURL) -> Self:
        """Open the history at a URL; the default gives every option of ``OPTIONS`` to the constructor.

        Raises:
            ConfigError: An option is wrong.
        """
        return cls(url, **url.options(cls.OPTIONS))

    @abstractmethod
    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        """Store lines (without newlines) behind all others, all or nothing, and return the position after them.

        When it returns, the lines are as durable as asked. When it raises UnavailableError or ConflictError, nothing
        was stored; when it raises WriteUncertainError, nobody knows.
        """

    def _repair(self) -> None:
        """Put the end of the history in order for the next append, and report through `_report_dropped`."""

    def _flush(self) -> None:
        """Make everything appended so far durable."""

    def _settle_numbers(self) -> None:
        """Make the numbers of all appends so far final, where a backend puts appends off."""

    def _close(self) -> None:
        """Release what the handle holds."""

    def _next_number(self) -> int:
        """Return the first number not handed out yet: behind the newest record, at a constant cost."""
        damaged = 0
        for _, line in self._scan_back():
            try:
                record: IterationRecord | None = decode_line(line)
            except DamagedLineError as damage:
                record = salvage(line)
                # The line had a number too, most likely the next one: it must not be handed out again.
                damaged += record is None and damage.kind is not FaultKind.RECORD
            if record is not None and record.iteration is not None:
                return record.iteration + 1 + damaged
        return damaged

    def _one_look(self) -> contextlib.AbstractContextManager[object]:
        """Let the newest record and the next number, asked for in a block, be of one look at the storage."""
        return contextlib.nullcontext()

    # what users call

    @final
    def append(self, record: IterationRecord | Mapping[str, Any], *, durability: Durability | None = None) -> Position:
        """Store a record behind all others and return the position after it.

        Args:
            record: An IterationRecord or a mapping of its fields. ``iteration=None`` takes the next free number,
                whatever other threads and processes do.
            durability: Overrides the history's own for this call.

        Raises:
            RecordError: The record cannot be stored; nothing was written.
            ConflictError: Somebody else appended first, where a store can tell; nothing was written; read again.
            UnavailableError: The storage refused; nothing was written; safe to retry.
            WriteUncertainError: It may have been written; read before retrying.
            UnsupportedOperationError: ``iteration=None`` and the backend cannot hand out numbers.
        """
        if type(record) is not IterationRecord:
            record = _as_record(record)
        body = encode_body(record)
        self._check_open()
        durability = durability or self._durability
        if record.iteration is None:
            return self._append_next([record], [body], durability)[0]
        return self._append_lines((finish_line(record.iteration, body),), durability)

    @final
    def extend(
        self, records: Iterable[IterationRecord | Mapping[str, Any]], *, durability: Durability | None = None
    ) -> Position:
        """Store records behind all others, all or nothing, and return the position after the last.

        Records without a number get the numbers behind the newest record, or behind the one before them in the batch.
        An empty batch stores nothing and returns the position of the end. Raises what `append` raises.
        """
        batch = [_as_record(record) for record in records]
        bodies = [encode_body(record) for record in batch]
        self._check_open()
        durability = durability or self._durability
        if not batch:
            return next((position for position, _ in self._scan_back()), START)
        if any(record.iteration is None for record in batch):
            return self._append_next(batch, bodies, durability)[0]
        return self._append_lines(finish_lines(_numbered(batch, bodies, 0)), durability)

    @final
    def save(
        self,
        *,
        code: str | None,
        metrics: Mapping[str, Any],
        feedback: str,
        iteration: int | None = None,
        durability: Durability | None = None,
        **fields: object,
    ) -> IterationRecord:
        """Make a record of its fields, append it, and return it as stored, with its number.

        Args:
            code: The full source text, or None.
            metrics: Names and measured values.
            feedback: Text for the next iteration.
            iteration: The number; None for the next free one.
            durability: Overrides the history's own for this call.
            **fields: Any other field of `iterlog.IterationRecord`; fields of your own go into ``extra``.

        Raises:
            RecordError: A field is unknown or cannot be stored; nothing was written. Else as `append`.
        """
        for name in fields:
            if name not in _SAVE_FIELDS:
                raise RecordError(
                    f"a record has no field {name!r}{suggestion(name, _SAVE_FIELDS)}; put fields of your own into extra"
                )
        record = IterationRecord(iteration, code, metrics, feedback, **fields)  # type: ignore[arg-type]
        if record.iteration is not None:
            self.append(record, durability=durability)
            return record
        body = encode_body(record)
        self._check_open()
        return record.with_iteration(self._append_next([record], [body], durability or self._durability, told=True)[1])

    @final
    def resume(self) -> ResumePoint:
        """Return where the loop goes on, and claim the history for it, or take it over where that is all a store can.

        Costs the same at any length. The claim ends with `close` or with the process. The first writer after a boot of
        the machine checks every line once, because a crash may have damaged any of them.

        Raises:
            ConflictError: Another loop runs on this history, or took it over from this handle; the message says which.
            CorruptionError: The newest line is damaged and ``on_damage=raise``.
            UnavailableError: The storage cannot be read or repaired.
        """
        self._check_open()
        if isinstance(self, SupportsClaim):
            self._claim()
        if isinstance(self, SupportsFence):
            self._take_over()
        self._repair()
        self._wake_attendants()
        with self._one_look():
            last = self.last()
            return ResumePoint(self._next_number(), last.feedback if last else "", last, tuple(self._dropped))

    @final
    def iteration(self, **fields: object) -> Iteration:
        """Return a context manager that records one iteration; see `iterlog.Iteration`.

        Args:
            **fields: First values of its attributes, such as ``run_id`` or ``tags``.

        Raises:
            RecordError: A name is none of these. What entering and leaving the block raise, `iterlog.Iteration` says.
        """
        return Iteration(self, fields)

    @final
    def repair(self) -> tuple[Dropped, ...]:
        """Put the end of the history in order now, as the next append would, and return what this handle dropped.

        Damaged lines in the middle stay where they are: see `verify`.

        Raises:
            UnavailableError: The storage cannot be read or written.
        """
        self._check_open()
        self._repair()
        return tuple(self._dropped)

    @final
    def flush(self) -> None:
        """Make everything appended so far durable, whatever ``durability`` it was appended with.

        Raises:
            WriteUncertainError: The storage failed; earlier ``flush`` appends may be lost with the machine.
        """
        self._check_open()
        self._flush()

    @final
    def close(self) -> None:
        """Make everything durable and release the handle and its claim; a second call does nothing.

        Raises:
            WriteUncertainError: As `flush`; the handle is closed all the same.
        """
        if self._closed:
            return
        for attendant in self._attendants:
            attendant.close()
        self._closed = True
        self._close()

    @property
    def mirrors(self) -> tuple[MirrorStatus, ...]:
        """How far the copies are that were asked for with ``mirror=``; see `iterlog.MirrorStatus`."""
        self._check_open()
        return tuple(attendant.status() for attendant in self._attendants)

    @final
    async def aappend(
        self, record: IterationRecord | Mapping[str, Any], *, durability: Durability | None = None
    ) -> Position:
        """Append in a worker thread; raises what `append` raises. Cancelling does not take the record back."""
        import asyncio  # noqa: PLC0415 - costs 60 ms that a loop without async should not pay

        return await asyncio.to_thread(self.append, record, durability=durability)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url!r}{' closed' if self._closed else ''}>"

    # how they are made

    @final
    def _append_next(
        self, batch: list[IterationRecord], bodies: list[bytes], durability: Durability, *, told: bool = False
    ) -> tuple[Position, int]:
        """Append records of which some want a number; return the position after them and the last one's number.

        Args:
            batch: The records.
            bodies: Each of them encoded.
            durability: How durable.
            told: Whether the caller will tell the number, so that it has to be final.
        """
        if not isinstance(self, SupportsNumbering):
            raise UnsupportedOperationError("this backend cannot hand out numbers; give iteration=", url=self.url)
        last = 0

        def make(first: int) -> list[bytes]:
            nonlocal last
            numbered = _numbered(batch, bodies, max(first, self._reservations.end))
            last = numbered[-1][0]
            return finish_lines(numbered)

        position = self._append_numbered(make, durability)
        if told:
            self._settle_numbers()
        self._wake_attendants()
        return position, last

    @final
    def _append_lines(self, lines: Sequence[bytes], durability: Durability) -> Position:
        """Store lines as `_append` does; also for who copies stored lines, damaged ones included."""
        position = self._append(lines, durability)
        self._wake_attendants()
        return position

    @final
    def _wake_attendants(self) -> None:
        for attendant in self._attendants:
            attendant.wake()

    @final
    def _report_dropped(self, dropped: Dropped) -> None:
        """Remember and log what a repair took out of the history."""
        self._dropped.append(dropped)
        logger.warning("%s: damage: %s", self.url, dropped)

    @final
    def _reserve_number(self) -> tuple[int, IterationRecord | None]:
        """Return a number that no other open iteration of this handle has, and the newest record."""
        return self._reservations.reserve(self.resume, self._next_number)

    @final
    def _release_number(self, number: int) -> None:
        self._reservations.release(number)


def _as_record(record: IterationRecord | Mapping[str, Any]) -> IterationRecord:
    return record if isinstance(record, IterationRecord) else IterationRecord.from_dict(record)


def _numbered(batch: list[IterationRecord], bodies: list[bytes], first: int) -> list[tuple[int, bytes]]:
    """Give each encoded record its number: its own, or the first one above all before it."""
    numbered = []
    free = first
    for record, body in zip(batch, bodies, strict=True):
        number = free if record.iteration is None else record.iteration
        if number > MAX_ITERATION:
            raise RecordError("no number is left behind the newest record; give iteration=")
        free = max(free, number + 1)
        numbered.append((number, body))
    return numbered
