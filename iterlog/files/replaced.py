"""``?write=replace``: a file of lines that is written anew, whole, on every append.

For file systems where appending cannot be trusted. Readers see the old file or the new one, never a mixture, whatever
the file system does with appends; the price is that an append costs as much as the history is long.
"""

from __future__ import annotations

import os
import tempfile

from iterlog.files.durable import READ_FLAGS, WRITE_FLAGS, SyncGroup, copy_range, sync_directory, write_all
from iterlog.files.logfile import LogFile
from iterlog.reader import logger

_WARN_FROM = 1000  # records


class ReplacedFile(LogFile):
    """A `LogFile` whose every append writes a new file and puts it in the old one's place."""

    _appends = 0
    _warned = False

    def _write(self, descriptor: int, data: bytes, start: int) -> None:
        directory, name = os.path.split(self.path)
        target, temporary = tempfile.mkstemp(prefix=f".{name}_", suffix=".tmp", dir=directory)
        try:
            os.fchmod(target, os.fstat(descriptor).st_mode & 0o7777)
            copy_range(descriptor, target, 0, start)
            write_all(target, data)
            os.fsync(target)
            os.replace(temporary, self.path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
        finally:
            os.close(target)
        sync_directory(directory)
        self._adopt(start + len(data))
        self._warn(data.count(b"\n"))

    def _adopt(self, size: int) -> None:
        """Go on with the new file, all of which is durable."""
        self._open(WRITE_FLAGS)
        group = self._group
        if isinstance(group, SyncGroup):
            group.written = group.synced = size

    def _warn(self, records: int) -> None:
        if not self._appends:
            descriptor = os.open(self.path, READ_FLAGS)
            try:
                self._appends = _count_newlines(descriptor)
            finally:
                os.close(descriptor)
        else:
            self._appends += records
        if self._appends > _WARN_FROM and not self._warned:
            self._warned = True
            logger.warning(
                "%s: write=replace rewrites all %d records on every append; use the default write=append where the "
                "file system allows it",
                self.url,
                self._appends,
            )


def _count_newlines(descriptor: int) -> int:
    count, offset = 0, 0
    while block := os.pread(descriptor, 1 << 20, offset):
        count += block.count(b"\n")
        offset += len(block)
    return count
