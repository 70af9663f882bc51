"""What is no plain file is refused with one clear error, at once, and left as it was."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, record, records, write_history

from iterlog import ConfigError, HistoryNotFoundError, IterlogError, open_history
from iterlog.backends import jsonl
from iterlog.errors import UnsupportedOperationError
from iterlog.files import machine

if TYPE_CHECKING:
    from collections.abc import Callable


def _directory(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    # The address of a socket is short, shorter than many a temporary directory's name.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def _symlink_loop(path: Path) -> None:
    path.symlink_to(path)


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/full")


def _link_to_a_directory(path: Path) -> None:
    path.symlink_to(path.parent)


PLACES = [_directory, _fifo, _socket, _symlink_loop, _link_to_a_device, _link_to_a_directory]


@pytest.mark.parametrize("make", PLACES)
@pytest.mark.parametrize("options", [{}, {"create": False}, {"write": "replace"}], ids=str)
def test_not_a_plain_file(tmp_path: Path, make: Callable[[Path], None], options: dict[str, object]) -> None:
    """A directory, FIFO, socket, device or loop of links is refused when the history is opened, and nothing hangs."""
    path = tmp_path / "history.jsonl"
    make(path)
    before = path.lstat()
    with pytest.raises(ConfigError) as caught:
        open_history(path, **options)
    assert str(path) in str(caught.value)
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert [entry.name for entry in tmp_path.iterdir()] == ["history.jsonl"]


def test_device_by_its_own_name() -> None:
    """A device file is no history, under its own name too."""
    for name in ("/dev/null", "/dev/full", "/dev/zero"):
        with pytest.raises(ConfigError):
            open_history(name)


def test_file_where_a_directory_should_be(tmp_path: Path) -> None:
    """A path that leads through a plain file is refused, and the file is left alone."""
    (tmp_path / "plain").write_text("text")
    with pytest.raises(ConfigError):
        open_history(tmp_path / "plain" / "history.jsonl")
    assert (tmp_path / "plain").read_text() == "text"


def test_directory_that_becomes_a_file(tmp_path: Path) -> None:
    """A directory that turns out to be a file at the first append is one error of ours."""
    history = open_history(tmp_path / "place" / "deeper" / "history.jsonl")
    (tmp_path / "place").write_text("text")
    for refused in (lambda: history.append(record(0)), history.resume, lambda: list(history)):
        with pytest.raises(IterlogError):
            refused()


def test_name_too_long(tmp_path: Path) -> None:
    """A name the file system cannot hold is refused, the lock file's longer name included."""
    with pytest.raises(ConfigError):
        open_history(tmp_path / ("x" * 300))
    with pytest.raises(ConfigError):
        open_history(tmp_path / ("x" * 252)).append(record(0))


def test_missing_parents_are_made(tmp_path: Path) -> None:
    """Missing directories are made by the first append, and by nothing before it."""
    path = tmp_path / "a" / "b" / "history.jsonl"
    with open_history(path) as history:
        assert history.last() is None
        assert list(tmp_path.iterdir()) == []
        history.append(record(0))
    assert numbers_at(path) == [0]


def test_dangling_link_makes_its_target(tmp_path: Path) -> None:
    """A link to a file that is not there yet stays a link, and its target becomes the history."""
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "elsewhere" / "real.jsonl")
    with open_history(tmp_path / "link.jsonl") as history:
        history.append(record(0))
    assert (tmp_path / "link.jsonl").is_symlink()
    assert numbers_at(tmp_path / "elsewhere" / "real.jsonl") == [0]
    assert (tmp_path / "elsewhere" / "real.jsonl.lock").exists()


def test_missing_with_create_false(tmp_path: Path) -> None:
    """With create=false a missing file and a dangling link are missing histories, and nothing is made."""
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    for name in ("history.jsonl", "link.jsonl", "no/where.jsonl"):
        with pytest.raises(HistoryNotFoundError):
            open_history(tmp_path / name, create=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["link.jsonl"]


@pytest.mark.parametrize("make", PLACES)
def test_place_that_changes_under_an_open_handle(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A file that something else takes the place of is refused, and appended to again once it is back."""
    path = tmp_path / "history.jsonl"
    away = tmp_path / "away"
    with open_history(path) as history:
        history.append(record(0))
        path.rename(away)
        make(path)
        for refused in (lambda: history.append(record(1)), history.repair, lambda: list(history)):
            with pytest.raises(IterlogError):
                refused()
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        away.replace(path)
        history.append(record(1))
        assert numbers(history) == [0, 1]


@pytest.mark.parametrize("make", PLACES)
def test_lock_file_that_is_none(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """What is not a plain file in the lock file's place refuses writers, follows no link, and leaves readers alone."""
    path = tmp_path / "history.jsonl"
    before = write_history(path, records([0]))
    lock = Path(f"{path}.lock")
    lock.unlink()
    make(lock)
    with open_history(path) as history:
        for refused in (lambda: history.append(record(1)), history.resume):
            with pytest.raises(IterlogError):
                refused()
        assert numbers(history) == [0]
    assert path.read_bytes() == before


@pytest.mark.parametrize(("kind", "refused"), [("nfs4", True), ("fuse.sshfs", True), ("cifs", True), ("ext4", False)])
def test_network_file_system(tmp_path: Path, kind: str, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of a network is read, not written to, unless the user allows it."""
    path = tmp_path / "history.jsonl"
    before = write_history(path, records([0]))
    device = tmp_path.stat().st_dev
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:999 / / rw - tmpfs none rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /data rw,noatime shared:1 - {kind} server:/data rw\n"
    )
    monkeypatch.setattr(
        jsonl, "network_file_system", lambda place: machine.network_file_system(place, mounts=str(table))
    )
    with open_history(path) as history:
        assert numbers(history) == [0]
        if refused:
            for change in (lambda: history.append(record(1)), lambda: history.append(record(None)), history.resume):
                with pytest.raises(UnsupportedOperationError) as caught:
                    change()
                assert kind in str(caught.value)
            assert path.read_bytes() == before
        else:
            history.append(record(1))
    with open_history(path, network_fs="allow") as history:
        history.resume()
        history.append(record(2))
    assert numbers_at(path) == ([0, 2] if refused else [0, 1, 2])
