"""Damage in the middle of a file costs the lines it hits; it is reported with its position and never removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fault_files import flips, numbers, numbers_at, quick_directory, record, records, torn_files, write_history

from iterlog import CorruptionError, IterationRecord, Position, open_history
from iterlog import lines as lines_room
from iterlog.reports import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path() -> Iterator[Path]:
    """A path where a history may be written without waiting for a disk."""
    with quick_directory() as directory:
        yield directory / "history.jsonl"


def _ends(content: bytes) -> list[int]:
    return [i + 1 for i, byte in enumerate(content) if byte == 10]


def check_flips(path: Path, content: bytes, written: list[IterationRecord], start: int, end: int) -> None:
    """Flip every bit between two offsets, alone, and look what a reader makes of it.

    Args:
        path: The history.
        content: Its undamaged bytes.
        written: Its records.
        start: Where to begin, within one line.
        end: Where to end; the newline of that line included or not.
    """
    ends = _ends(content)
    hit = sum(stop <= start for stop in ends)
    others = [found for i, found in enumerate(written) if i != hit]
    with open_history(path) as history:
        for offset, damaged in flips(content, start, end):
            path.write_bytes(damaged)
            found = list(history)
            # Everything but the line that was hit is there, in order; that line is equal or reported.
            if found == written:
                continue
            assert found == others, f"bit flip in byte {offset}"
            faults = history.verify().faults
            assert faults, f"bit flip in byte {offset} was not detected"
            assert {fault.position[0] for fault in faults} <= {*ends[hit : hit + 2], offset + 1}


@pytest.mark.parametrize("batches", [[1, 1, 1], [1, 3, 3]], ids=str)
def test_flip_every_bit_of_a_line_in_the_middle(path: Path, batches: list[int]) -> None:
    """Every flipped bit of a line, its newline included, costs at most that line."""
    written = [record(number, "J*J") for number in range(sum(batches))]  # J and * become newlines
    rest = iter(written)
    content = write_history(path, *([next(rest) for _ in range(size)] for size in batches))
    ends = _ends(content)
    check_flips(path, content, written, ends[1], ends[2])


@pytest.mark.parametrize("batches", [[1, 1], [2]], ids=str)
def test_flip_every_bit_of_the_last_line(path: Path, batches: list[int]) -> None:
    """Every flipped bit of the last line, its newline aside, costs at most that line."""
    written = [record(number, "J*J") for number in range(sum(batches))]
    rest = iter(written)
    content = write_history(path, *([next(rest) for _ in range(size)] for size in batches))
    check_flips(path, content, written, _ends(content)[-2], len(content) - 1)


@pytest.mark.parametrize("batches", [[1, 3], [3, 1], [2, 2], [2, 3]], ids=str)
def test_flip_every_bit_behind_the_fields_of_each_line(path: Path, batches: list[int]) -> None:
    """A damaged batch mark, checksum or newline costs its line, not the batch, whichever of its lines it is."""
    written = records(range(sum(batches)))
    content = write_history(path, written[: batches[0]], written[batches[0] :])
    for end in _ends(content):
        check_flips(path, content, written, end - 30, end if end < len(content) else end - 1)


@pytest.mark.parametrize("hit", [0, 1, 2, 3])
def test_appends_and_repairs_leave_damage_alone(path: Path, hit: int) -> None:
    """Neither an append nor a repair nor a resume removes or rewrites a damaged line, be it the last one."""
    content = write_history(path, records([0]), records([1]), records([2]), records([3]))
    ends = [0, *_ends(content)]
    for offset, damaged in flips(content, ends[hit] + 20, ends[hit] + 24):
        path.write_bytes(damaged)
        with open_history(path, durability="flush") as history:
            history.repair()
            point = history.resume()
            history.append(record(50))
            assert point.next_iteration == 4, "the damaged line's number is not handed out again"
            assert numbers(history) == [*(n for n in range(4) if n != hit), 50]
            assert [fault.position for fault in history.verify().faults] == [Position.of(ends[hit + 1])]
        assert path.read_bytes().startswith(damaged), f"bit flip in byte {offset}"
        assert not torn_files(path)


def test_a_damaged_last_newline_is_not_taken_for_a_torn_record(path: Path) -> None:
    """A last line whose newline was hit stays in the file, is reported, and does not swallow the next record."""
    content = write_history(path, records([0]), records([1]))
    for _, damaged in flips(content, len(content) - 1, len(content)):
        path.write_bytes(damaged)
        with open_history(path, durability="flush") as history:
            assert [found.kept_at for found in history.resume().dropped] == [None]
            history.append(record(2))
            assert numbers(history) == [0, 2]
            assert len(history.verify().faults) == 1
        assert path.read_bytes().startswith(damaged)


def test_a_lost_newline_costs_the_line_it_ended(path: Path) -> None:
    """Two lines run together: the second is still read, the first is reported."""
    content = write_history(path, records([0]), records([1]), records([2]))
    end = _ends(content)[0]
    path.write_bytes(content[: end - 1] + content[end:])
    with open_history(path) as history:
        assert numbers(history) == [1, 2]
        assert len(history) == 2
        assert [found.iteration for found in reversed(history)] == [2, 1]
        assert len(history.verify().faults) == 1


@pytest.mark.parametrize(
    ("first", "start", "last", "end", "lost"),
    [
        (1, 5, 1, -5, [1]),
        (1, 0, 1, None, [1, 2]),
        (1, 0, 2, 0, [1]),
        (1, 5, 2, 5, [1, 2]),
        (1, -1, 2, 5, [1, 2]),
        (1, 5, 3, -5, [1, 2, 3]),
        (0, 0, 2, 30, [0, 1, 2]),
        (2, 0, 3, 0, [2]),
    ],
    ids=["in a line", "a line", "a line but for NULs", "to a later line", "its newline", "3 lines", "start", "exact"],
)
def test_nul_holes(path: Path, first: int, start: int, last: int, end: int | None, lost: list[int]) -> None:
    """A hole of NULs costs the lines it touches, wherever it begins and ends, and is called by its name."""
    content = write_history(path, *([found] for found in records(range(6))))
    ends = [0, *_ends(content)]
    begin = ends[first] + start if start >= 0 else ends[first + 1] + start
    stop = ends[last + 1] if end is None else ends[last] + end if end >= 0 else ends[last + 1] + end
    damaged = content[:begin] + b"\0" * (stop - begin) + content[stop:]
    path.write_bytes(damaged)
    expected = [number for number in range(6) if number not in lost or (end is None and number == last + 1)]
    if end == 0:
        # The hole ends where a line begins: behind the NULs that line is whole.
        expected = sorted({*expected, last})
    with open_history(path, durability="flush") as history:
        assert numbers(history) == expected
        assert {fault.kind for fault in history.verify().faults} == {FaultKind.NUL}
        history.append(record(None))
        assert history.resume().next_iteration == 7
        assert numbers(history) == [*expected, 6]
    assert path.read_bytes().startswith(damaged)


def test_a_hole_as_long_as_the_end(path: Path) -> None:
    """NULs from the middle of a record to the end of the file are set aside, and everything before is kept."""
    content = write_history(path, *([found] for found in records(range(4))))
    end = _ends(content)[1]
    path.write_bytes(content[: end + 30] + b"\0" * (len(content) - end - 30))
    with open_history(path, durability="flush") as history:
        history.append(record(9))
        assert numbers(history) == [0, 1, 9]
    assert torn_files(path)[0].read_bytes().endswith(b"\0")


def test_damage_is_logged_once_per_handle(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading over a damaged line again and again warns once, with the position behind it."""
    content = write_history(path, records([0]), records([1]), records([2]))
    end = _ends(content)[0]
    path.write_bytes(content[:40] + b"?" + content[41:])
    with open_history(path) as history:
        for _ in range(3):
            assert numbers(history) == [1, 2]
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert str(end) in caplog.text


def test_on_damage_raise(path: Path) -> None:
    """With on_damage=raise reading stops at the damage, and goes on behind it from the position the error carries."""
    content = write_history(path, records([0]), records([1]), records([2]))
    end = _ends(content)[0]
    path.write_bytes(content[: end + 40] + b"?" + content[end + 41 :])
    with open_history(path, on_damage="raise") as history:
        rest = iter(history)
        assert next(rest).iteration == 0
        with pytest.raises(CorruptionError) as caught:
            next(rest)
        assert caught.value.position is not None
        assert [found.iteration for found in history.read(caught.value.position)] == [2]
        with pytest.raises(CorruptionError):
            list(reversed(history))
        history.append(record(3))
    assert numbers_at(path) == [0, 2, 3]


# The checks above can fail.


def test_an_unchecked_checksum_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not compare checksums is caught by the flipped bits that still parse."""
    written = records(range(4))
    content = write_history(path, *([found] for found in written))
    ends = _ends(content)
    monkeypatch.setattr(lines_room, "crc32", lambda _data: 0)
    blind = write_history(path.with_name("blind.jsonl"), *([found] for found in written))
    assert len(blind) == len(content)
    with pytest.raises(AssertionError):
        check_flips(path, blind, written, ends[1], ends[2])


def test_a_batch_hidden_by_one_damaged_line_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that passes over a whole batch for one damaged line is caught."""
    written = records(range(4))
    content = write_history(path, written[:1], written[1:])
    ends = _ends(content)
    real = lines_room.lines_to_follow
    monkeypatch.setattr("iterlog.files.lines_of.lines_to_follow", lambda line: real(line) or 0)
    with pytest.raises(AssertionError):
        check_flips(path, content, written, ends[1], ends[2] - 1)
