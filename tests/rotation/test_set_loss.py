"""A newest file that somebody removed: told of, and its positions are not given to other lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, record, records
from rotation_files import SIZE, entries, listing, open_set, write_set

from iterlog import CorruptionError, FaultKind, Position, open_history
from iterlog.files.logfile import LogFile
from iterlog.jobs.archive import archive
from iterlog.rotation.active import ActiveFile

if TYPE_CHECKING:
    from pathlib import Path

    from iterlog.backends.rotating import RotatingHistory


def lost_set(directory: Path, *, compressed: bool, lines: int = 2) -> Path:
    """Make a set of two sealed files and some lines in the newest, which is removed; return the newest one's path."""
    write_set(directory, 2 * SIZE, compressed=compressed)
    with open_set(directory) as history:
        for number in range(2 * SIZE, 2 * SIZE + lines):
            history.append(record(number))
    newest = directory / f"{2 * SIZE:012d}.jsonl"
    newest.unlink()
    return newest


def check_told(history: RotatingHistory) -> None:
    """Check that verify() tells of the loss where it is, and that what is there reads."""
    report = history.verify()
    assert [(fault.position, fault.kind) for fault in report.faults] == [(Position.of(2 * SIZE), FaultKind.MISSING)]
    assert report.records == 2 * SIZE


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("lines", [1, 2])
def test_positions_of_a_removed_file_are_not_used_again(tmp_path: Path, lines: int, *, compressed: bool) -> None:
    """After the newest file was removed, appends go on behind every position that it may have given out."""
    lost_set(tmp_path / "set", compressed=compressed, lines=lines)
    lost = Position.of(2 * SIZE + lines)
    with open_set(tmp_path / "set") as history:
        check_told(history)
        check_told(history)
        with pytest.raises(CorruptionError):
            list(history.read(lost))
        positions = [history.append(record(number)) for number in range(20, 20 + 2 * SIZE)]
        assert positions[0] > lost
        found = entries(history)
        assert [number.iteration for _, number in found] == [*range(2 * SIZE), *range(20, 20 + 2 * SIZE)]
        assert [position for position, _ in found][2 * SIZE :] == positions
        assert [found.iteration for found in history.read(lost)] == list(range(20, 20 + 2 * SIZE))
        assert len(history.verify().faults) == 1
        list(history.compress())
        assert entries(history) == found
    before = [part for part in listing(tmp_path / "set").sealed if part.first < 2 * SIZE]
    assert [(part.first, part.end) for part in before] == [(0, SIZE), (SIZE, 2 * SIZE)]
    assert all(part.codec for part in before)


def test_an_open_handle_notices_a_removed_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A handle whose file is removed under it does not begin it anew."""
    with open_set(tmp_path / "set") as history:
        positions = [history.append(one) for one in records(range(SIZE + 2))]
        (tmp_path / "set" / f"{SIZE:012d}.jsonl").unlink()
        assert history.append(record(20)) > positions[-1]
        assert f"{SIZE:012d}.jsonl" in caplog.text
        assert numbers(history) == [*range(SIZE), 20]
        assert not history.verify().ok


def test_a_removed_file_that_comes_back_is_read(tmp_path: Path) -> None:
    """When the file is put back from a copy, before or after the next append, its lines are read where they were."""
    newest = lost_set(tmp_path / "set", compressed=True)
    with open_set(tmp_path / "other") as other:
        other.extend(records(range(2 * SIZE, 2 * SIZE + 2)))
    newest.write_bytes((tmp_path / "other" / "000000000000.jsonl").read_bytes())
    with open_set(tmp_path / "set") as history:
        assert history.verify().ok
        assert history.append(record(8)) == Position.of(2 * SIZE + 3)
        assert numbers(history) == list(range(2 * SIZE + 3))


def test_nothing_is_lost_with_an_empty_file(tmp_path: Path) -> None:
    """A newest file in which nothing stood yet can be missing: the next one takes its place."""
    write_set(tmp_path / "set", 2 * SIZE)
    (tmp_path / "set" / f"{2 * SIZE:012d}.jsonl").unlink()
    with open_set(tmp_path / "set") as history:
        assert history.verify().ok
        assert history.append(record(6)) == Position.of(2 * SIZE + 1)
        assert history.verify().ok


def test_compressed_files_alone_are_told_of(tmp_path: Path) -> None:
    """Files are compressed when another one follows: where none does, it was removed, whatever the lock file says."""
    write_set(tmp_path / "set", 2 * SIZE, compressed=True)
    (tmp_path / "set" / f"{2 * SIZE:012d}.jsonl").unlink()
    (tmp_path / "set" / "lock").unlink()
    with open_set(tmp_path / "set") as history:
        check_told(history)


@pytest.mark.parametrize("keep", [0, 1])
def test_everything_removed_begins_behind_it(tmp_path: Path, keep: int) -> None:
    """Of a set whose files were all removed by hand, or whose last ones were, no position comes again."""
    write_set(tmp_path / "set", 4 * SIZE)
    for part in listing(tmp_path / "set").parts[keep:]:
        (tmp_path / "set" / part.name).unlink()
    with open_set(tmp_path / "set") as history:
        assert numbers(history) == list(range(keep * SIZE))
        assert not keep or not history.verify().ok
        assert history.append(record(30)) > Position.of(4 * SIZE)
        assert numbers(history) == [*range(keep * SIZE), 30]


def test_an_archived_set_has_lost_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A set that was emptied by archiving it is no damage, and goes on behind the positions it had."""
    write_set(tmp_path / "set", 2 * SIZE + 1)
    archive(f"rotating://{tmp_path}/set", f"rotating://{tmp_path}/kept", delete_source=True)
    caplog.clear()
    with open_set(tmp_path / "set") as history:
        assert history.verify().ok
        assert history.append(record(7)) > Position.of(2 * SIZE + 1)
        assert numbers(history) == [7]
        assert history.verify().ok
    assert "is gone" not in caplog.text


def test_noting_costs_one_write_for_many_appends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed out is noted many positions at a time, and what one handle noted others do not note again."""
    noted = 0
    note = ActiveFile._note

    def counted(self: ActiveFile, highest: int, *, durable: bool = False) -> None:
        nonlocal noted
        noted += 1
        note(self, highest, durable=durable)

    with (
        open_history(f"rotating://{tmp_path}/set?durability=flush") as one,
        open_history(f"rotating://{tmp_path}/set?durability=flush") as other,
    ):
        one.append(record(0))
        monkeypatch.setattr(ActiveFile, "_note", counted)
        for number in range(1, 200, 2):
            one.append(record(number))
            other.append(record(number + 1))
    assert noted <= 1


# The checks above can fail.


def test_a_note_that_knows_the_turn_only_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noting what was handed out, the same positions come again, and nothing tells of it."""
    monkeypatch.setattr(ActiveFile, "_write", LogFile._write)
    lost_set(tmp_path / "set", compressed=False)
    with open_set(tmp_path / "set") as history:
        assert history.append(record(9)) == Position.of(2 * SIZE + 1)
