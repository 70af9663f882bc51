"""What is removed of an archived history: a plain file, or the files of a rotating set.

Everything here runs under the append lock of the source, so that nothing is appended between the last look and the
removal. The lock file itself stays: whoever waits for it must not be left with another one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from iterlog.backends.jsonl import JsonlHistory
from iterlog.backends.rotating import RotatingHistory
from iterlog.errors import ConflictError, CorruptionError, UnsupportedOperationError
from iterlog.files.durable import CREATE_FLAGS, READ_FLAGS, WRITE_FLAGS, copy_range, sync_directory
from iterlog.files.keeperlock import KeeperLock
from iterlog.files.lockfile import LockFile
from iterlog.files.tail import put_file_in_order
from iterlog.rotation.checking import SetChecker
from iterlog.rotation.keeping import PATIENCE_S
from iterlog.rotation.layout import LOCK_NAME, read_listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog.jobs.receipts import Receipt
    from iterlog.position import Position
    from iterlog.store import HistoryStore


class Removable(ABC):
    """A source that can be emptied.

    Args:
        path: Of the file or directory, without symbolic links.
        history: The open handle, which holds the claim.
    """

    def __init__(self, path: str, history: HistoryStore) -> None:
        self._path = path
        self._history = history
        self._lock = LockFile(self._lock_path(), history.url)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep appends out for the length of a block."""
        with contextlib.ExitStack() as held:
            self._keep_others_out(held)
            held.callback(self._lock.close)
            self._lock.acquire()
            held.callback(self._lock.release)
            self._check()
            yield

    def leave_receipt(self, receipt: Receipt) -> None:
        """Note durably, beside the source, where all of it stands now; only while `held`, before it is removed."""
        self._lock.write_receipt(receipt.fields())

    @abstractmethod
    def remove(self) -> None:
        """Remove everything; only while `held`."""

    @abstractmethod
    def remove_before(self, position: Position) -> None:
        """Remove what stands before a position, as far as it can go; only while `held`."""

    @abstractmethod
    def _keep_others_out(self, held: contextlib.ExitStack) -> None:
        """Keep out whoever changes the source without appending to it, before appends are made to wait."""

    @abstractmethod
    def _lock_path(self) -> str: ...

    @abstractmethod
    def _check(self) -> None:
        """Make sure that the source is what it was when it was opened, with nothing torn at its end."""


class _PlainFile(Removable):
    def remove(self) -> None:
        os.unlink(self._path)
        sync_directory(os.path.dirname(self._path))

    def remove_before(self, position: Position) -> None:
        """Put a file with the rest in the old one's place; a reader sees the one or the other."""
        if not position:
            return
        directory, name = os.path.split(self._path)
        temporary = os.path.join(directory, f".{name}.archive.tmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # of who was killed here; the append lock is ours
        source = os.open(self._path, READ_FLAGS)
        try:
            there = os.fstat(source)
            target = os.open(temporary, WRITE_FLAGS | CREATE_FLAGS, 0o600)
            try:
                copy_range(source, target, position[0], there.st_size)
                with contextlib.suppress(PermissionError):
                    os.fchown(target, there.st_uid, there.st_gid)
                os.fchmod(target, stat.S_IMODE(there.st_mode))
                os.fsync(target)
                os.replace(temporary, self._path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
            finally:
                os.close(target)
        finally:
            os.close(source)
        sync_directory(directory)

    def _keep_others_out(self, held: contextlib.ExitStack) -> None:
        """Whoever changes a plain file holds its append lock."""

    def _lock_path(self) -> str:
        return f"{self._path}.lock"

    def _check(self) -> None:
        if not stat.S_ISREG(os.lstat(self._path).st_mode):
            raise ConflictError(
                "the file was turned into something else meanwhile; nothing was removed", url=self._history.url
            )
        put_file_in_order(self._path, self._history.url)


class _RotatingSet(Removable):
    def remove(self) -> None:
        """Remove file after file, oldest first: what an interrupted removal leaves is the end of the same history."""
        listing = read_listing(self._path)
        self._unlink([*listing.dead, *(part.name for part in (*listing.redundant, *listing.parts))])
        note = self._lock.read_note()
        if note is not None:
            # Whoever begins anew goes on behind all positions there were, and takes nothing for lost.
            self._lock.write_note(replace(note, turn=note.reserved))

    def remove_before(self, position: Position) -> None:
        """Remove the sealed files that end before a position; the positions of what stays do not change."""
        listing = read_listing(self._path)
        before = position[0] if position else 0
        gone = [part for part in (*listing.redundant, *listing.sealed) if part.end is not None and part.end <= before]
        self._unlink([part.name for part in gone])

    def _unlink(self, names: list[str]) -> None:
        for name in names:
            os.unlink(os.path.join(self._path, name))
            sync_directory(self._path)

    def _keep_others_out(self, held: contextlib.ExitStack) -> None:
        keeper = KeeperLock(self._lock_path())
        if not keeper.acquire(timeout_s=PATIENCE_S):
            raise ConflictError(
                "another process is compressing the source; nothing was removed; start again when it is done",
                url=self._history.url,
            )
        held.callback(keeper.release)

    def _lock_path(self) -> str:
        return os.path.join(self._path, LOCK_NAME)

    def _check(self) -> None:
        if not os.path.isdir(self._path):
            raise ConflictError("the set was removed or replaced meanwhile", url=self._history.url)
        held_back = SetChecker(self._path, self._history.url).held_back()
        if held_back:
            raise CorruptionError(
                f"{held_back[0].detail}, and was not copied; nothing was removed; look at it, move it elsewhere, "
                "and start again",
                url=self._history.url,
                position=held_back[0].position,
            )


def removable(history: HistoryStore, path: str) -> Removable:
    """Return what can empty a source.

    Raises:
        UnsupportedOperationError: It is neither a plain file nor a rotating set.
    """
    if isinstance(history, JsonlHistory):
        return _PlainFile(path, history)
    if isinstance(history, RotatingHistory):
        return _RotatingSet(path, history)
    raise UnsupportedOperationError(
        "only plain files and rotating sets can be removed after archiving; leave out delete_source", url=history.url
    )
