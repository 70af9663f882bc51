"""Files beside a compressed one that holds their lines: cleared away only when it really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rotation_files import SIZE, entries, listing, open_set, write_set

import iterlog
from iterlog import FaultKind, Position
from iterlog.backends.rotating import RotatingHistory
from iterlog.rotation.twins import Twins
from iterlog.segments.packing import Codec
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from pathlib import Path

PACKED = "000000000000-000000000004.jsonl.zst"
PLAIN = "000000000000.jsonl"


def compressed_set(directory: Path) -> bytes:
    """Make a set of one compressed file of five records; return its plain bytes."""
    with iterlog.open_history(f"rotating://{directory}?max_records=5&compress=inline") as history:
        for number in range(6):
            history.append({"iteration": number, "code": None, "metrics": {}, "feedback": ""})
    return b"".join(SealedSegment(BytesSource((directory / PACKED).read_bytes())).chunks())


def clear_away(directory: Path) -> None:
    """Have a keeper finish what others left."""
    with iterlog.open_history(directory) as history:
        assert isinstance(history, RotatingHistory)
        list(history.compress())
        assert len(history) == 6


def test_plain_file_with_the_same_lines_is_cleared_away(tmp_path: Path) -> None:
    """What a keeper left that died before its last step is removed by the next one."""
    plain = compressed_set(tmp_path / "set")
    (tmp_path / "set" / PLAIN).write_bytes(plain)
    clear_away(tmp_path / "set")
    assert not (tmp_path / "set" / PLAIN).exists()


def test_plain_file_with_other_lines_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file of the same name that holds a line more, or another one, is not removed, and is told of."""
    plain = compressed_set(tmp_path / "set")
    for other in (plain + b'{"iteration":777,"code":"unique"}\n', plain.replace(b'"iteration":3', b'"iteration":9')):
        (tmp_path / "set" / PLAIN).write_bytes(other)
        clear_away(tmp_path / "set")
        assert (tmp_path / "set" / PLAIN).read_bytes() == other
        assert PLAIN in caplog.text


def flipped(path: Path) -> bytes:
    """Flip a bit in a compressed file's lines; return what is there now."""
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes([data[60] ^ 8]) + data[61:])
    return path.read_bytes()


@pytest.mark.parametrize("on_damage", ["skip", "raise"])
@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_plain_twin_stands_in_for_a_damaged_file(tmp_path: Path, codec: str, on_damage: str) -> None:
    """Where a compressed file is damaged and the plain one still there, it is read, reported and compressed again."""
    directory = tmp_path / "set"
    plain = compressed_set(directory)
    (directory / PLAIN).write_bytes(plain)
    damaged = flipped(directory / PACKED)
    with open_set(directory, on_damage=on_damage, codec=codec, max_records=5) as history:
        found = entries(history)
        assert [record.iteration for _, record in found] == list(range(6))
        assert all(history.get(number) for number in range(6))
        report = history.verify()
        assert [(fault.position, fault.kind) for fault in report.faults] == [(Position.of(5), FaultKind.FILE)]
        assert report.records == 6
        assert (directory / PLAIN).read_bytes() == plain
        assert [kept.first for kept in history.compress()] == [0]
        assert entries(history) == found
        assert not (directory / PLAIN).exists()
        assert listing(directory).sealed[0].codec is Codec(codec)
    assert damaged in [path.read_bytes() for path in directory.iterdir()]


def test_files_stand_in_for_a_damaged_merged_one(tmp_path: Path) -> None:
    """Where a merged file is damaged and those it was made of still there, they are read, pruned, merged again."""
    directory = tmp_path / "set"
    write_set(directory, 3 * SIZE + 1, compressed=True)
    kept = {path: path.read_bytes() for path in directory.glob("*.zst")}
    with open_set(directory, max_records=100) as history:
        merged = [directory / done.name for done in history.compact()]
        before = entries(history)
        for path, content in kept.items():
            path.write_bytes(content)
        assert entries(history) == before
        flipped(merged[0])
        assert entries(history) == before
        assert not history.verify().ok
        list(history.compact())
        assert entries(history) == before
        assert history.verify().ok
        for path, content in kept.items():
            path.write_bytes(content)
        flipped(merged[0])
    with open_set(directory, keep_records=SIZE) as history:
        assert [done.first for done in history.prune()] == [0, SIZE]
        assert entries(history) == before[2 * SIZE :]
        assert history.verify().ok


def test_some_of_the_files_do_not_stand_in_for_all(tmp_path: Path) -> None:
    """Where not all files are left that a damaged one was made of, what it still gives is read, and nothing removed."""
    directory = tmp_path / "set"
    write_set(directory, 3 * SIZE + 1, compressed=True)
    first = next(directory.glob("000000000000-*"))
    kept = first.read_bytes()
    with open_set(directory, max_records=100) as history:
        merged = directory / [done.name for done in list(history.compact())].pop()
        first.write_bytes(kept)
        merged.write_bytes(merged.read_bytes()[:-300])
        assert not history.verify().ok
        list(history.compress())
        list(history.compact())
        assert first.read_bytes() == kept
        assert merged.exists()


def test_lines_that_differ_are_reported(tmp_path: Path) -> None:
    """verify() tells of a file whose lines are not those that stand in its place, and of none whose are."""
    plain = compressed_set(tmp_path / "set")
    (tmp_path / "set" / PLAIN).write_bytes(plain)
    with open_set(tmp_path / "set") as history:
        assert history.verify().ok
        (tmp_path / "set" / PLAIN).write_bytes(plain.replace(b'"iteration":3', b'"iteration":9'))
        assert [(fault.position, fault.kind) for fault in history.verify().faults] == [(Position.of(5), FaultKind.FILE)]


# The checks above can fail.


def test_reader_that_trusts_the_compressed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: without looking for a twin, the records of a damaged file are missing."""
    plain = compressed_set(tmp_path / "set")
    (tmp_path / "set" / PLAIN).write_bytes(plain)
    flipped(tmp_path / "set" / PACKED)
    monkeypatch.setattr(Twins, "chosen", lambda _twins, listing: listing)
    with open_set(tmp_path / "set") as history:
        assert len(list(history)) < 6


def test_keeper_that_trusts_names_would_lose_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: going by the names alone, the only copy of a line is removed."""
    plain = compressed_set(tmp_path / "set")
    (tmp_path / "set" / PLAIN).write_bytes(plain + b'{"iteration":777,"code":"unique"}\n')
    monkeypatch.setattr(Twins, "stands_in", lambda *_: True)
    clear_away(tmp_path / "set")
    assert not (tmp_path / "set" / PLAIN).exists()
