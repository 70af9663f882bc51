"""Compressing, merging and removing the sealed files of a set, one keeper at a time, in any process.

Compress: write under a temporary name, sync, decompress and compare with the plain bytes, rename, sync the directory,
only then unlink the plain file and sync the directory again. A keeper that dies leaves a temporary file, or a plain
file beside its verified compressed one; the next keeper clears both away. Any failure leaves the plain file.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError, UnsupportedOperationError
from iterlog.files.durable import CREATE_FLAGS, NEW_FILE_MODE, READ_FLAGS, sync_directory, write_all
from iterlog.files.failures import translated
from iterlog.files.lines_of import whole_appends
from iterlog.files.lockfile import KeeperLock
from iterlog.reader import logger
from iterlog.rotation.layout import LOCK_NAME, Part, read_listing, sealed_name, temporary_name
from iterlog.segments.limits import Budget
from iterlog.segments.sealing import seal, verify_sealed
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import FileSource, blocks_of
from iterlog.segments.splitting import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.rotation.reading import SetReader
    from iterlog.segments.packing import Codec

_TEMPORARY_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | CREATE_FLAGS


@dataclass(frozen=True)
class Retention:
    """How much of the oldest sealed files is kept; None keeps everything.

    Attributes:
        records: Remove a sealed file while at least so many lines remain without it.
        bytes: Remove the oldest sealed files while all files together take more, as they lie on the disk.
        age: Remove a sealed file when its last record is older.
    """

    records: int | None = None
    bytes: int | None = None
    age: dt.timedelta | None = None

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing is ever removed."""
        return self.records is None and self.bytes is None and self.age is None


@dataclass(frozen=True)
class Kept:
    """What happened to one file, or to several that became one.

    Attributes:
        name: The file that is there now, or was removed.
        first: The number of its first line.
        end: The number behind its last line.
        before_bytes: What the lines took on the disk before.
        after_bytes: What they take now; 0 when they were removed.
    """

    name: str
    first: int
    end: int
    before_bytes: int
    after_bytes: int


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
        self,
        directory: str,
        reader: SetReader,
        *,
        codec: Codec,
        level: int | None,
        retention: Retention,
        shared_with_other_machines: bool = False,
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._codec = codec
        self._level = level
        self._retention = retention
        self._lock = KeeperLock(
            os.path.join(directory, LOCK_NAME), shared_with_other_machines=shared_with_other_machines
        )

    def compress(self, keep_on: Callable[[], bool] = lambda: True) -> Iterator[Kept]:
        """Compress every sealed plain file, oldest first; yield each when it is done.

        Nothing is done while another keeper is at work: it finishes the same files.

        Args:
            keep_on: Asked before each file; false ends the work.
        """
        with self._locked() as mine:
            if not mine:
                return
            self._clear_away()
            tried: set[str] = set()
            # List again each time: another process that seals meanwhile finds this keeper at work and leaves it all.
            while keep_on():
                plain = (part for part in read_listing(self._directory).sealed if part.codec is None)
                part = next((part for part in plain if part.name not in tried), None)
                if part is None:
                    return
                tried.add(part.name)
                done = self._pack([part], self._codec, self._level)
                if done is not None:
                    yield done

    def compact(self, max_records: int, max_bytes: int, *, recompress: bool, dry_run: bool = False) -> Iterator[Kept]:
        """Merge small neighbours, and give footers to files without; yield each new file when it is done.

        Args:
            max_records: Lines of a merged file at most.
            max_bytes: Its plain bytes at most.
            recompress: Also rewrite files that need no merging, at this keeper's codec and level.
            dry_run: Say what would be done, with the bytes of now as those of then.
        """
        with self._locked() as mine:
            if not mine:
                raise UnsupportedOperationError("another process is compressing this set; try again when it is done")
            if not dry_run:
                self._clear_away()
            for group in self._groups(max_records, max_bytes, recompress=recompress):
                if dry_run:
                    size = sum(map(self._size_of, group))
                    name = sealed_name(group[0].first, group[-1].end or 0, self._codec.value)
                    yield Kept(name, group[0].first, group[-1].end or 0, size, size)
                    continue
                done = self._pack(group, self._codec, self._level)
                if done is not None:
                    yield done
                elif len(group) > 1:  # one of them is damaged, and the others shall not wait for it
                    again = [part for part in group if recompress or self._is_unfinished(part)]
                    yield from filter(None, (self._pack([part], self._codec, self._level) for part in again))

    def prune(self, *, dry_run: bool = False) -> Iterator[Kept]:
        """Remove the oldest sealed files beyond what is to be kept, never the active one; yield each."""
        with self._locked() as mine:
            if not mine:
                return
            if not dry_run:
                self._clear_away()
            listing = read_listing(self._directory)
            sealed = list(listing.sealed)
            active = listing.active
            end = active.first if active else (sealed[-1].end or 0 if sealed else 0)
            total = sum(map(self._size_of, listing.parts))
            for part in sealed:
                if not self._is_due(part, end, total):
                    return
                size = self._size_of(part)
                total -= size
                if not dry_run:
                    # Other files with the same lines go first, or they would stand for what was removed.
                    for other in (*(other for other in listing.redundant if _same_lines(part, other)), part):
                        os.unlink(os.path.join(self._directory, other.name))
                    sync_directory(self._directory)
                    logger.info("%s: removed by retention", os.path.join(self._directory, part.name))
                yield Kept(part.name, part.first, part.end or 0, size, 0)

    # one step

    def _pack(self, parts: Sequence[Part], codec: Codec, level: int | None) -> Kept | None:
        """Write parts as one compressed file, prove it, and put it in their place; None when they stay as they are."""
        first, end = parts[0].first, parts[-1].end or 0
        name = sealed_name(first, end, codec.value)
        path, temporary = (os.path.join(self._directory, each) for each in (name, temporary_name(name)))
        before = sum(map(self._size_of, parts))
        descriptor = os.open(temporary, _TEMPORARY_FLAGS, NEW_FILE_MODE)
        try:
            plain_size = sum(len(chunk) for chunk in self._plain(parts))
            footer = seal(
                self._plain(parts), plain_size, lambda data: write_all(descriptor, data), codec=codec, level=level
            )
            os.fsync(descriptor)
            verify_sealed(FileSource(descriptor), footer.plain_sha256, plain_size)
            _check_count(footer.count, end - first)
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
        return Kept(name, first, end, before, os.stat(path).st_size)

    def _plain(self, parts: Sequence[Part]) -> Iterator[bytes]:
        """Yield the plain bytes of files, each ending with a newline."""
        for part in parts:
            descriptor = os.open(os.path.join(self._directory, part.name), READ_FLAGS)
            last = b"\n"
            try:
                source = FileSource(descriptor)
                for chunk in blocks_of(source) if part.codec is None else SealedSegment(source).chunks():
                    last = chunk[-1:] or last
                    yield chunk
            finally:
                os.close(descriptor)
            if last != b"\n":
                yield b"\n"

    def _clear_away(self) -> None:
        """Finish what a dead keeper left."""
        listing = read_listing(self._directory)
        for name in listing.dead:
            os.unlink(os.path.join(self._directory, name))
        for part in listing.redundant:
            kept = next((other for other in listing.parts if _covers(other, part)), None)
            path = os.path.join(self._directory, part.name)
            # Only what is proven to stand elsewhere is removed: names came after a proof, but files can be copied.
            if kept is not None and self._is_proven(kept) and self._stands_in(part, kept):
                os.unlink(path)
            else:
                logger.warning("%s is neither read nor removed: its lines are not known to stand elsewhere", path)
        if listing.dead or listing.redundant:
            sync_directory(self._directory)

    def _is_proven(self, part: Part) -> bool:
        descriptor = os.open(os.path.join(self._directory, part.name), READ_FLAGS)
        try:
            footer = SealedSegment(FileSource(descriptor)).footer_of_lines()
        except CorruptionError:
            return False
        finally:
            os.close(descriptor)
        return footer.count == (part.end or 0) - part.first

    def _stands_in(self, part: Part, kept: Part) -> bool:
        """Whether every line of a file stands, at its number, in another one."""
        try:
            with self._reader.opened(part) as descriptor, self._reader.opened(kept) as other:
                source = FileSource(descriptor)
                if part.codec is None:
                    plain = split_lines(blocks_of(source), Budget.of_plain_file())
                    lines = whole_appends(plain, lambda _offset, _count: None)
                else:
                    lines = SealedSegment(source).lines()
                theirs = islice(SealedSegment(FileSource(other)).lines(), part.first - kept.first, None)
                return all(line == next(theirs, (0, None))[1] for _, line in lines)
        except CorruptionError:
            return False

    def _groups(self, max_records: int, max_bytes: int, *, recompress: bool) -> Iterator[list[Part]]:
        """Yield neighbours that fit into one file together, and single files that want to be written anew."""
        group: list[Part] = []
        records = size = 0
        for part in [*read_listing(self._directory).sealed, None]:
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

    def _is_due(self, part: Part, end: int, total: int) -> bool:
        keep = self._retention
        if keep.records is not None and part.end is not None and end - part.end >= keep.records:
            return True
        if keep.bytes is not None and total > keep.bytes:
            return True
        if keep.age is None:
            return False
        try:
            latest = self._reader.made_footer(part).latest
        except CorruptionError as error:
            logger.warning("%s is kept, its age is not known: %s", os.path.join(self._directory, part.name), error)
            return False
        return latest is not None and dt.datetime.now(dt.UTC) - latest > keep.age

    def _size_of(self, part: Part) -> int:
        return os.stat(os.path.join(self._directory, part.name)).st_size

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        if not os.path.isdir(self._directory):
            yield False
            return
        mine = False
        try:
            mine = self._lock.try_acquire()
            yield mine
        except OSError as error:
            raise translated(error, self._reader.url) from error
        finally:
            if mine:
                self._lock.release()


def _same_lines(part: Part, other: Part) -> bool:
    return other.end is not None and part.first <= other.first and other.end <= (part.end or 0)


def _covers(wide: Part, narrow: Part) -> bool:
    return (
        wide.codec is not None
        and wide.end is not None
        and narrow.end is not None
        and wide.first <= narrow.first
        and narrow.end <= wide.end
    )


def _check_count(count: int, promised: int) -> None:
    if count != promised:
        raise CorruptionError(f"{count:,} lines where the names promise {promised:,}")
