"""The note in the lock file, when several handles come upon a new one at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iterlog.files.lockfile import LockFile, WriterNote

if TYPE_CHECKING:
    from pathlib import Path


def test_creator_that_comes_second_takes_the_note_that_is_there(tmp_path: Path) -> None:
    """Who created the file but got its lock after another must not take the file for new: it would unsay that note."""
    path = str(tmp_path / "history.jsonl.lock")
    creator, other = LockFile(path, "memory://x"), LockFile(path, "memory://x")
    assert creator.acquire()
    creator.release()
    assert not other.acquire()
    other.write_note(WriterNote("this boot", 41))
    other.release()
    assert not creator.acquire()
    assert creator.read_note() == WriterNote("this boot", 41)
    creator.close()
    other.close()
