"""Making bytes survive a power loss, and sharing the cost of it among threads."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import os
import threading

from iterlog.errors import WriteUncertainError

READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Opening never follows a link planted in place of the file and never waits for a FIFO's other end."""

WRITE_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

CREATE_FLAGS = os.O_CREAT | os.O_EXCL
NEW_FILE_MODE = 0o666  # what open() asks for; the umask decides

_COPY_BLOCK = 1 << 20
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone leaves the bytes in the drive's cache


def sync_data(descriptor: int) -> None:
    """Make a file's content and size durable.

    Raises:
        OSError: The storage failed; what was not durable before may be lost, and asking again proves nothing.
    """
    if _FULL_SYNC is not None:
        fcntl.fcntl(descriptor, _FULL_SYNC)
    else:
        os.fdatasync(descriptor)


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directories(path: str) -> None:
    """Create a directory and the missing ones above it, durably."""
    if not path or os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directories(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    sync_directory(parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes, however short each write is."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def copy_range(source: int, target: int, start: int, end: int) -> None:
    """Append the bytes from ``start`` to ``end`` of one file to another.

    Raises:
        OSError: Also when the source ends before ``end``: a short copy must never pass for a whole one.
    """
    while start < end:
        block = os.pread(source, min(_COPY_BLOCK, end - start), start)
        if not block:
            raise OSError(errno.EIO, f"the file ended at {start} while it was copied up to {end}")
        write_all(target, block)
        start += len(block)


def set_aside(source: int, prefix: str, start: int, end: int) -> str:
    """Copy a range of an open file to ``<prefix>-<start>-<utc>``, durably, and return that path.

    Args:
        source: The open file.
        prefix: How the path of the copy begins.
        start: Offset of the first byte.
        end: Offset behind the last byte.
    """
    moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target_path = f"{prefix}-{start}-{moment}"
    target = os.open(target_path, WRITE_FLAGS | CREATE_FLAGS, NEW_FILE_MODE)
    try:
        copy_range(source, target, start, end)
        os.fsync(target)
    except BaseException:
        # A copy that is not whole would pass for what was lost, and on a full disk it takes the last room there is.
        os.unlink(target_path)
        raise
    finally:
        os.close(target)
    sync_directory(os.path.dirname(target_path))
    return target_path


class SyncGroup:
    """An open file whose durable appends share their syncs (group commit).

    Threads that have written queue up for one lock. The first to get it syncs for all that have written by then; those
    behind it find that done and leave.
    """

    def __init__(self, descriptor: int, url: str) -> None:
        self.descriptor = descriptor
        self.written = 0
        self.synced = 0
        self._url = url
        self._leader = threading.Lock()
        self._failed: OSError | None = None

    def wait_for(self, end: int) -> None:
        """Return when the file is durable up to an offset.

        Raises:
            WriteUncertainError: A sync failed. The kernel reports that once and drops the pages, so no later sync of
                this descriptor proves anything.
        """
        with self._leader:
            self.check()
            if self.synced < end:
                self._sync()

    def sync_all(self) -> None:
        """Make the whole file durable, whoever appended to it.

        Raises:
            WriteUncertainError: As `wait_for`.
        """
        with self._leader:
            self.check()
            self._sync()

    def _sync(self) -> None:
        target = self.written
        try:
            sync_data(self.descriptor)
        except OSError as error:
            self._failed = error
        else:
            self.synced = target
        self.check()

    def check(self) -> None:
        """Raise WriteUncertainError when a sync has failed."""
        if self._failed is not None:
            raise WriteUncertainError(
                f"the storage failed to make an append durable ({self._failed.strerror}); it may be lost; check the "
                "disk, open the history again and read its end before appending the same records again",
                url=self._url,
                errno=self._failed.errno,
            ) from self._failed

    def close(self) -> None:
        """Sync for whoever still waits, and close the file."""
        with self._leader:
            if self.synced < self.written and self._failed is None:
                try:
                    sync_data(self.descriptor)
                    self.synced = self.written
                except OSError as error:
                    self._failed = error
            os.close(self.descriptor)
