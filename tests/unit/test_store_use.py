"""What every store does for who uses one, whatever its backend: shown with the smallest backend there is."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from unit_records import line_of, make_record

from iterlog import (
    START,
    ConfigError,
    CorruptionError,
    FaultKind,
    HistoryClosedError,
    HistoryStore,
    HistoryURL,
    IterationRecord,
    OnDamage,
    Position,
    RecordError,
    UnsupportedOperationError,
    open_history,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog import Durability


class Smallest(HistoryStore):
    """The two methods a backend must have, over a list."""

    def __init__(self, url: HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self.stored: list[bytes] = []

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:  # noqa: ARG002 - a list is a list
        self.stored.extend(lines)
        return Position.of(len(self.stored))

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        first = start[0] if start else 0
        for i, line in enumerate(self.stored[first:], first + 1):
            yield Position.of(i), line


@pytest.fixture
def smallest() -> Smallest:
    """A new history in a list."""
    return Smallest(HistoryURL.parse("memory://smallest"))


@pytest.fixture
def memory() -> Iterator[HistoryStore]:
    """A new history in memory, which can also hand out numbers."""
    with open_history(f"memory://{uuid.uuid4().hex}") as history:
        yield history


def test_the_defaults_of_a_backend_with_two_methods(smallest: Smallest) -> None:
    """Counting, reading backwards, resuming and verifying come for free."""
    smallest.extend([make_record(iteration=i) for i in range(3)])
    assert len(smallest) == 3
    assert [record.iteration for record in reversed(smallest)] == [2, 1, 0]
    assert [record.iteration for record in smallest.tail(2)] == [1, 2]
    assert smallest.tail(0) == []
    assert smallest.get(1) == make_record(iteration=1)
    assert smallest.get(9) is None
    point = smallest.resume()
    assert (point.next_iteration, point.feedback, point.dropped) == (3, "go on", ())
    report = smallest.verify()
    assert (report.ok, report.records, report.end) == (True, 3, Position.of(3))
    smallest.flush()
    assert smallest.repair() == ()


def test_an_empty_history(smallest: Smallest) -> None:
    """Nothing is there: no last record, number 0 next, and true all the same."""
    assert (smallest.last(), list(smallest), len(smallest), smallest.get(0)) == (None, [], 0, None)
    assert (smallest.resume().next_iteration, smallest.resume().last) == (0, None)
    assert (smallest.verify().records, smallest.verify().end) == (0, START)
    assert smallest.extend([]) == START
    assert smallest


def test_a_backend_that_cannot_hand_out_numbers(smallest: Smallest) -> None:
    """Without a number the record is refused, and nothing is written."""
    for call in (
        lambda: smallest.append(make_record(iteration=None)),
        lambda: smallest.extend([make_record(), make_record(iteration=None)]),
        lambda: smallest.save(code=None, metrics={}, feedback=""),
    ):
        with pytest.raises(UnsupportedOperationError):
            call()
    assert smallest.stored == []


def test_what_is_stored_is_the_line(smallest: Smallest) -> None:
    """A backend gets exactly the lines of the format; a batch's are marked."""
    record = make_record()
    smallest.append(record)
    smallest.extend([record, record])
    assert smallest.stored == [line_of(record), line_of(record, more=1), line_of(record)]


def test_positions_of_appends(memory: HistoryStore) -> None:
    """Each append returns the position after its last record; an empty batch the end."""
    first = memory.append(make_record())
    second = memory.extend(make_record() for _ in range(3))
    assert first < second == memory.extend([])
    assert next(position for position, _ in memory.entries()) == first
    assert len(list(memory.read(first))) == 3
    assert [line for _, line in memory.lines(second)] == []


def test_numbers_in_a_batch(memory: HistoryStore) -> None:
    """Records without a number follow the one before them; given numbers stay."""
    memory.append(make_record(iteration=4))
    memory.extend([make_record(iteration=number) for number in (None, 10, None, 2, None)])
    assert [record.iteration for record in memory] == [4, 5, 10, 11, 2, 12]
    assert memory.save(code=None, metrics={}, feedback="").iteration == 13


def test_save_returns_what_is_stored(memory: HistoryStore) -> None:
    """With the number handed out, or the one given."""
    assert memory.save(code="x", metrics={"a": 1}, feedback="f", tags=["t"]) == memory.last()
    assert memory.save(code="x", metrics={"a": 1}, feedback="f", iteration=7, extra={"own": 1}) == memory.last()
    assert memory.last() is not None


def test_save_refuses_a_wrong_field(memory: HistoryStore) -> None:
    """A misspelt field is named with the one that was meant; nothing is written."""
    with pytest.raises(RecordError, match="did you mean 'status'"):
        memory.save(code="x", metrics={}, feedback="", statsu="keep")
    with pytest.raises(RecordError, match="code_hash"):
        memory.save(code="x", metrics={}, feedback="", code_hash="0")
    assert len(memory) == 0


@pytest.mark.parametrize("wrong", ["x = 1", 5, None, [("code", "x")]])
def test_what_is_no_record(memory: HistoryStore, wrong: Any) -> None:
    """Only a record or a mapping can be appended."""
    with pytest.raises(RecordError, match="mapping"):
        memory.append(wrong)
    with pytest.raises(RecordError, match="mapping"):
        memory.extend([make_record(), wrong])
    assert len(memory) == 0


CALLS: dict[str, Callable[[HistoryStore], Any]] = {
    "append": lambda history: history.append(make_record()),
    "extend": lambda history: history.extend([]),
    "save": lambda history: history.save(code=None, metrics={}, feedback=""),
    "read": lambda history: history.read(),
    "iter": iter,
    "reversed": reversed,
    "entries": lambda history: history.entries(),
    "lines": lambda history: history.lines(),
    "len": len,
    "tail": lambda history: history.tail(1),
    "last": lambda history: history.last(),
    "get": lambda history: history.get(0),
    "follow": lambda history: history.follow(),
    "resume": lambda history: history.resume(),
    "iteration": lambda history: history.iteration().__enter__(),
    "verify": lambda history: history.verify(),
    "repair": lambda history: history.repair(),
    "flush": lambda history: history.flush(),
    "aappend": lambda history: asyncio.run(history.aappend(make_record())),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_closed_handle(memory: HistoryStore, call: Callable[[HistoryStore], Any]) -> None:
    """Every call says that the handle is closed, at the call itself; closing again does nothing."""
    memory.close()
    memory.close()
    assert memory.closed
    with pytest.raises(HistoryClosedError, match="open it again"):
        call(memory)


def test_repr(memory: HistoryStore) -> None:
    """The repr names the class and the place."""
    assert repr(memory) == f"<MemoryHistory {memory.url!r}>"
    memory.close()
    assert repr(memory).endswith("closed>")


def damaged(smallest: Smallest) -> Smallest:
    """Put a record, a damaged line, another program's line and a record into a history."""
    line = line_of(make_record(iteration=1))
    smallest.stored = [
        line_of(make_record(iteration=0)),
        line.replace(b"1.25", b"9.25"),
        b"[1, 2]",
        line_of(make_record(iteration=3)),
    ]
    return smallest


def test_damage_is_skipped_and_reported_once(smallest: Smallest, caplog: pytest.LogCaptureFixture) -> None:
    """By default reading passes over damage with one warning per line, however often it is read."""
    damaged(smallest)
    for _ in range(2):
        assert [record.iteration for record in smallest] == [0, 3]
        assert [record.iteration for record in reversed(smallest)] == [3, 0]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert ["position 2" in messages[0], "position 3" in messages[1]] == [True, True]
    assert len(smallest) == 2


def test_damage_can_be_raised() -> None:
    """With on_damage=raise it is an error with the position from which reading goes on."""
    history = damaged(Smallest(HistoryURL.parse("memory://x"), on_damage=OnDamage.RAISE))
    with pytest.raises(CorruptionError) as first:
        list(history)
    assert first.value.position == Position.of(2)
    with pytest.raises(CorruptionError) as second:
        list(history.read(first.value.position))
    assert second.value.position == Position.of(3)
    assert [record.iteration for record in history.read(second.value.position)] == [3]


def test_verify_says_what_is_wrong(smallest: Smallest) -> None:
    """Each damaged line with its kind, its position and what can be done."""
    report = damaged(smallest).verify()
    assert (report.ok, report.records, report.end) == (False, 2, Position.of(4))
    assert [(fault.position, fault.kind) for fault in report.faults] == [
        (Position.of(2), FaultKind.CHECKSUM),
        (Position.of(3), FaultKind.RECORD),
    ]
    assert all(fault.advice and fault.detail for fault in report.faults)


def test_verify_checks_the_hash_of_code(smallest: Smallest) -> None:
    """A stored hash that is not the code's is reported; the record is read, with the right hash."""
    smallest.stored = [json.dumps({"iteration": 0, "code": "x", "code_hash": "f" * 64}).encode()]
    assert [fault.kind for fault in smallest.verify().faults] == [FaultKind.CODE_HASH]
    assert next(iter(smallest)).code_hash == IterationRecord(0, "x", {}, "").code_hash


def test_numbers_behind_damage(smallest: Smallest) -> None:
    """A damaged last line had a number as well: it is not handed out again; another program's line had none."""
    smallest.stored = [line_of(make_record(iteration=4)), line_of(make_record(iteration=5))[:-4] + b'00"}']
    assert smallest.resume().next_iteration == 6
    smallest.stored = [line_of(make_record(iteration=4)), b"[1]"]
    assert smallest.resume().next_iteration == 5


def test_get_finds_lines_of_other_programs(smallest: Smallest) -> None:
    """However a line shows its number; the newest of several is meant."""
    smallest.stored = [
        b'{"code": "old", "iteration": 7}',
        b'{"iteration": 7, "code": "spaced"}',
        b'{"iteration":7.0,"code":"float"}',
        b'{"iteration":8,"code":"other"}',
    ]
    for code in ("float", "spaced", "old"):
        found = smallest.get(7)
        assert found is not None
        assert found.code == code
        smallest.stored = [line for line in smallest.stored if code.encode() not in line]
    assert smallest.get(7) is None


@pytest.mark.parametrize("wrong", [5, "3", (1,), b"x"])
def test_a_start_that_is_no_position(memory: HistoryStore, wrong: Any) -> None:
    """Positions are opaque: a number or text is refused, with how to make one."""
    for call in (memory.read, memory.entries, memory.lines, memory.follow):
        with pytest.raises(ConfigError, match=r"Position\.parse"):
            call(wrong)


def test_tail_takes_a_number_from_zero_on(memory: HistoryStore) -> None:
    """A negative number is a mistake."""
    with pytest.raises(ConfigError, match="-1"):
        memory.tail(-1)


def test_follow(memory: HistoryStore) -> None:
    """Following yields what is there and what comes, and ends when the handle is closed."""
    memory.append(make_record(iteration=0))
    following = memory.follow(poll_s=0.001)
    assert next(following).iteration == 0
    memory.append(make_record(iteration=1))
    assert next(following).iteration == 1
    memory.close()
    assert list(following) == []


def test_follow_from_a_position_until_idle(memory: HistoryStore) -> None:
    """From a position on, and no longer than something comes."""
    position = memory.append(make_record(iteration=0))
    memory.append(make_record(iteration=1))
    assert [record.iteration for record in memory.follow(position, poll_s=0.001, idle_s=0)] == [1]


def test_async(memory: HistoryStore) -> None:
    """Appending and reading in worker threads, in order, more than one batch of them."""

    async def use() -> list[int | None]:
        for i in range(150):
            await memory.aappend(make_record(iteration=i))
        return [record.iteration async for record in memory.aread()]

    assert asyncio.run(use()) == list(range(150))


def test_methods_of_users_cannot_be_replaced() -> None:
    """What users call is the same for every backend: type checkers see it as final."""
    for name in ("append", "extend", "save", "resume", "read", "verify", "tail", "get", "iteration", "close"):
        assert getattr(getattr(HistoryStore, name), "__final__", False), name
