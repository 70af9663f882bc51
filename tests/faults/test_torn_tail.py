"""A crash in the middle of an append costs the record in flight and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, quick_directory, record, records, torn_files, write_history

from iterlog import open_history
from iterlog.files import lines_of, logfile, tail
from iterlog.reports import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _clean(path: Path) -> None:
    for torn in torn_files(path):
        torn.unlink()


def check_cut(path: Path, content: bytes, cut: int, complete: list[int]) -> None:
    """Reopen a file cut short, append twice, and compare with what must be there.

    Args:
        path: The history, whose lock file a writer has left.
        content: The whole file.
        cut: How many bytes of it the crash left.
        complete: The numbers of the records that are complete there.
    """
    _clean(path)
    path.write_bytes(content[:cut])
    kept = b"".join(content.splitlines(keepends=True)[: len(complete)])
    torn = content[len(kept) : cut]

    with open_history(path, durability="flush") as history:
        history.append(record(100))
        history.append(record(101))
        assert numbers(history) == [*complete, 100, 101]
        assert history.verify().ok
        dropped = history.repair()
    assert path.read_bytes().startswith(kept)
    assert [found.read_bytes() for found in torn_files(path)] == ([torn] if torn else [])
    assert [(found.position[0], found.size, found.kept_at) for found in dropped] == (
        [(len(kept), len(torn), str(torn_files(path)[0]))] if torn else []
    )
    with open_history(path) as again:
        assert again.repair() == ()


@pytest.fixture
def singles() -> Iterator[tuple[Path, bytes]]:
    """A history of four records, each appended alone."""
    with quick_directory() as directory:
        path = directory / "history.jsonl"
        yield path, write_history(path, *([found] for found in records(range(4))))


@pytest.fixture
def batch_last() -> Iterator[tuple[Path, bytes]]:
    """A history of one record and then three appended together."""
    with quick_directory() as directory:
        path = directory / "history.jsonl"
        yield path, write_history(path, records([0]), records([1, 2, 3]))


def test_cut_at_every_byte_of_the_last_two_records(singles: tuple[Path, bytes]) -> None:
    """Wherever the last two records are cut, all complete ones and both new ones are read back."""
    path, content = singles
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    for cut in range(ends[1], len(content) + 1):
        # A record that lacks nothing but its newline is complete.
        check_cut(path, content, cut, [number for number, end in enumerate(ends) if end - 1 <= cut])


def test_cut_at_every_byte_of_a_batch(batch_last: tuple[Path, bytes]) -> None:
    """Wherever a batch is cut, none of its records is read; without its last newline it is whole."""
    path, content = batch_last
    first_end = content.index(b"\n") + 1
    for cut in range(first_end, len(content) + 1):
        check_cut(path, content, cut, [0, 1, 2, 3] if cut >= len(content) - 1 else [0])


def test_readers_stop_at_the_last_whole_append(batch_last: tuple[Path, bytes]) -> None:
    """Before any writer comes, a reader of a file cut in a batch sees the records before it and reports the rest."""
    path, content = batch_last
    first_end = content.index(b"\n") + 1
    with open_history(path) as history:
        for cut in range(first_end + 1, len(content)):
            path.write_bytes(content[:cut])
            assert numbers(history) == [0]
            assert len(history) == 1
            last = history.last()
            assert last is not None
            assert last.iteration == 0
            assert {fault.kind for fault in history.verify().faults} <= {FaultKind.TORN, FaultKind.UNFINISHED}
            assert history.verify().faults
        assert not torn_files(path)


def test_reported_once_by_resume(singles: tuple[Path, bytes]) -> None:
    """What a crash tore is reported by the first resume after it, and by no other."""
    path, content = singles
    path.write_bytes(content[:-9])
    with open_history(path) as history:
        point = history.resume()
    assert [(found.kind, found.size) for found in point.dropped] == [
        (FaultKind.TORN, len(content.splitlines(keepends=True)[-1]) - 9)
    ]
    assert point.next_iteration == 3
    with open_history(path) as history:
        assert history.resume().dropped == ()


def test_reported_once_through_logging(singles: tuple[Path, bytes], caplog: pytest.LogCaptureFixture) -> None:
    """A repair logs one warning that names the file with the torn bytes."""
    path, content = singles
    path.write_bytes(content[:-9])
    with open_history(path) as history:
        history.append(record(9))
        history.append(record(10))
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert str(torn_files(path)[0]) in caplog.text


def test_a_tail_longer_than_a_block(tmp_path: Path) -> None:
    """A torn record of several megabytes is set aside whole."""
    path = tmp_path / "history.jsonl"
    content = write_history(path, records([0]), records([1], code="x" * 5_000_000))
    check_cut(path, content, len(content) - 100, [0])


@pytest.mark.parametrize("size", [1, 100, 5000, 3_000_000])
def test_nul_tail(singles: tuple[Path, bytes], size: int) -> None:
    """NULs behind the last record are set aside and told apart from a torn record."""
    path, content = singles
    path.write_bytes(content + b"\0" * size)
    with open_history(path, durability="flush") as history:
        assert numbers(history) == [0, 1, 2, 3]
        history.append(record(4))
        assert numbers(history) == [0, 1, 2, 3, 4]
        assert [found.kind for found in history.repair()] == [FaultKind.NUL]
    assert [found.read_bytes() for found in torn_files(path)] == [b"\0" * size]


def test_nuls_after_every_byte_of_the_last_record(singles: tuple[Path, bytes]) -> None:
    """A record that turns into NULs in the middle is set aside; one followed by NULs for its newline is kept."""
    path, content = singles
    last = content.splitlines(keepends=True)[-1]
    start = len(content) - len(last)
    for cut in range(start, len(content)):
        _clean(path)
        path.write_bytes(content[:cut] + b"\0" * 600)
        with open_history(path, durability="flush") as history:
            history.append(record(100))
            assert numbers(history) == ([0, 1, 2, 100] if cut < len(content) - 1 else [0, 1, 2, 3, 100])
            assert history.verify().ok
        assert len(torn_files(path)) == 1


def test_a_torn_file_takes_the_umask(singles: tuple[Path, bytes]) -> None:
    """Set-aside bytes are no more readable than the history was meant to be."""
    path, content = singles
    path.write_bytes(content[:-9])
    with open_history(path) as history:
        history.repair()
    assert torn_files(path)[0].stat().st_mode & 0o777 == path.stat().st_mode & 0o777


def test_a_file_whose_every_byte_was_torn(tmp_path: Path) -> None:
    """A crash in the first append leaves an empty history that begins at 0 again."""
    path = tmp_path / "history.jsonl"
    content = write_history(path, records([0]))
    path.write_bytes(content[:50])
    with open_history(path) as history:
        assert history.resume().next_iteration == 0
        history.append(record(None))
    assert numbers_at(path) == [0]


# The checks above can fail.


def test_without_repair_the_cut_is_noticed(singles: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that does not look at the end of the file is caught."""
    path, content = singles
    monkeypatch.setattr(logfile, "put_in_order", lambda _fd, _path, size, _report: size)
    with pytest.raises(AssertionError):
        check_cut(path, content, len(content) - 30, [0, 1, 2])


def test_deleting_torn_bytes_is_noticed(singles: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair that cuts without setting aside is caught."""
    path, content = singles
    monkeypatch.setattr(tail, "set_aside", lambda *_arguments: "")
    with pytest.raises((AssertionError, IndexError)):
        check_cut(path, content, len(content) - 30, [0, 1, 2])


def test_without_batch_marks_the_cut_is_noticed(
    batch_last: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that takes every line for an append of its own is caught."""
    path, content = batch_last
    monkeypatch.setattr(lines_of, "lines_to_follow", lambda _line: 0)
    with pytest.raises(AssertionError):
        check_cut(path, content, len(content) - 30, [0])
