"""``?write=replace``: a file of lines that is written anew, whole, on every append.

For file systems where appending cannot be trusted. Readers see the old file or the new one, never a mixture, whatever
the file system does with appends; the price is that an append costs as much as the history is long.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile

from iterlog.errors import WriteUncertainError
from iterlog.files.durable import SyncGroup, copy_range, sync_directory, write_all
from iterlog.files.logfile import LogFile
from iterlog.reader import logger

_WARN_FROM = 1000  # records


class ReplacedFile(LogFile):
    """A `LogFile` whose every append writes a new file and puts it in the old one's place."""

    _records = 0
    _warned = False

    def _write(self, descriptor: int, data: bytes, start: int) -> None:
        self._warn(descriptor, data)
        directory, name = os.path.split(self.path)
        target, temporary = tempfile.mkstemp(prefix=f".{name}_", suffix=".tmp", dir=directory)
        try:
            _dress_as(descriptor, target)
            copy_range(descriptor, target, 0, start)
            write_all(target, data)
            os.fsync(target)
            os.replace(temporary, self.path)
        except BaseException:
            os.close(target)
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                os.unlink(temporary)
            raise
        self._adopt(target, start + len(data))
        try:
            sync_directory(directory)
        except OSError as error:
            raise WriteUncertainError(
                f"the new file is in its place, but the storage failed to make its name durable ({error.strerror}); "
                "read the history's end before appending the same records again",
                url=self.url,
                errno=error.errno,
            ) from error

    def _adopt(self, descriptor: int, size: int) -> None:
        """Go on with the new file, all of which is durable."""
        self._let_go()
        status = os.fstat(descriptor)
        self._inode = (status.st_ino, status.st_dev)
        self._group = SyncGroup(descriptor, self.url)
        self._group.written = self._group.synced = size

    def _warn(self, descriptor: int, data: bytes) -> None:
        self._records = (self._records or _count_newlines(descriptor)) + data.count(b"\n")
        if self._records > _WARN_FROM and not self._warned:
            self._warned = True
            logger.warning(
                "%s: write=replace rewrites all %d records on every append; use the default write=append where the "
                "file system allows it",
                self.url,
                self._records,
            )


def _dress_as(model: int, descriptor: int) -> None:
    """Give a new file the mode and, where this user may, the owner of another, and open it for appending."""
    status = os.fstat(model)
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o7777)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)


def _count_newlines(descriptor: int) -> int:
    count, offset = 0, 0
    while block := os.pread(descriptor, 1 << 20, offset):
        count += block.count(b"\n")
        offset += len(block)
    return count
