"""Opening, creating, repairing and reading fail: nothing is lost, and the next append makes up for it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, record, records, torn_files, write_history
from fault_shim import calls_noted, fault, shimmed

from iterlog import UnavailableError, open_history

if TYPE_CHECKING:
    from pathlib import Path

NAME = "history.jsonl"


@pytest.mark.parametrize(
    ("torn", "call", "where"),
    [
        (True, "fsync", NAME),
        (True, "fsync", "Z"),
        (True, "write", "Z"),
        (True, "ftruncate", NAME),
        (True, "open", "Z"),
        (False, "fsync", NAME),
        (False, "write", NAME),
    ],
)
@shimmed
def test_failing_repair(tmp_path: Path, torn: bool, call: str, where: str) -> None:
    """A repair that cannot be finished loses nothing and is done by the next append, through the same handle."""
    path = tmp_path / NAME
    content = write_history(path, records([0]), records([1]))
    path.write_bytes(content[:-30] if torn else content[:-1])
    before = path.read_bytes()
    with open_history(path) as history:
        with fault(call, where, errno=errno.EIO), pytest.raises(UnavailableError) as caught:
            history.repair()
        assert caught.value.errno == errno.EIO
        kept = b"".join(found.read_bytes() for found in torn_files(path))
        assert path.read_bytes() + kept == before
        history.append(record(2))
        assert numbers(history) == ([0, 2] if torn else [0, 1, 2])
        assert history.verify().ok
    assert [len(found.read_bytes()) for found in torn_files(path)] == (
        [len(before) - content.index(b"\n") - 1] if torn else []
    )


@pytest.mark.parametrize(
    ("place", "first"), [(NAME, 1), (f"{NAME}.lock", 1), (f"{NAME}.lock", 2), ("history", 1), ("history", 2)]
)
@shimmed
def test_failing_sync_of_a_new_file(tmp_path: Path, place: str, first: int) -> None:
    """Until a new file and its name are durable nothing is acknowledged; the next append makes up for it."""
    path = tmp_path / "history" / NAME
    path.parent.mkdir()
    with open_history(path) as history:
        with fault("fsync", place, errno=errno.EIO, first=first, count=1), pytest.raises(UnavailableError):
            history.append(record(0))
        with calls_noted(tmp_path) as calls:
            history.append(record(1))
        assert "fsync history" in calls[: calls.index(f"write {NAME}")]
        assert numbers(history) == [1]


@shimmed
def test_failing_reads_never_look_like_an_empty_history(tmp_path: Path) -> None:
    """Where the file cannot be read, reading and numbering raise instead of starting again from nothing."""
    path = tmp_path / NAME
    before = write_history(path, records([5]))
    for call in ("pread", "open"):
        with open_history(path) as history, fault(call, NAME, errno=errno.EIO):
            for refused in (
                lambda history=history: list(history),
                lambda history=history: history.last(),
                lambda history=history: len(history),
                lambda history=history: history.resume(),
                lambda history=history: history.append(record(None)),
            ):
                with pytest.raises(UnavailableError) as caught:
                    refused()
                assert caught.value.errno == errno.EIO
    assert path.read_bytes() == before
    with open_history(path) as history:
        assert history.save(code="", metrics={}, feedback="").iteration == 6


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EROFS])
@shimmed
def test_refused_open(tmp_path: Path, code: int) -> None:
    """A file that cannot be opened now is appended to by the same handle when it can be."""
    path = tmp_path / NAME
    before = write_history(path, records([0]))
    history = open_history(path)
    with fault("open", NAME, errno=code), pytest.raises(UnavailableError) as caught:
        history.append(record(1))
    assert caught.value.errno == code
    assert path.read_bytes() == before
    history.append(record(1))
    history.close()
    assert numbers_at(path) == [0, 1]


@shimmed
def test_boot_id_that_cannot_be_read_for_the_moment(tmp_path: Path) -> None:
    """A boot id that could not be read, for want of a descriptor say, is asked for again, not taken for none."""
    path = tmp_path / NAME
    with open_history(path) as history:
        with fault("open", "boot_id", errno=errno.EMFILE), pytest.raises(UnavailableError) as caught:
            history.append(record(0))
        assert caught.value.errno == errno.EMFILE
        history.append(record(0))
    lock = path.with_name(f"{NAME}.lock").read_text()
    assert '"boot_id":""' not in lock
    assert '"boot_id":"' in lock
