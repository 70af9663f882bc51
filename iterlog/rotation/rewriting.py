"""Sealed files written anew as one compressed file, proven before it takes their place.

Write under a temporary name, sync, decompress and compare with the plain bytes, rename, sync the directory, only then
unlink what it was made of and sync the directory again. Any failure leaves the files as they were.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError, UnsupportedOperationError
from iterlog.files.durable import CREATE_FLAGS, NEW_FILE_MODE, sync_directory, write_all
from iterlog.reader import logger
from iterlog.reports import FileChange
from iterlog.rotation.layout import Part, sealed_name, temporary_name, torn_prefix
from iterlog.segments.sealing import seal, verify_sealed
from iterlog.segments.source import FileSource, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iterlog.rotation.parts import PartReader
    from iterlog.segments.packing import Codec

_TEMPORARY_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | CREATE_FLAGS


class Rewriter:
    """Writes the sealed files of one set anew; only for who holds the keeper's lock.

    Args:
        directory: The set's.
        reader: Reads its files.
        codec: How to compress.
        level: How hard; None for the codec's default.
    """

    def __init__(self, directory: str, reader: PartReader, codec: Codec, level: int | None) -> None:
        self._directory = directory
        self._reader = reader
        self._codec = codec
        self._level = level

    def name_for(self, parts: Sequence[Part]) -> str:
        """Return the name of the file that neighbours become."""
        return sealed_name(parts[0].first, parts[-1].end or 0, self._codec)

    def rewrite(self, parts: Sequence[Part]) -> FileChange | None:
        """Make one compressed file of neighbours; None when they stay as they are, which is logged."""
        first, end = parts[0].first, parts[-1].end or 0
        name = self.name_for(parts)
        path, temporary = (os.path.join(self._directory, each) for each in (name, temporary_name(name)))
        before = sum(map(self.size_of, parts))
        descriptor = os.open(temporary, _TEMPORARY_FLAGS, NEW_FILE_MODE)
        try:
            size = sum(len(chunk) for chunk in self._plain(parts))
            footer = seal(
                self._plain(parts),
                size,
                lambda data: write_all(descriptor, data),
                codec=self._codec,
                level=self._level,
                begins_at=first,
            )
            os.fsync(descriptor)
            verify_sealed(FileSource(descriptor), footer.plain_sha256, size)
            _check_count(footer.count, end - first)
            if all(part.name != name for part in parts):
                self._set_aside(path, first)
            os.rename(temporary, path)
        except (CorruptionError, UnsupportedOperationError) as error:
            logger.warning("%s stays as it is: %s", os.path.join(self._directory, parts[0].name), error)
            os.unlink(temporary)
            return None
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        sync_directory(self._directory)
        for part in parts:
            if part.name != name:
                os.unlink(os.path.join(self._directory, part.name))
        sync_directory(self._directory)
        return FileChange(name, first, end, before, os.stat(path).st_size)

    def size_of(self, part: Part) -> int:
        """Return what a file takes on the disk."""
        return os.stat(os.path.join(self._directory, part.name)).st_size

    def _plain(self, parts: Sequence[Part]) -> Iterator[bytes]:
        """Yield the plain bytes of files, each ending with a newline."""
        for part in parts:
            last = b"\n"
            with self._reader.opened(part) as descriptor:
                for chunk in (
                    blocks_of(FileSource(descriptor))
                    if part.codec is None
                    else self._reader.segment(part, descriptor).chunks()
                ):
                    last = chunk[-1:] or last
                    yield chunk
            if last != b"\n":
                yield b"\n"

    def _set_aside(self, path: str, first: int) -> None:
        """Keep a damaged file whose name is wanted for a whole one: it may hold what nobody has looked for yet."""
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        kept_at = os.path.join(self._directory, f"{torn_prefix(first)}-{os.path.basename(path)}-{moment}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, kept_at)
            logger.warning("%s was damaged and is written anew; it is kept in %s", path, kept_at)


def _check_count(count: int, promised: int) -> None:
    if count != promised:
        raise CorruptionError(f"{count:,} lines where the names promise {promised:,}")
