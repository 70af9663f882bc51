"""Compressing, merging and removing the sealed files of a set, one keeper at a time, in any process.

A keeper that dies leaves a temporary file, or a file beside a verified compressed one with the same lines; the next
keeper clears both away. Who asks for work by hand waits for the keeper that is at it; an append never does, and its
handle asks again later. A keeper looks once more after it gave the lock back, so what was sealed while it was at work,
by handles that found it at work and left it all to it, is compressed as well.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING

from iterlog.errors import ConflictError, CorruptionError
from iterlog.files.durable import sync_directory
from iterlog.files.failures import translated
from iterlog.files.keeperlock import KeeperLock
from iterlog.reader import logger
from iterlog.reports import FileChange
from iterlog.rotation.layout import LOCK_NAME, Part
from iterlog.rotation.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog.rotation.reading import SetReader
    from iterlog.rotation.retention import Retention
    from iterlog.segments.packing import Codec

PATIENCE_S = 60.0
"""How long who asks by hand waits for another keeper."""


class Keeper:
    """Keeps the sealed files of one set in order.

    Args:
        directory: The set's.
        reader: Reads the set.
        codec: How to compress.
        level: How hard; None for the codec's default.
        retention: What to remove.
    """

    def __init__(
        self, directory: str, reader: SetReader, *, codec: Codec, level: int | None, retention: Retention
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._retention = retention
        self._rewriter = Rewriter(directory, reader, codec, level)
        self._lock = KeeperLock(os.path.join(directory, LOCK_NAME))

    def keep(self, keep_on: Callable[[], bool], *, wait: bool) -> bool:
        """Compress and remove all that is due; return whether that was done.

        Args:
            keep_on: Asked before each file; false ends the work.
            wait: Wait for another keeper that is at work, as long as asked to.
        """
        tried: set[str] = set()
        while True:
            with self._locked(math.inf if wait else 0.0, keep_on) as mine:
                if not mine:
                    return False
                for _ in self._compress(tried, keep_on):
                    pass
                if keep_on() and not self._retention.keeps_everything:
                    for _ in self._prune(dry_run=False):
                        pass
            if not keep_on() or self._untried(tried) is None:
                return True

    def compress(self) -> Iterator[FileChange]:
        """Compress every sealed plain file, oldest first; yield each when it is done.

        Raises:
            ConflictError: Another keeper did not come to its end.
        """
        tried: set[str] = set()
        while True:
            with self._locked(PATIENCE_S) as mine:
                self._check(mine=mine)
                yield from self._compress(tried)
            if self._untried(tried) is None:
                return

    def prune(self, *, dry_run: bool = False) -> Iterator[FileChange]:
        """Remove the oldest sealed files beyond what is to be kept, never the active one; yield each.

        Raises:
            ConflictError: Another keeper did not come to its end.
        """
        with self._locked(PATIENCE_S) as mine:
            self._check(mine=mine)
            yield from self._prune(dry_run=dry_run)

    def compact(
        self, max_records: int, max_bytes: int, *, recompress: bool, dry_run: bool = False
    ) -> Iterator[FileChange]:
        """Merge small neighbours, and give footers to files without; yield each new file when it is done.

        Args:
            max_records: Lines of a merged file at most.
            max_bytes: Its plain bytes at most.
            recompress: Also rewrite files that need no merging, at this keeper's codec and level.
            dry_run: Say what would be done, with the bytes of now as those of then.

        Raises:
            ConflictError: Another keeper did not come to its end.
        """
        with self._locked(PATIENCE_S) as mine:
            self._check(mine=mine)
            if not dry_run:
                self._clear_away()
            for group in self._groups(max_records, max_bytes, recompress=recompress):
                if dry_run:
                    size = sum(map(self._rewriter.size_of, group))
                    yield FileChange(self._rewriter.name_for(group), group[0].first, group[-1].end or 0, size, size)
                    continue
                done = self._rewriter.rewrite(group)
                if done is not None:
                    yield done
                elif len(group) > 1:  # one of them is damaged, and the others shall not wait for it
                    again = [part for part in group if recompress or self._is_unfinished(part)]
                    yield from filter(None, (self._rewriter.rewrite([part]) for part in again))

    # under the lock

    def _compress(self, tried: set[str], keep_on: Callable[[], bool] = lambda: True) -> Iterator[FileChange]:
        self._clear_away()
        # List again each time: others seal meanwhile.
        while keep_on() and (part := self._untried(tried)) is not None:
            tried.add(part.name)
            done = self._rewriter.rewrite([part])
            if done is not None:
                yield done

    def _prune(self, *, dry_run: bool) -> Iterator[FileChange]:
        if not dry_run:
            self._clear_away()
        listing = self._reader.listing()
        total = sum(map(self._rewriter.size_of, listing.parts))
        for part in listing.sealed:
            if not self._retention.is_due(part, listing.ends_at - (part.end or 0), total, self._reader):
                return
            size = self._rewriter.size_of(part)
            total -= size
            if not dry_run:
                # Other files with the same lines go first, or they would stand for what was removed.
                others = [other for other in listing.redundant if part.holds_all_of(other)]
                others += [other for other in listing.broken if other.holds_all_of(part) or part.holds_all_of(other)]
                for other in (*others, part):
                    with contextlib.suppress(FileNotFoundError):  # a broken one went with a part before
                        os.unlink(os.path.join(self._directory, other.name))
                sync_directory(self._directory)
                logger.info("%s: removed by retention", os.path.join(self._directory, part.name))
            yield FileChange(part.name, part.first, part.end or 0, size, 0)

    def _clear_away(self) -> None:
        """Finish what a dead keeper left."""
        listing = self._reader.listing()
        for name in listing.dead:
            os.unlink(os.path.join(self._directory, name))
        for part in listing.redundant:
            kept = next(
                (other for other in listing.parts if other.codec is not None and other.holds_all_of(part)), None
            )
            path = os.path.join(self._directory, part.name)
            # Only what is proven to stand elsewhere is removed: names came after a proof, but files can be copied.
            if kept is not None and self._reader.twins.stands_in(part, kept):
                os.unlink(path)
            else:
                logger.warning("%s is neither read nor removed: its lines are not known to stand elsewhere", path)
        if listing.dead or listing.redundant:
            sync_directory(self._directory)

    def _groups(self, max_records: int, max_bytes: int, *, recompress: bool) -> Iterator[list[Part]]:
        """Yield neighbours that fit into one file together, and single files that want to be written anew."""
        group: list[Part] = []
        records = size = 0
        for part in [*self._reader.listing().sealed, None]:
            lines = plain = 0
            if part is not None:
                lines, plain = (part.end or 0) - part.first, self._plain_size_of(part, max_bytes + 1)
            adjacent = part is not None and bool(group) and group[-1].end == part.first
            if group and not (adjacent and records + lines <= max_records and size + plain <= max_bytes):
                if len(group) > 1 or recompress or self._is_unfinished(group[0]):
                    yield group
                group, records, size = [], 0, 0
            if part is not None:
                group.append(part)
                records, size = records + lines, size + plain

    def _plain_size_of(self, part: Part, unknown: int) -> int:
        try:
            return self._reader.made_footer(part).plain_size
        except CorruptionError as error:
            logger.warning("%s stays as it is: %s", os.path.join(self._directory, part.name), error)
            return unknown

    def _is_unfinished(self, part: Part) -> bool:
        return part.codec is None or self._reader.stored_footer(part) is None

    def _untried(self, tried: set[str]) -> Part | None:
        """Return the oldest sealed plain file that was not tried yet."""
        sealed = self._reader.listing().sealed
        return next((part for part in sealed if part.codec is None and part.name not in tried), None)

    @contextlib.contextmanager
    def _locked(self, timeout_s: float, keep_on: Callable[[], bool] = lambda: True) -> Iterator[bool]:
        if not os.path.isdir(self._directory):
            yield True  # there is nothing to do, and nowhere to lock it
            return
        mine = False
        try:
            mine = self._lock.acquire(timeout_s=timeout_s, keep_on=keep_on)
            yield mine
        except OSError as error:
            raise translated(error, self._reader.url) from error
        finally:
            if mine:
                self._lock.release()

    def _check(self, *, mine: bool) -> None:
        if not mine:
            raise ConflictError(
                f"another process has been compressing or removing files of this set for {PATIENCE_S:.0f} s; try again "
                "when it is done",
                url=self._reader.url,
            )
