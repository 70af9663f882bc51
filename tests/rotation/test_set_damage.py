"""Damaged, foreign and missing files of a set: the good lines are read, each fault is told, nothing is removed."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers
from fault_shim import needs_tool
from rotation_files import SIZE, entries, listing, names, open_set, write_set

from iterlog import CorruptionError, FaultKind, Position
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 3 * SIZE + 1
MIDDLE = set(range(SIZE, 2 * SIZE))


@pytest.fixture(params=["zstd", "gzip"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A set of three compressed files and one record in the active one."""
    write_set(tmp_path / "set", COUNT, compressed=True, codec=request.param)
    return tmp_path / "set"


def middle(directory: Path) -> Path:
    """Return the file in the middle."""
    return directory / names(directory)[1]


def cut_in_half(data: bytes) -> bytes:
    """Keep the first half."""
    return data[: len(data) // 2]


def without_content(_data: bytes) -> bytes:
    """Keep nothing."""
    return b""


def flipped(data: bytes) -> bytes:
    """Flip a bit in the compressed lines."""
    return data[:60] + bytes([data[60] ^ 8]) + data[61:]


def with_garbage(data: bytes) -> bytes:
    """Append what is no frame."""
    return data + b"garbage behind the end"


def other_format(_data: bytes) -> bytes:
    """Put something else in its place."""
    return b"this is no compressed file at all\n" * 20


@pytest.mark.parametrize("damage", [cut_in_half, without_content, flipped, with_garbage, other_format])
def test_a_damaged_file_costs_itself_only(directory: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever is in a compressed file's place, all others are read, and verify names the position behind it."""
    path = middle(directory)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with open_set(directory) as history:
        found = {number for number in numbers(history) if number is not None}
        assert set(range(COUNT)) - MIDDLE <= found <= set(range(COUNT))
        assert {record.iteration for record in reversed(history)} == found
        assert all(history.get(number) is not None for number in found)
        assert Position.of(2 * SIZE) in {fault.position for fault in history.verify().faults}
        assert history.resume().next_iteration == COUNT
        check_nothing_is_removed(directory, path, damaged)
        assert {number for number in numbers(history) if number is not None and number < COUNT} == found
    with open_set(directory, on_damage="raise") as history:
        reading = history.read()
        with pytest.raises(CorruptionError) as caught:
            list(reading)
        assert caught.value.position is not None
        assert [record.iteration for record in history.read(caught.value.position)][: SIZE + 1] == [
            *range(2 * SIZE, COUNT)
        ]
        assert {(fault.position, fault.kind) for fault in history.verify().faults} >= {
            (Position.of(2 * SIZE), FaultKind.MISSING)
        }


def check_nothing_is_removed(directory: Path, path: Path, content: bytes) -> None:
    """Check that no later step removes, merges or rewrites a damaged file."""
    with open_set(directory, max_records=100, keep_age="1ms") as other:
        other.seal()
        list(other.compress())
        list(other.compact())
        list(other.compact(recompress=True))
    assert path.read_bytes() == content


def test_a_damaged_file_stays_until_retention_has_its_place(directory: Path) -> None:
    """A file that cannot be read has no age, so it and what is newer are kept; by count it goes like any other."""
    first = directory / names(directory)[0]
    first.write_bytes(b"")
    with open_set(directory, keep_age="1ms") as history:
        assert list(history.prune()) == []
    with open_set(directory, keep_records=SIZE) as history:
        assert [kept.first for kept in history.prune()] == [0, SIZE]


def without_footer(directory: Path, path: Path) -> bytes:
    """Compress a file's lines as the command line tools do."""
    plain = b"".join(SealedSegment(BytesSource(path.read_bytes())).chunks())
    if path.suffix == ".gz":
        return gzip.compress(plain)
    source = directory.with_name("plain.jsonl")
    source.write_bytes(plain)
    done = subprocess.run([needs_tool("zstd"), "-q", "-c", str(source)], capture_output=True, check=True, timeout=60)
    return done.stdout


def test_foreign_files_read_and_get_footers(directory: Path) -> None:
    """Files of the zstd and gzip command line tools read, in all ways, and compact gives them footers."""
    for name in names(directory)[:-1]:
        (directory / name).write_bytes(without_footer(directory, directory / name))
    with open_set(directory) as history:
        before = entries(history)
        assert [record.iteration for _, record in before] == list(range(COUNT))
        assert all(history.get(number) for number in range(COUNT))
        assert len(list(history.footers())) == 3
        done = list(history.compact())
        assert [kept.first for kept in done] == [0, SIZE, 2 * SIZE]
        assert list(history.compact()) == []
        assert entries(history) == before
        assert all(history._reader.stored_footer(part) for part in listing(directory).sealed)
        assert history.verify().ok


def test_a_lost_footer_is_made_again(directory: Path) -> None:
    """A file whose footer alone is damaged reads as before, and compact writes it anew."""
    path = middle(directory)
    data = path.read_bytes()
    path.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
    with open_set(directory) as history:
        found = entries(history)
        assert len(found) == COUNT
        assert history.get(SIZE) == found[SIZE][1]
        list(history.compact())
        assert entries(history) == found
        assert history.verify().ok


def test_a_name_that_promises_fewer(directory: Path) -> None:
    """A file with more lines than its name says gives all of them, and the fault is told."""
    path = middle(directory)
    path.rename(path.with_name(path.name.replace("000000000005", "000000000004")))
    with open_set(directory) as history:
        assert numbers(history) == list(range(COUNT))
        assert [record.iteration for record in reversed(history)] == list(range(COUNT))[::-1]
        assert Position.of(2 * SIZE - 1) in {fault.position for fault in history.verify().faults}


def test_a_name_that_promises_more(directory: Path) -> None:
    """A file with fewer lines than its name says gives those it has, and the fault is told."""
    plain = directory / f"{SIZE:012d}.jsonl"
    middle(directory).unlink()
    plain.write_bytes(b'{"iteration":77,"code":"","metrics":{},"feedback":""}\n')
    with open_set(directory) as history:
        assert numbers(history) == [0, 1, 2, 77, 6, 7, 8, COUNT - 1]
        assert [fault.position[0] for fault in history.verify().faults] == [2 * SIZE]
        list(history.compress())
        assert plain.exists()
        assert numbers(history) == [0, 1, 2, 77, 6, 7, 8, COUNT - 1]


def test_a_newline_out_of_nowhere_costs_its_line_only(tmp_path: Path) -> None:
    """A byte that became a newline, or a newline that became a byte, costs no other line of its file."""
    write_set(tmp_path / "set", SIZE + 1)
    path = tmp_path / "set" / "000000000000.jsonl"
    data = path.read_bytes()
    end = data.index(b"\n")
    path.write_bytes(data[:40] + b"\n" + data[41:])
    with open_set(tmp_path / "set") as history:
        assert set(numbers(history)) >= {1, 2, 3}
        assert set(numbers(history)) == {record.iteration for record in reversed(history)}
        assert not history.verify().ok
        list(history.compress())
        assert path.exists()
    path.write_bytes(data[:end] + b"x" + data[end + 1 :])
    with open_set(tmp_path / "set") as history:
        assert set(numbers(history)) >= {2, 3}
        assert not history.verify().ok


def test_a_missing_file_in_the_middle(directory: Path) -> None:
    """Where a file is gone, the others are read both ways, and the gap is told, by position."""
    middle(directory).unlink()
    left = [*range(SIZE), *range(2 * SIZE, COUNT)]
    with open_set(directory) as history:
        assert numbers(history) == left
        assert [record.iteration for record in reversed(history)] == left[::-1]
        assert len(history) == len(left)
        assert [fault.position for fault in history.verify().faults] == [Position.of(2 * SIZE)]
        assert history.resume().next_iteration == COUNT
    with open_set(directory, on_damage="raise") as history:
        with pytest.raises(CorruptionError) as caught:
            numbers(history)
        assert caught.value.position == Position.of(2 * SIZE)
        with pytest.raises(CorruptionError):
            list(reversed(history))


def test_surplus_lines_are_told_as_what_they_are(tmp_path: Path) -> None:
    """With on_damage=raise, a file with more lines than its name says is named once, as that, with its place."""
    write_set(tmp_path / "set", SIZE + 1)
    path = tmp_path / "set" / "000000000000.jsonl"
    data = path.read_bytes()
    path.write_bytes(data + data[: data.index(b"\n") + 1])
    with open_set(tmp_path / "set", on_damage="raise") as history:
        with pytest.raises(CorruptionError) as told:
            list(history)
        assert told.value.position == Position.of(SIZE)
        assert str(told.value).count(path.name) == 1
