"""Retention removes the oldest sealed files and nothing else, and what was removed can be seen."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, record
from rotation_files import SIZE, entries, listing, names, open_set, write_set

from iterlog import CorruptionError, IterationRecord, Position

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A set of four sealed files, two of them compressed, and one record in the active one."""
    directory = tmp_path / "set"
    write_set(directory, 2 * SIZE + 1, compressed=True)
    with open_set(directory) as history:
        for number in range(2 * SIZE + 1, 4 * SIZE + 1):
            history.append(record(number))
    return directory


@pytest.mark.parametrize(("keep", "begins_at"), [(1, 3), (SIZE, 3), (SIZE + 1, 2), (4 * SIZE, 0), (1000, 0)])
def test_keep_records(directory: Path, keep: int, begins_at: int) -> None:
    """At least so many of the newest records stay, those of the active file not counted, whole files at a time."""
    with open_set(directory, keep_records=keep) as history:
        before = entries(history)
        promised = list(history.prune(dry_run=True))
        assert entries(history) == before
        assert [(kept.first, kept.end) for kept in history.prune()] == [(kept.first, kept.end) for kept in promised]
        assert history.begins_at == Position.of(begins_at * SIZE)
        assert entries(history) == before[begins_at * SIZE :]
        assert history.verify().ok
        assert history.resume().next_iteration == 4 * SIZE + 1


def test_keep_bytes(directory: Path) -> None:
    """The oldest files go until all take no more than allowed on the disk; the active one stays, however large."""
    sizes = [(directory / name).stat().st_size for name in names(directory)]
    for kept in (5, 4, 2, 1):
        with open_set(directory, keep_bytes=sum(sizes[-kept:])) as history:
            list(history.prune())
            assert len(listing(directory).parts) == kept
    with open_set(directory, keep_bytes=1) as history:
        assert list(history.prune()) == []
        assert numbers(history) == [4 * SIZE]


def test_keep_age(tmp_path: Path) -> None:
    """A file goes when its last record is too old, by the record's time and not by the file's."""
    now = dt.datetime.now(dt.UTC)
    days = [20, 19, 18, 17, 2, 16, 15, 14, 13, 1]
    with open_set(tmp_path / "set", keep_age="10d") as history:
        for number, day in enumerate(days):
            history.append(IterationRecord(number, "", {}, "", timestamp=now - dt.timedelta(days=day)))
        assert [kept.first for kept in history.prune()] == [0]
        assert numbers(history) == list(range(3, 10))  # the second file's newest record is two days old


def test_reading_on_behind_what_was_removed(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading from a removed position goes on where the history begins now, and says so once."""
    with open_set(directory) as reader, open_set(directory, keep_records=SIZE) as history:
        position = next(iter(reader.entries()))[0]
        list(history.prune())
        with caplog.at_level(logging.INFO, logger="iterlog"):
            assert [found.iteration for found in reader.read(position)] == list(range(3 * SIZE, 4 * SIZE + 1))
            assert len(reader) == SIZE + 1
            assert reader.get(0) is None
            list(reader.read(position))
        assert len([entry for entry in caplog.records if "begins at position 9" in entry.getMessage()]) == 1


def test_who_is_overtaken_is_warned(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading on from a removed position, or losing the race in the middle, is a warning; a first look is none."""
    with open_set(directory) as reader, open_set(directory, keep_records=SIZE) as history:
        positions = [position for position, _ in reader.entries()]
        forward = reader.entries()
        next(forward)
        list(history.prune())
        with caplog.at_level(logging.INFO, logger="iterlog"):
            assert numbers(reader) == list(range(3 * SIZE, 4 * SIZE + 1))
            assert not told_of_removal(caplog)
            assert [found.iteration for _, found in forward] == [1, 2, *range(3 * SIZE, 4 * SIZE + 1)]
            assert len(told_of_removal(caplog)) == 1
            following = reader.follow(positions[SIZE], poll_s=0.001, idle_s=0.0)
            assert [found.iteration for found in following] == list(range(3 * SIZE, 4 * SIZE + 1))
            assert len(told_of_removal(caplog)) == 2
        assert reader.begins_at == Position.of(3 * SIZE)


def told_of_removal(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the warnings that name where the history begins now."""
    return [
        entry
        for entry in caplog.records
        if entry.levelno == logging.WARNING and f"begins at position {3 * SIZE}" in entry.getMessage()
    ]


def test_who_is_overtaken_can_ask_for_an_error(directory: Path) -> None:
    """With on_damage=raise, records removed before they were read are an error that says where to read on."""
    with open_set(directory, on_damage="raise") as reader, open_set(directory, keep_records=SIZE) as history:
        position = next(reader.entries())[0]
        forward = reader.entries()
        next(forward)
        list(history.prune())
        for reading in (reader.read(position), reader.follow(position, idle_s=0.0), (found for _, found in forward)):
            with pytest.raises(CorruptionError) as caught:
                list(reading)
            assert caught.value.position == reader.begins_at
        assert [found.iteration for found in reader.read(reader.begins_at)] == list(range(3 * SIZE, 4 * SIZE + 1))
        assert numbers(reader) == list(range(3 * SIZE, 4 * SIZE + 1))
        assert reader.verify().ok


def test_reading_while_files_are_removed(directory: Path) -> None:
    """Readers in the middle of a history go on behind what is removed before they come to it."""
    with open_set(directory) as reader, open_set(directory, keep_records=1) as history:
        forward, back = reader.entries(), reader.entries_back()
        seen, seen_back = [next(forward)[1].iteration], [next(back)[1].iteration]
        list(history.prune())
        seen += [found.iteration for _, found in forward]
        seen_back += [found.iteration for _, found in back]
    assert seen == [*range(SIZE), *range(3 * SIZE, 4 * SIZE + 1)]
    assert seen_back == [*range(4 * SIZE, 3 * SIZE - 1, -1)]


def test_what_stands_twice_is_removed_as_a_whole(directory: Path) -> None:
    """A plain file beside its compressed one does not come back when the lines are removed."""
    write_set(directory.with_name("other"), 2 * SIZE + 1)
    plain = directory.with_name("other") / "000000000000.jsonl"
    (directory / plain.name).write_bytes(plain.read_bytes())
    packed = next(directory.glob("000000000000-*.zst"))
    packed.write_bytes(packed.read_bytes()[:-200])  # so that it is not proven to hold the same
    with open_set(directory, keep_records=1) as history:
        list(history.prune())
        assert numbers(history) == list(range(3 * SIZE, 4 * SIZE + 1))
        assert history.verify().ok


def test_an_active_file_alone_is_never_removed(tmp_path: Path) -> None:
    """Whatever is to be kept, the file that is appended to stays."""
    write_set(tmp_path / "set", SIZE - 1)
    with open_set(tmp_path / "set", keep_records=1, keep_bytes=1, keep_age="1ms") as history:
        assert list(history.prune()) == []
        assert numbers(history) == list(range(SIZE - 1))


def test_retention_works_by_itself(tmp_path: Path) -> None:
    """A loop that only appends keeps its directory small."""
    with open_set(tmp_path / "set", keep_records=2 * SIZE, compress="inline") as history:
        for number in range(20 * SIZE):
            history.append(record(number))
        assert 2 * SIZE <= len(history) <= 3 * SIZE
        assert numbers(history)[-1] == 20 * SIZE - 1
