"""Full buckets into segments, and what stands in segments out of the log.

A segment holds the lines of a bucket's thousand commits, control lines included, in order: the same plain bytes whoever
makes it. It is proven before it is sent; found there already, it is compared with what was made here. Nothing is
removed unless it was asked for, is sealed, proven, a week old and two buckets behind; the mark of the boundary is set
first, so that a writer who slept knows that a free name below it is none.
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from iterlog.errors import CorruptionError, UnsupportedOperationError
from iterlog.reader import logger
from iterlog.remote.answers import answered
from iterlog.remote.client import MAX_OBJECT, ObjectExistsError
from iterlog.remote.commits import is_divisible
from iterlog.remote.layout import BUCKET, SEGMENTS, boundary_key, commit_key, segment_in, segment_key
from iterlog.reports import FileChange
from iterlog.segments.sealing import seal, verify_sealed
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.remote.client import ObjectClient
    from iterlog.remote.reading import CommitReader

_T = TypeVar("_T")

COLLECTED_AFTER = dt.timedelta(days=7)
_KEPT_BUCKETS = 2


class Sealer:
    """Seals and collects the buckets of one history.

    Args:
        client: The store.
        url: How errors name the history.
        reader: Reads its commits.
        level: The zstd level; None for the default.
    """

    def __init__(self, client: ObjectClient, url: str, reader: CommitReader, *, level: int | None) -> None:
        self._client = client
        self._url = url
        self._reader = reader
        self._level = level

    def seal(self, keep_on: Callable[[], bool] = lambda: True, *, dry_run: bool = False) -> Iterator[FileChange]:
        """Seal every full bucket that is not, oldest first; yield each when it is done.

        Args:
            keep_on: Asked before each bucket, and while one is read; false ends the work.
            dry_run: Only say what would be done, with the bytes of now as those of then.
        """
        overview = self._reader.overview()
        for bucket in overview.logs:
            if bucket in overview.segments:
                continue
            sizes = self._reader.numbers_in(bucket)
            if len(sizes) < BUCKET or not keep_on():
                continue
            before = sum(sizes.values())
            after = before if dry_run else self._sealed(bucket, sizes, keep_on)
            if after is not None:
                yield _kept(bucket, before, after)

    def collect(self, *, dry_run: bool = False) -> Iterator[FileChange]:
        """Remove the commits of buckets whose segment is a week old, oldest first; yield each bucket.

        Raises:
            UnsupportedOperationError: The store does not say how old its objects are.
        """
        overview = self._reader.overview()
        made = {segment_in(entry.name): entry for entry in self._asked(lambda: self._client.entries(SEGMENTS))}
        now = dt.datetime.now(dt.UTC)
        for bucket in range(overview.newest - _KEPT_BUCKETS + 1):
            entry = made.get(bucket)
            if entry is None:
                return  # the boundary speaks of all buckets before it
            if bucket not in overview.logs:
                continue
            if entry.modified is None:
                raise UnsupportedOperationError("this store does not say how old objects are", url=self._url)
            if now - entry.modified < COLLECTED_AFTER:
                return
            self._prove(bucket)
            sizes = self._reader.numbers_in(bucket)
            if not dry_run:
                self._created(boundary_key(bucket), b"commits up to this bucket stand in segments only\n")
                self._asked(partial(self._client.remove, [commit_key(number) for number in sizes]))
            yield _kept(bucket, sum(sizes.values()), 0)

    def _sealed(self, bucket: int, sizes: dict[int, int], keep_on: Callable[[], bool]) -> int | None:
        """Seal one bucket; return the bytes of its segment, None when it stays as it is."""
        parts: list[bytes] = []
        try:
            footer = seal(
                self._plain(sizes, keep_on),
                sum(sizes.values()),
                parts.append,
                level=self._level,
                begins_at=bucket * BUCKET,
            )
            data = b"".join(parts)
            verify_sealed(BytesSource(data), footer.plain_sha256, footer.plain_size)
        except (CorruptionError, UnsupportedOperationError) as error:
            logger.warning("%s: bucket %d stays unsealed: %s", self._url, bucket, error.message)
            return None
        except _StoppedError:
            return None
        if len(data) > MAX_OBJECT:
            logger.warning("%s: bucket %d stays unsealed: %d bytes are too many for one", self._url, bucket, len(data))
            return None
        if self._created(segment_key(bucket), data):
            return len(data)
        theirs = SealedSegment(BytesSource(self._asked(lambda: self._client.get(segment_key(bucket)))))
        if theirs.footer_of_lines().plain_sha256 != footer.plain_sha256:
            raise CorruptionError(f"{segment_key(bucket)} is not made of the commits in the log", url=self._url)
        return None

    def _plain(self, sizes: dict[int, int], keep_on: Callable[[], bool]) -> Iterator[bytes]:
        for number, body in zip(sizes, self._reader.bodies(sizes), strict=True):
            if not keep_on():
                raise _StoppedError
            if body is None or not is_divisible(body):
                raise CorruptionError(f"commit {number:,} is damaged or missing")
            yield body

    def _prove(self, bucket: int) -> None:
        """Prove that a segment holds its bucket, to the last byte.

        Raises:
            CorruptionError: It does not.
        """
        source = BytesSource(self._asked(lambda: self._client.get(segment_key(bucket))))
        footer = SealedSegment(source).footer()
        if footer is None:
            raise CorruptionError(f"{segment_key(bucket)} has no footer; nothing is removed", url=self._url)
        verify_sealed(source, footer.plain_sha256, footer.plain_size)

    def _created(self, key: str, data: bytes) -> bool:
        """Create an object; return whether there was none. Undecided, the next one to look will know."""
        try:
            self._asked(lambda: self._client.create(key, data))
        except ObjectExistsError:
            return False
        return True

    def _asked(self, ask: Callable[[], _T]) -> _T:
        return answered(ask, self._url)


class _StoppedError(Exception):
    """The work was called off."""


def _kept(bucket: int, before: int, after: int) -> FileChange:
    return FileChange(segment_key(bucket), bucket * BUCKET, (bucket + 1) * BUCKET, before, after)
