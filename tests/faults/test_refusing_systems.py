"""The same refusals from the operating system itself: full and read-only disks, limits, and missing permissions."""

from __future__ import annotations

import errno
import functools
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, record, records, torn_files, write_history
from fault_processes import as_nobody, in_child

from iterlog import HistoryStore, UnavailableError, open_history

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, mounted for the test."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system takes root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user of the machine may enter and list, but only its owner may write to."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        place.chmod(0o755)
        yield place


def fill(history: HistoryStore, *, batch: int) -> tuple[int, UnavailableError]:
    """Append until the disk is full; return how many records were acknowledged, and the refusal."""
    done = 0
    while True:
        try:
            history.extend(records(range(done, done + batch), code="x" * 3000))
        except UnavailableError as error:
            return done, error
        done += batch


@pytest.mark.parametrize("batch", [1, 4])
def test_full_disk(small_disk: Path, batch: int) -> None:
    """On a full disk every acknowledged record is kept, nothing is torn, and with room the same handle goes on."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 20_000)
    path = small_disk / "history.jsonl"
    with open_history(path) as history:
        done, error = fill(history, batch=batch)
        assert error.errno == errno.ENOSPC
        assert numbers(history) == list(range(done))
        assert path.read_bytes().endswith(b"\n")
        assert history.verify().ok
        ballast.unlink()
        history.append(record(None))
        assert numbers(history) == list(range(done + 1))
    assert torn_files(path) == []


def test_full_disk_when_a_torn_tail_waits(small_disk: Path) -> None:
    """A torn tail that cannot be set aside for want of room stays where it is until it can."""
    path = small_disk / "history.jsonl"
    content = write_history(path, records([0]), records([1], code="x" * 9000))
    path.write_bytes(content[:-10])
    before = path.read_bytes()
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="space"):
        ballast.write_bytes(b"x" * 65_536)
    with open_history(path) as history:
        with pytest.raises(UnavailableError) as caught:
            history.append(record(1))
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == before
        assert torn_files(path) == []
        ballast.unlink()
        history.append(record(1))
        assert numbers(history) == [0, 1]


def test_read_only_disk(small_disk: Path) -> None:
    """A history on a read-only disk can be read, not written to, and written to again when the disk is."""
    path = small_disk / "history.jsonl"
    before = write_history(path, records([0]))
    history = open_history(path)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        assert numbers(history) == [0]
        assert history.verify().ok
        for refused in (lambda: history.append(record(1)), history.resume):
            with pytest.raises(UnavailableError) as caught:
                refused()
            assert caught.value.errno == errno.EROFS
        with pytest.raises(UnavailableError):
            open_history(small_disk / "new" / "history.jsonl").append(record(0))
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert path.read_bytes() == before
    history.append(record(1))
    history.close()
    assert numbers_at(path) == [0, 1]


@pytest.mark.parametrize("room", [0, 1, 100, 400])
def test_file_size_limit(tmp_path: Path, room: int) -> None:
    """A limit on the file's size (ulimit -f) refuses an append without leaving a part of it."""
    path = tmp_path / "history.jsonl"
    before = write_history(path, records([0]))

    def append() -> None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        with open_history(path) as history:
            history.repair()
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
            with pytest.raises(UnavailableError) as caught:
                history.extend(records([1, 2, 3]))
            assert caught.value.errno == errno.EFBIG
            assert path.read_bytes() == before
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            history.append(record(1))

    in_child(append)
    assert numbers_at(path) == [0, 1]
    assert torn_files(path) == []


@pytest.mark.parametrize("kind", ["new", "torn", "replace"])
def test_too_many_open_files(tmp_path: Path, kind: str) -> None:
    """However few descriptors are left, an append works or is refused whole, and works once there are more."""
    path = tmp_path / "history.jsonl"
    content = write_history(path, records([0]), records([1]))

    def append(spare: int) -> int | None:
        if kind == "new":
            path.unlink()
            Path(f"{path}.lock").unlink(missing_ok=True)
        else:
            path.write_bytes(content[:-9] if kind == "torn" else content)
        with open_history(path, write="replace" if kind == "replace" else "append") as history:
            held = []
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            try:
                while True:
                    held.append(os.dup(0))
            except OSError:
                for descriptor in held[:spare]:
                    os.close(descriptor)
            refusal = None
            try:
                history.append(record(7))
            except UnavailableError as error:
                refusal = error.errno
            for descriptor in held[spare:]:
                os.close(descriptor)
            history.append(record(8))
            kept = {"new": [], "torn": [0], "replace": [0, 1]}[kind]
            assert numbers(history) == [*kept, *([] if refusal else [7]), 8]
        return refusal

    refusals = [in_child(functools.partial(append, spare)) for spare in range(7)]
    assert set(refusals) == {errno.EMFILE, None}
    assert refusals[-1] is None


def test_unreadable_file(open_directory: Path) -> None:
    """A file that this user may not read is an error, not an empty history."""
    path = open_directory / "history.jsonl"
    before = write_history(path, records([0]))
    path.chmod(0)

    def use() -> None:
        with pytest.raises(UnavailableError) as caught:
            open_history(path).append(record(None))
        assert caught.value.errno == errno.EACCES

    as_nobody(use)
    path.chmod(0o644)
    assert path.read_bytes() == before


def test_file_that_may_only_be_read(open_directory: Path) -> None:
    """A user without write permission reads the history, torn tail and all, and is refused an append and a claim."""
    path = open_directory / "history.jsonl"
    content = write_history(path, records([0]), records([1]))
    path.write_bytes(content[:-9])
    before = path.read_bytes()
    path.chmod(0o444)
    Path(f"{path}.lock").chmod(0o444)

    def use() -> None:
        with open_history(path) as history:
            assert numbers(history) == [0]
            assert len(history.verify().faults) == 1
            for refused in (lambda: history.append(record(None)), history.resume, history.repair):
                with pytest.raises(UnavailableError) as caught:
                    refused()
                assert caught.value.errno == errno.EACCES

    as_nobody(use)
    assert path.read_bytes() == before


def test_directory_that_may_not_be_written_to(open_directory: Path) -> None:
    """A new history in a directory without write permission is refused, and a foreign one there can be read."""
    foreign = open_directory / "foreign.jsonl"
    foreign.write_text('{"iteration": 3, "code": "", "metrics": {}, "feedback": ""}')
    open_directory.chmod(0o555)

    def use() -> None:
        with pytest.raises(UnavailableError) as caught:
            open_history(open_directory / "history.jsonl").append(record(0))
        assert caught.value.errno == errno.EACCES
        with open_history(foreign) as history:
            assert numbers(history) == [3]

    as_nobody(use)
    open_directory.chmod(0o755)
    assert [entry.name for entry in open_directory.iterdir()] == ["foreign.jsonl"]
