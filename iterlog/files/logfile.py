"""The append protocol: one file of lines that any number of threads and processes append to, and no crash confuses.

An append, in order: take the thread lock; take the file lock; is the path still our inode, and its size what we left?
If not, look at the end and repair it; one write on an O_APPEND descriptor; unlock; sync, together with every thread
that waits for the same; acknowledge. Whatever fails before the write is whole takes it back, still under the lock.

A kill can tear even a small write, and a machine crash can leave runs of NULs with whole lines behind them. So the end
is looked at whenever somebody else wrote last, and every line is checked when the machine was booted since.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import weakref
from typing import TYPE_CHECKING

from iterlog.errors import ConfigError, IterlogError, WriteUncertainError
from iterlog.files.durable import (
    CREATE_FLAGS,
    NEW_FILE_MODE,
    WRITE_FLAGS,
    SyncGroup,
    make_directories,
    sync_directory,
)
from iterlog.files.failures import became_a_directory, translated
from iterlog.files.lockfile import LockFile, WriterNote
from iterlog.files.machine import boot_id
from iterlog.files.tail import check_all_lines, number_behind, put_in_order
from iterlog.lines import iteration_of
from iterlog.position import Durability, Position
from iterlog.reader import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from iterlog.reports import Dropped

_UNKNOWN = -1


class LogFile:
    """One append-only file of lines, opened on first use, and again after a fork or a replacement.

    Args:
        path: The file, without symbolic links.
        url: How errors name the history.
        on_dropped: Told what a repair took out or found lost.
        shared_with_other_machines: The file system is a network's; see `LockFile`.
    """

    def __init__(
        self,
        path: str,
        url: str,
        on_dropped: Callable[[Dropped], None],
        *,
        shared_with_other_machines: bool = False,
    ) -> None:
        self.path = path
        self.url = url
        self._directory = os.path.dirname(path)
        self._lock = LockFile(self._lock_path(), url, shared_with_other_machines=shared_with_other_machines)
        self._on_dropped = on_dropped
        self._mutex = threading.Lock()
        self._group: SyncGroup | None = None
        self._inode = (0, 0)
        self._size = _UNKNOWN  # what the file had when this handle last looked
        self._next = 0  # the first iteration number not handed out, as of _size
        self._noted_highest = -1
        self._turn = self._reserved = 0  # of the note; files of one set take turns
        self._boot_checked = False
        _live.add(self)

    def append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        """Store lines, all or nothing; see `HistoryStore._append`."""
        return self._append(_joined(lines), [iteration_of(line) for line in lines], None, durability)

    def append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        """Store the lines made for the first free number; see `SupportsNumbering._append_numbered`."""
        return self._append(b"", [], make, durability)

    @property
    def opened(self) -> bool:
        """Whether the file was open for writing since this handle was made or its process forked."""
        return self._group is not None

    def repair(self) -> int:
        """Put the end of the file in order, when there is a file; return the first number not handed out."""
        with self._mutex:
            self._check()
            try:
                if not self._exists():
                    return 0
                self._acquire()
                self._prepare()
            except OSError as error:
                raise translated(error, self.url) from error
            finally:
                self._lock.release()
            return self._next

    def at_rest(self) -> AbstractContextManager[None]:
        """Return a context in which no append is in flight, as far as this user may keep writers out."""
        return self._lock.kept_from_writers()

    def claim(self) -> None:
        """Claim the file for one loop; see `SupportsClaim._claim`."""
        with self._mutex:
            try:
                make_directories(self._directory)
                self._lock.claim()
            except OSError as error:
                raise translated(error, self.url) from error

    def flush(self) -> None:
        """Make durable what this handle appended."""
        group = self._group
        if group is not None:
            group.wait_for(group.written)

    def close(self) -> None:
        """Make everything durable and let go of the file and its lock."""
        _live.discard(self)
        with self._mutex:
            try:
                self.flush()
            finally:
                self._let_go()
                self._lock.close()

    def __del__(self) -> None:
        # A handle that was dropped without close(), as in a notebook's cell, must not keep its claim for ever. What was
        # appended stands in the file; nothing is synced here.
        if hasattr(self, "_lock"):
            with contextlib.suppress(OSError):
                self.forget()

    def forget(self) -> None:
        """Start anew in a forked child: the open descriptors, and the locks on them, are the parent's."""
        self._mutex = threading.Lock()
        self._size, self._boot_checked = _UNKNOWN, False
        group, self._group = self._group, None
        if group is not None:
            os.close(group.descriptor)
        self._lock.forget()

    # the protocol

    def _append(
        self,
        data: bytes,
        numbers: list[int],
        make: Callable[[int], Sequence[bytes]] | None,
        durability: Durability,
    ) -> Position:
        with self._mutex:
            self._check()
            try:
                self._acquire()
                group = self._prepare()
                start = self._size
                if make is not None:
                    lines = make(self._next)
                    data, numbers = _joined(lines), [iteration_of(line) for line in lines]
                following = max(self._next, (max(numbers) if len(numbers) > 1 else numbers[0]) + 1)
                if numbers[-1] + 1 < following and self._noted_highest + 1 < following:
                    self._note(following - 1)
                self._size = _UNKNOWN
                self._write(group.descriptor, data, start)
                end = start + len(data)
                self._size, self._next = end, following
                group = self._group or group
                group.written = end
                position = self._appended(len(numbers))
            except IterlogError:
                raise
            except OSError as error:
                raise translated(error, self.url) from error
            finally:
                self._lock.release()
        if durability is Durability.SYNC:
            group.wait_for(end)
        return position

    def _acquire(self) -> None:
        """Take the file lock, having made sure once that no crash of the machine went unnoticed."""
        if self._boot_checked:
            if self._lock.acquire():
                # Somebody removed the lock file: what it said must stand in the new one.
                self._note(max(self._noted_highest, self._next - 1), durable=True)
            return
        make_directories(self._directory)
        untouched = self._lock.acquire()
        if os.path.isdir(self.path):
            raise became_a_directory(self.url)
        note = self._lock.read_note()
        if note is None or note.boot_id != boot_id():
            # Without a lock file no writer of this protocol was ever here, so there is nothing to have lost.
            highest = self._highest_after_crash(untouched=untouched)
            self._note(max(highest, note.highest) if note else highest, durable=True)
        self._boot_checked = True

    def _prepare(self) -> SyncGroup:
        """Have the file open and its end in order."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return self._create()
        if stat.S_ISDIR(there.st_mode):
            raise became_a_directory(self.url)
        group = self._group
        if group is None or (there.st_ino, there.st_dev) != self._inode:
            group = self._open(WRITE_FLAGS)
            there = os.fstat(group.descriptor)
        if there.st_size != self._size:
            self._catch_up(group.descriptor, there.st_size)
        return group

    def _write(self, descriptor: int, data: bytes, start: int) -> None:
        """Write at the end of the file, all or nothing."""
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
        except BaseException as error:
            # What is whole stays: a reader may have seen it. What is not is torn and goes; should that fail as well,
            # the next writer sets it aside.
            size = os.fstat(descriptor).st_size
            if start < size < start + len(data):
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, start)
                    size = start
            if isinstance(error, OSError) and size >= start + len(data) - 1:
                # A record that lacks only its newline counts as whole.
                raise WriteUncertainError(
                    f"the append failed ({error.strerror}), yet the records stand in the file; read its end before "
                    "appending them again",
                    url=self.url,
                    errno=error.errno,
                ) from error
            raise

    # what another layout of files does differently

    def _lock_path(self) -> str:
        return f"{self.path}.lock"

    def _torn_prefix(self) -> str:
        return f"{self.path}.torn"

    def _first_number(self) -> int:
        """Return the iteration number of the file's first record, should none in it be readable."""
        return 0

    def _exists(self) -> bool:
        """Whether there is a file; one that cannot be looked at is an error, not a missing file."""
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return False
        return True

    def _appended(self, count: int) -> Position:  # noqa: ARG002 - other layouts count lines
        """Return the position after an append of so many lines, which has just been written; still under the lock."""
        return Position.of(self._size)

    def _highest_after_crash(self, *, untouched: bool) -> int:
        """Report what a crash of the machine damaged; return the highest number, -1 when the last line has it.

        Args:
            untouched: There was no lock file, so no writer of this protocol was ever here to have lost anything.
        """
        return -1 if untouched else check_all_lines(self.path, self._on_dropped)

    # opening and catching up, still under the lock

    def _create(self) -> SyncGroup:
        self._begin_anew()
        group = self._open(WRITE_FLAGS | CREATE_FLAGS)
        os.fsync(group.descriptor)
        sync_directory(self._directory)
        note = self._lock.read_note()
        if note is not None and note.highest >= 0:
            self._note(-1)  # of a file that is gone
        self._size, self._next, self._noted_highest = 0, 0, -1
        return group

    def _begin_anew(self) -> None:
        self._lock.clear_receipt()
        if self._group is not None:
            logger.warning(
                "%s: the history was moved or removed while this handle was open; a new one begins", self.url
            )

    def _open(self, flags: int) -> SyncGroup:
        self._let_go()
        descriptor = os.open(self.path, flags, NEW_FILE_MODE)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise ConfigError("what stands at this path is not a plain file; name another", url=self.url)
        self._inode = (status.st_ino, status.st_dev)
        self._size = _UNKNOWN
        self._group = SyncGroup(descriptor, self.url)
        return self._group

    def _catch_up(self, descriptor: int, size: int) -> None:
        """Somebody else wrote last, or nobody yet: repair what a crash left, and learn the numbers."""
        if not size:
            # Whoever created it may have died before its name was durable.
            sync_directory(self._directory)
        end = put_in_order(descriptor, self._torn_prefix(), size, self._on_dropped)
        note = self._lock.read_note()
        self._noted_highest = note.highest if note else -1
        self._next = max(self._noted_highest + 1, number_behind(descriptor, end, self._first_number()))
        self._size = end

    def _note(self, highest: int, *, durable: bool = False) -> None:
        """Note a number that the last line is about to hide, before it does."""
        self._lock.write_note(WriterNote(boot_id(), highest, self._turn, self._reserved), durable=durable)
        self._noted_highest = highest

    def _check(self) -> None:
        if self._group is not None:
            self._group.check()

    def _let_go(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            group.close()


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"%b\n" % (lines[0] if len(lines) == 1 else b"\n".join(lines))


_live: weakref.WeakSet[LogFile] = weakref.WeakSet()


def _forget_all() -> None:
    for log_file in list(_live):
        log_file.forget()


os.register_at_fork(after_in_child=_forget_all)
