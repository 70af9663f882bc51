"""A history against a plain list: Hypothesis tries calls in every order and compares after each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import iterlog

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLES = st.integers(0, 1)

_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_RECORDS = st.fixed_dictionaries(
    {
        "code": st.none() | _TEXT,
        "metrics": st.dictionaries(_TEXT, _VALUES, max_size=2),
        "feedback": _TEXT,
        "success": st.booleans(),
    }
)
_GAPS = st.integers(-2, 3)
"""How far a number that the loop chooses lies from the one that would come next."""


@dataclass
class Stored:
    """One line of the model."""

    position: iterlog.Position
    record: iterlog.IterationRecord
    damaged: bool = False


@dataclass
class Model:
    """What the history should hold."""

    lines: list[Stored] = field(default_factory=list)
    torn: bool = False
    dropped: int = 0
    claimed_by: int | None = None
    took_over: set[int] = field(default_factory=set)

    @property
    def readable(self) -> list[Stored]:
        """The lines whose records can be read."""
        return [line for line in self.lines if not line.damaged]

    @property
    def records(self) -> list[iterlog.IterationRecord]:
        """The records that can be read, oldest first."""
        return [line.record for line in self.readable]

    @property
    def free(self) -> int:
        """The first number above every one that was stored."""
        return max((line.record.iteration or 0 for line in self.lines), default=-1) + 1


def history_state_machine(
    make_url: Callable[[], str],
    *,
    tear: Callable[[str], None] | None = None,
    corrupt: Callable[[str, int], None] | None = None,
) -> type[RuleBasedStateMachine]:
    """Return a Hypothesis state machine that holds two handles on one history against a list.

    Run it with ``hypothesis.stateful.run_state_machine_as_test``, with as many examples as there is time for.

    Args:
        make_url: Gives the URL of a new history for each example.
        tear: The back door of the same name of the contract; None leaves torn ends out.
        corrupt: The back door of the same name of the contract; None leaves damaged lines out.
    """

    class HistoryMachine(_HistoryMachine):
        _make_url = staticmethod(make_url)
        _tear = staticmethod(tear) if tear else None
        _corrupt = staticmethod(corrupt) if corrupt else None

    return HistoryMachine


class _HistoryMachine(RuleBasedStateMachine):
    """The rules; the places and the back doors are filled in by `history_state_machine`."""

    _make_url: Callable[[], str]
    _tear: Callable[[str], None] | None
    _corrupt: Callable[[str, int], None] | None

    @initialize()
    def open(self) -> None:
        """Open two handles on a new history."""
        self.url = self._make_url()
        self.handles = [iterlog.open_history(self.url), iterlog.open_history(self.url)]
        self.reported = [0, 0]
        self.model = Model()
        self.numbering = isinstance(self.handles[0], iterlog.SupportsNumbering)
        self.claiming = isinstance(self.handles[0], iterlog.SupportsClaim)
        self.fencing = isinstance(self.handles[0], iterlog.SupportsFence)

    def teardown(self) -> None:
        """Close both handles."""
        for handle in getattr(self, "handles", []):
            handle.close()

    # writing

    @rule(handle=HANDLES, fields=_RECORDS, gap=_GAPS)
    def append(self, handle: int, fields: dict[str, Any], gap: int) -> None:
        """Append a record with a number of its own, the usual one or another."""
        record = iterlog.IterationRecord(max(0, self.model.free + gap), **fields)
        if self._was_overtaken(handle):
            with pytest.raises(iterlog.ConflictError):
                self.handles[handle].append(record)
            return
        self._stored(handle, self.handles[handle].append(record), [record])

    @rule(handle=HANDLES, batch=st.lists(st.tuples(_RECORDS, _GAPS), max_size=4))
    def extend(self, handle: int, batch: list[tuple[dict[str, Any], int]]) -> None:
        """Append a batch, which may be empty."""
        records = [iterlog.IterationRecord(max(0, self.model.free + gap), **fields) for fields, gap in batch]
        if records and self._was_overtaken(handle):
            with pytest.raises(iterlog.ConflictError):
                self.handles[handle].extend(records)
            return
        position = self.handles[handle].extend(records)
        if records:
            self._stored(handle, position, records)
        else:
            assert position == self._end()

    @precondition(lambda self: self.numbering)
    @rule(handle=HANDLES, fields=_RECORDS)
    def save(self, handle: int, fields: dict[str, Any]) -> None:
        """Append a record whose number the store hands out: the first one above all others."""
        if self._was_overtaken(handle):
            with pytest.raises(iterlog.ConflictError):
                self.handles[handle].save(**fields)
            return
        saved = self.handles[handle].save(**fields)
        newest = max((record.iteration or 0 for record in self.model.records), default=-1)
        if any(line.damaged for line in self.model.lines):
            assert saved.iteration is not None
            assert saved.iteration > newest
        else:
            assert saved.iteration == self.model.free
        position = [position for position, _ in self.handles[handle].entries(self._end())][-1]
        self._stored(handle, position, [saved])

    @rule(handle=HANDLES, fields=_RECORDS)
    def refuse_an_invalid_batch(self, handle: int, fields: dict[str, Any]) -> None:
        """Offer a batch whose last record cannot be stored."""
        with pytest.raises(iterlog.RecordError):
            self.handles[handle].extend([{"iteration": 0, **fields}, {"iteration": 1, **fields, "metrics": "none"}])

    @rule(handle=HANDLES)
    def reopen(self, handle: int) -> None:
        """Close a handle, its claim with it, and open another."""
        self.handles[handle].close()
        self.handles[handle] = iterlog.open_history(self.url)
        self.reported[handle] = 0
        self.model.took_over.discard(handle)
        if self.model.claimed_by == handle:
            self.model.claimed_by = None

    @rule(handle=HANDLES)
    def repair(self, handle: int) -> None:
        """Put the end in order."""
        self.handles[handle].repair()
        self._repaired(handle)

    @rule(handle=HANDLES)
    def resume(self, handle: int) -> None:
        """Ask where to go on; who holds a claim keeps the other one out, who takes over ends the other one's loop."""
        holder = self.model.claimed_by
        if (self.claiming and holder not in {None, handle}) or self._was_overtaken(handle):
            with pytest.raises(iterlog.ConflictError):
                self.handles[handle].resume()
            return
        point = self.handles[handle].resume()
        self.model.claimed_by = handle if self.claiming or self.fencing else None
        if self.fencing:
            self.model.took_over.add(handle)
        self._repaired(handle)
        records = self.model.records
        assert point.last == (records[-1] if records else None)
        assert point.feedback == (records[-1].feedback if records else "")
        if self.numbering and not any(line.damaged for line in self.model.lines):
            assert point.next_iteration == self.model.free

    # through the back doors

    @precondition(lambda self: self._tear is not None and not self.model.torn)
    @rule()
    def tear(self) -> None:
        """Kill a writer in the middle of an append."""
        assert self._tear is not None
        self._tear(self.url)
        self.model.torn = True

    @precondition(lambda self: self._corrupt is not None and self.model.readable)
    @rule(data=st.data())
    def corrupt(self, data: st.DataObject) -> None:
        """Damage one line."""
        assert self._corrupt is not None
        index = data.draw(st.sampled_from([i for i, line in enumerate(self.model.lines) if not line.damaged]))
        self._corrupt(self.url, index)
        self.model.lines[index].damaged = True

    # reading

    @rule(handle=HANDLES, data=st.data())
    def read_from_a_stored_position(self, handle: int, data: st.DataObject) -> None:
        """Read on from any position, kept as text."""
        index = data.draw(st.integers(0, len(self.model.lines)))
        start = iterlog.Position.parse(str(self.model.lines[index - 1].position)) if index else None
        expected = [(line.position, line.record) for line in self.model.lines[index:] if not line.damaged]
        assert list(self.handles[handle].entries(start)) == expected

    @rule(handle=HANDLES, n=st.integers(0, 6))
    def read_the_tail(self, handle: int, n: int) -> None:
        """Read the last records."""
        records = self.model.records
        assert self.handles[handle].tail(n) == records[len(records) - min(n, len(records)) :]
        assert self.handles[handle].last() == (records[-1] if records else None)

    @rule(handle=HANDLES, gap=st.integers(-4, 1))
    def get(self, handle: int, gap: int) -> None:
        """Read the newest record with a number."""
        iteration = max(0, self.model.free + gap)
        found = [record for record in self.model.records if record.iteration == iteration]
        assert self.handles[handle].get(iteration) == (found[-1] if found else None)

    @rule(handle=HANDLES)
    def verify(self, handle: int) -> None:
        """Check everything."""
        report = self.handles[handle].verify()
        assert (report.records, report.end) == (len(self.model.readable), self._end())
        torn = [fault for fault in report.faults if fault.kind is iterlog.FaultKind.TORN]
        assert len(torn) == self.model.torn
        expected = [line.position for line in self.model.lines if line.damaged]
        assert [fault.position for fault in report.faults if fault not in torn] == expected

    @invariant()
    def both_handles_read_the_model(self) -> None:
        """Hold what both handles read, from both ends, against the list."""
        if not hasattr(self, "model"):
            return
        records = self.model.records
        for handle in self.handles:
            assert list(handle) == records
            assert list(reversed(handle)) == records[::-1]
            assert len(handle) == len(records)

    # the model

    def _was_overtaken(self, handle: int) -> bool:
        """Whether a handle took the history over, and another one after it."""
        return handle in self.model.took_over and self.model.claimed_by != handle

    def _end(self) -> iterlog.Position:
        return self.model.lines[-1].position if self.model.lines else iterlog.START

    def _stored(self, handle: int, position: iterlog.Position, records: list[iterlog.IterationRecord]) -> None:
        """Take over what was appended, once the history agrees about its positions."""
        start = self._end()
        positions = [behind for behind, _ in self.handles[handle].lines(start)]
        assert len(positions) == len(records)
        assert positions == sorted({*positions, position})
        assert position > start
        assert positions[-1] == position
        self.model.lines += [Stored(*pair) for pair in zip(positions, records, strict=True)]
        self._repaired(handle)

    def _repaired(self, handle: int) -> None:
        """A torn end was met: this handle, and no other, has one more to tell of."""
        self.reported[handle] += self.model.torn
        self.model.torn = False
        assert len(self.handles[handle].repair()) == self.reported[handle]
