"""``write=replace``: readers see the old file or the new one, whole, and nothing else is left behind."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from fault_files import beside, numbers, numbers_at, quick_directory, record, records, torn_files, write_history
from fault_processes import Child

from iterlog import UnavailableError, open_history
from iterlog.files.durable import write_all
from iterlog.files.replaced import ReplacedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path() -> Iterator[Path]:
    """A path where a file may be replaced a thousand times without waiting for a disk."""
    with quick_directory() as directory:
        yield directory / "history.jsonl"


def check_readers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file, as a reader and byte for byte, before each step of a replacement."""
    before = write_history(path, records([0]), write="replace")
    seen: list[bytes] = []
    with open_history(path, write="replace") as history, open_history(path) as reader:
        history.repair()

        def look() -> None:
            seen.append(path.read_bytes())
            assert numbers(reader) in ([0], [0, 1, 2])

        def looking_first(real: Callable[..., object]) -> Callable[..., object]:
            def step(*given: object) -> object:
                look()
                return real(*given)

            return step

        with monkeypatch.context() as patch:
            for name in ("write", "fsync", "replace", "fchmod"):
                real = getattr(os, name)
                patch.setattr(os, name, looking_first(real))
            history.extend(records([1, 2]))
    after = path.read_bytes()
    assert set(seen) == {before, after}, "a file in between was seen"
    assert seen == [before] * seen.count(before) + [after] * seen.count(after)
    assert numbers_at(path) == [0, 1, 2]


def test_readers_see_the_old_file_or_the_new_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no step of a replacement does a reader see a file in between."""
    check_readers(path, monkeypatch)


def test_processes_replace_while_others_read(path: Path) -> None:
    """Writers that replace and writers that append lose nothing of each other's, and readers see a growing prefix."""

    def append(write: str) -> None:
        with open_history(path, write=write, durability="flush") as history:
            for _ in range(40):
                history.extend([record(None), record(None)])

    def read(_pipe: int) -> None:
        seen = 0
        with open_history(path, on_damage="raise") as history:
            while seen < 240:
                found = numbers(history)
                assert found == list(range(len(found)))
                assert len(found) >= seen
                assert len(found) % 2 == 0
                seen = len(found)

    reader = Child(read)
    writers = [Child(lambda _pipe, write=write: append(write)) for write in ("replace", "replace", "append")]  # type: ignore[misc] # mypy infers no lambda with a default
    for writer in writers:
        writer.finish()
    reader.finish()
    assert numbers_at(path) == list(range(240))
    assert beside(path) == {"history.jsonl", "history.jsonl.lock"}


def test_an_open_reader_keeps_its_file(path: Path) -> None:
    """A reader in the middle of the old file reads it to its end, and finds the rest by its position."""
    write_history(path, *([found] for found in records(range(300))))
    with open_history(path) as reader, open_history(path, write="replace") as history:
        entries = reader.entries()
        position, first = next(entries)
        history.append(record(300))
        rest = [found.iteration for _, found in entries]
        assert [first.iteration, *rest] == list(range(300))
        assert [found.iteration for found in reader.read(position)] == list(range(1, 301))


def test_a_failure_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever step fails, and be it by Ctrl-C, the old file is whole and the temporary one gone."""
    before = write_history(path, records([0]), write="replace")
    names = beside(path)
    for name in ("fchmod", "write", "fsync", "replace"):
        for failure in (OSError(5, "failed"), KeyboardInterrupt()):
            with open_history(path, write="replace") as history:
                history.repair()

                def fail(*_given: object, failure: BaseException = failure) -> None:
                    raise failure

                with monkeypatch.context() as patch:
                    patch.setattr(os, name, fail)
                    with pytest.raises((UnavailableError, KeyboardInterrupt)):
                        history.append(record(1))
                assert path.read_bytes() == before
                assert beside(path) == names
    with open_history(path, write="replace") as history:
        history.append(record(1))
    assert numbers_at(path) == [0, 1]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_is_kept(path: Path, mode: int) -> None:
    """A replaced file keeps its permissions."""
    write_history(path, records([0]))
    path.chmod(mode)
    with open_history(path, write="replace") as history:
        history.append(record(1))
        history.append(record(2))
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
def test_owner_is_kept(path: Path) -> None:
    """A file that root replaces still belongs to the user it belonged to."""
    write_history(path, records([0]))
    os.chown(path, 1234, 1235)
    with open_history(path, write="replace") as history:
        history.append(record(1))
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_new_file_takes_the_umask(path: Path) -> None:
    """A file that does not exist yet gets the permissions any new file would get."""
    before = os.umask(0o027)
    try:
        write_history(path, records([0]), records([1]), write="replace")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_torn_tail_is_set_aside_first(path: Path) -> None:
    """A torn record is not copied into the new file."""
    content = write_history(path, records([0]), records([1]))
    path.write_bytes(content[:-9])
    with open_history(path, write="replace") as history:
        history.append(record(1))
        assert numbers(history) == [0, 1]
        assert history.verify().ok
    assert len(torn_files(path)) == 1


def test_damage_is_copied_as_it_is(path: Path) -> None:
    """A damaged line in the middle is in the new file as it was in the old one."""
    content = write_history(path, records([0]), records([1]))
    path.write_bytes(content[:50] + b"\0\0\0" + content[53:])
    before = path.read_bytes()
    with open_history(path, write="replace") as history:
        history.append(record(2))
        assert numbers(history) == [1, 2]
    assert path.read_bytes().startswith(before)


def test_long_histories_are_warned_of_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Past a thousand records the price of replacing is said, once per handle, and not before."""
    caplog.set_level(logging.WARNING)
    write_history(path, records(range(999)))
    with open_history(path, write="replace") as history:
        history.append(record(None))
        assert caplog.records == []
        history.append(record(None))
        history.append(record(None))
    assert len(caplog.records) == 1
    assert "write=append" in caplog.text


# The checks above can fail.


def test_writing_in_place_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that empties the file and writes it again is caught."""

    def write(self: ReplacedFile, descriptor: int, data: bytes, start: int) -> None:
        old = os.pread(descriptor, start, 0)
        os.ftruncate(descriptor, 0)
        write_all(descriptor, old)
        write_all(descriptor, data)
        self._size = start + len(data)

    monkeypatch.setattr(ReplacedFile, "_write", write)
    with pytest.raises(AssertionError):
        check_readers(path, monkeypatch)
