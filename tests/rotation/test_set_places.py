"""A sealed file is read where it was sealed for, and nowhere else: copied or renamed by hand, it is a fault."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, records
from rotation_files import SIZE, entries, listing, names, open_set, write_set

from iterlog import CorruptionError, FaultKind, Position
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 3 * SIZE + 1


@pytest.fixture(params=["zstd", "gzip"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A set of three compressed files and one record in the active one."""
    write_set(tmp_path / "set", COUNT, compressed=True, codec=request.param)
    return tmp_path / "set"


def copy_over(directory: Path, source: int, target: int) -> Path:
    """Copy one file over another one's name; return that path."""
    path = directory / names(directory)[target]
    shutil.copy(directory / names(directory)[source], path)
    return path


def check_not_read(directory: Path) -> None:
    """Check that no way of reading shows a record of the first file in the place of the second."""
    left = [*range(SIZE), *range(2 * SIZE, COUNT)]
    with open_set(directory) as history:
        found = entries(history)
        assert [record.iteration for _, record in found] == left
        assert [position[0] for position, _ in found] == [number + 1 for number in left]
        assert [number for number in range(COUNT) if history.get(number)] == left
        report = history.verify()
        assert [(fault.position, fault.kind) for fault in report.faults] == [(Position.of(2 * SIZE), FaultKind.MISSING)]
        assert report.records == len(left)
        assert history.resume().next_iteration == COUNT


def test_a_file_copied_over_another_is_not_read_as_it(directory: Path) -> None:
    """A copy under another file's name gives none of its records, is told of, and stays what it is."""
    path = copy_over(directory, 0, 1)
    copied = path.read_bytes()
    check_not_read(directory)
    with open_set(directory, max_records=100, keep_age="1000d") as history:
        list(history.compact())
        list(history.compact(recompress=True))
        list(history.prune())
    assert path.read_bytes() == copied
    check_not_read(directory)


def test_a_copied_file_is_an_error_when_asked_for(directory: Path) -> None:
    """With on_damage=raise reading stops before the copy, forwards and backwards, and goes on behind it."""
    copy_over(directory, 0, 1)
    with open_set(directory, on_damage="raise") as history:
        with pytest.raises(CorruptionError) as caught:
            numbers(history)
        assert caught.value.position == Position.of(2 * SIZE)
        assert [found.iteration for found in history.read(caught.value.position)] == list(range(2 * SIZE, COUNT))
        with pytest.raises(CorruptionError):
            list(reversed(history))
        with pytest.raises(CorruptionError):
            list(history.footers())


def test_a_renamed_file_gets_its_name_back(directory: Path) -> None:
    """A file renamed by hand is not read under its new name, and under its own it is as before."""
    path = directory / names(directory)[1]
    renamed = path.with_name(path.name.replace(f"{SIZE:012d}", f"{SIZE + 1:012d}"))
    path.rename(renamed)
    with open_set(directory) as history:
        assert numbers(history) == [*range(SIZE), *range(2 * SIZE, COUNT)]
        assert not history.verify().ok
    renamed.rename(path)
    with open_set(directory) as history:
        assert len(entries(history)) == COUNT
        assert history.verify().ok


def test_every_step_names_the_place(directory: Path) -> None:
    """Compressed, merged and recompressed files all say in themselves where they belong."""
    with open_set(directory, max_records=2 * SIZE) as history:
        for recompress in (None, False, True):
            if recompress is not None:
                list(history.compact(recompress=recompress))
            for part in listing(directory).sealed:
                assert SealedSegment(BytesSource((directory / part.name).read_bytes())).begins_at() == part.first
            assert [position[0] for position, _ in entries(history)] == list(range(1, COUNT + 1))
            assert history.verify().ok


# The checks above can fail.


def test_a_reader_that_trusts_names_is_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looking at the place, the copy's records come twice, and nothing tells of it."""
    copy_over(directory, 0, 1)
    monkeypatch.setattr("iterlog.rotation.parts.SealedSegment.begins_at", lambda _segment: None)
    with open_set(directory) as history:
        assert numbers(history)[: 2 * SIZE] == [*range(SIZE)] * 2
        assert history.verify().ok


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize(("first", "last"), [(0, 99), (SIZE, 99), (SIZE - 1, 2 * SIZE + 1), (0, 2 * SIZE - 1)])
def test_a_name_that_reaches_over_others_costs_no_other_file(
    directory: Path, source: int, first: int, last: int
) -> None:
    """A file whose name says too much hides no other one, whatever is merged or appended; verify() tells of it."""
    victim = directory / names(directory)[source]
    own = range(source * SIZE, (source + 1) * SIZE)
    others = [number for number in range(COUNT) if number not in own]
    with open_set(directory, max_records=100) as running:
        running.append(records([COUNT])[0])
        victim.rename(directory / f"{first:012d}-{last:012d}{''.join(victim.suffixes)}")
        expected = [*(own if first == own[0] else []), *others, COUNT]
        for step in range(3):
            with open_set(directory, max_records=100) as history:
                found = entries(history)
                assert [record.iteration for _, record in found] == sorted(expected)
                assert [position[0] - 1 for position, _ in found[:COUNT]] == sorted(expected)[:COUNT]
                assert history.verify().ok == (step > 0 and first == own[0])
                list(history.compact())
            expected.append(COUNT + 1 + step)
            running.append(records([COUNT + 1 + step])[0])
