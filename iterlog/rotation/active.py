"""Appending to the newest file of a set, and sealing it: the append protocol of one file, on a file that changes.

A seal, under the append lock: sync the active file, note the turn, create the next one under its final name (the number
of lines so far), sync it, sync the directory. A file open for writing is never renamed. A sealer that dies leaves a
listing that reads as before or as after; whoever comes next goes on from what the listing says. Only where the note
knows of lines that are not there (see `iterlog.rotation.loss`) does the next file begin behind their numbers.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError, IterlogError
from iterlog.files.durable import CREATE_FLAGS, NEW_FILE_MODE, READ_FLAGS, WRITE_FLAGS, make_directories, sync_directory
from iterlog.files.failures import translated
from iterlog.files.lines_of import count_lines, lines_forward
from iterlog.files.logfile import LogFile
from iterlog.files.tail import check_all_lines
from iterlog.lines import DamagedLineError, decode_line
from iterlog.position import Position
from iterlog.reader import logger
from iterlog.reports import Dropped
from iterlog.rotation.layout import LOCK_NAME, NUMBERS_END, is_set, plain_name, read_listing, torn_prefix
from iterlog.rotation.loss import Loss, loss_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from iterlog.files.durable import SyncGroup


_MOST_RESERVED = 100_000
"""How many numbers are noted as handed out before they are, at most: what a lost file may leave unused."""


@dataclass(frozen=True)
class SealLimits:
    """When the active file is full; whatever comes first counts, and a batch is never split.

    Attributes:
        max_records: Lines.
        max_bytes: Bytes, uncompressed.
        max_age: Since its first record; None for no limit.
    """

    max_records: int = 1000
    max_bytes: int = 8 << 20
    max_age: dt.timedelta | None = None


class ActiveFile(LogFile):
    """The file of a set that is appended to: another one after each seal, by whichever process.

    Args:
        directory: The set's, without symbolic links.
        url: How errors name the history.
        on_dropped: Told what a repair took out or found lost, by line number.
        limits: When to seal.
        highest_in_sealed: Returns the highest iteration number of the sealed files; asked for after a crash of the
            machine only.
        on_sealed: Called, still under the lock, when a file was sealed.
    """

    def __init__(
        self,
        directory: str,
        url: str,
        on_dropped: Callable[[Dropped], None],
        *,
        limits: SealLimits,
        highest_in_sealed: Callable[[], int],
        on_sealed: Callable[[], None],
    ) -> None:
        self._set_directory = directory
        super().__init__(
            os.path.join(directory, plain_name(0)),
            url,
            lambda dropped: on_dropped(self._by_line(dropped)),
        )
        self._limits = limits
        self._highest_in_sealed = highest_in_sealed
        self._on_sealed = on_sealed
        self._first = 0  # the number of the file's first line
        self._lines = 0  # in the file, as of _size
        self._counted = 0  # the offset up to which _lines were counted
        self._began_at: float | None = None  # when its first record was made, seconds since 1970
        self._seen = b""  # the note as this handle knows it
        self._loss: Loss | None = None  # what was lost before the file that is to be created

    def seal(self) -> bool:
        """Seal the file now; return whether there was anything to seal."""
        with self._mutex:
            self._check()
            if not self._exists():
                return False
            try:
                self._acquire()
                group = self._prepare()
                if not self._lines:
                    return False
                self._seal(group)
            except IterlogError:
                raise
            except OSError as error:
                raise translated(error, self.url) from error
            finally:
                self._lock.release()
        return True

    def forget(self) -> None:
        """Start anew in a forked child."""
        self._seen = b""
        super().forget()

    # what is different from one file alone

    def _lock_path(self) -> str:
        return os.path.join(self._set_directory, LOCK_NAME)

    def _torn_prefix(self) -> str:
        return os.path.join(self._set_directory, torn_prefix(self._first))

    def _first_number(self) -> int:
        return self._noted_highest + 1  # the seal before noted the highest

    def _exists(self) -> bool:
        if os.path.exists(self.path):
            return True
        return os.path.isdir(self._set_directory) and is_set(self._set_directory)

    def _prepare(self) -> SyncGroup:
        # Another process may have sealed the file since, which leaves its inode and size as they were.
        if not self._seen or self._lock.note_bytes() != self._seen:
            self._find_active()
        return super()._prepare()

    def _note(self, highest: int, *, durable: bool = False) -> None:
        in_step = self._seen != b"" and self._lock.note_bytes() == self._seen
        super()._note(highest, durable=durable)
        self._seen = self._lock.note_bytes() if in_step else b""

    def _create(self) -> SyncGroup:
        """Create the first file of a set, or the one behind sealed files that came without one, or lost it."""
        if self._group is not None:  # the file was there when this handle last looked
            self._find_active()
            if os.path.exists(self.path):
                return super()._prepare()
        if self._loss is not None:
            self._let_go()
        self._begin_anew()
        group = self._open_new()
        if self._loss is not None:
            self._mark_loss(self._loss)
            self._loss = None
        self._lines, self._counted, self._began_at = 0, 0, None
        note = self._lock.read_note()
        self._noted_highest = note.highest if note else -1
        self._next = self._noted_highest + 1
        return group

    def _write(self, descriptor: int, data: bytes, start: int) -> None:
        end = self._first + self._lines + data.count(b"\n")
        if end > self._reserved:
            self._reserved = end + min(self._limits.max_records, _MOST_RESERVED)
            self._note(self._noted_highest)
        super()._write(descriptor, data, start)

    def _catch_up(self, descriptor: int, size: int) -> None:
        super()._catch_up(descriptor, size)
        if self._size < self._counted:
            self._counted = self._lines = 0
        self._lines += count_lines(descriptor, self._counted, self._size)
        self._counted = self._size
        if self._began_at is None and self._lines:
            self._began_at = _first_time(descriptor, self._size)

    def _appended(self, count: int) -> Position:
        if not self._lines:
            self._began_at = time.time()
        self._lines += count
        self._counted = self._size
        position = Position.of(self._first + self._lines)
        if self._is_full() and self._group is not None:
            try:
                self._seal(self._group)
            except (OSError, IterlogError) as error:
                # The records stand in the file all the same; the next append tries again.
                logger.warning("%s: the active file could not be sealed: %s", self.url, error)
        return position

    def _highest_after_crash(self, *, untouched: bool) -> int:
        highest = self._highest_in_sealed()
        for part in read_listing(self._set_directory).parts:
            if part.codec is None and not (untouched and part.end is not None):
                self._first = part.first
                self.path = os.path.join(self._set_directory, part.name)
                highest = max(highest, check_all_lines(self.path, _unsaid if untouched else self._on_dropped))
        return highest

    # sealing

    def _is_full(self) -> bool:
        limits = self._limits
        if self._lines >= limits.max_records or self._size >= limits.max_bytes:
            return True
        if limits.max_age is None or self._began_at is None:
            return False
        return time.time() - self._began_at >= limits.max_age.total_seconds()

    def _seal(self, group: SyncGroup) -> None:
        self._check_number(self._first + self._lines)
        group.sync_all()
        self._turn = self._reserved = self._first + self._lines
        # The note first: who sees the new turn looks at the listing, whether or not the file is there yet.
        self._note(max(self._noted_highest, self._next - 1))
        self._first, self._lines, self._counted, self._began_at = self._turn, 0, 0, None
        self.path = os.path.join(self._set_directory, plain_name(self._turn))
        try:
            self._open_new()
        except BaseException:
            self._seen = b""  # go on with what the listing says
            raise
        self._on_sealed()

    def _open_new(self) -> SyncGroup:
        make_directories(self._set_directory)
        try:
            group = self._open(WRITE_FLAGS | CREATE_FLAGS)
        except FileExistsError:
            group = self._open(WRITE_FLAGS)  # an earlier sealer died after creating it
        try:
            os.fsync(group.descriptor)
            sync_directory(self._set_directory)
        except BaseException:
            self._let_go()  # what this descriptor says of a later sync would prove nothing
            raise
        size = os.fstat(group.descriptor).st_size
        self._size = 0 if size == 0 else -1
        return group

    def _find_active(self) -> None:
        note = self._lock.read_note()
        listing = read_listing(self._set_directory)
        self._loss = loss_of(self._set_directory, listing, note)
        first = listing.ends_at
        if note is not None and (self._loss is not None or not listing.parts):
            first = note.reserved
        self._check_number(first)
        if first != self._first or not self._seen:
            self._first, self._lines, self._counted, self._began_at = first, 0, 0, None
            self.path = os.path.join(self._set_directory, plain_name(first))
            self._size = -1
        self._turn = first
        self._reserved = max(first, note.reserved if note else 0)
        if note is not None and note.turn > first:
            # A sealer died, or failed, before it had created the next file. Whoever seals at the same line again must
            # leave another note than the one that is there, or those who know that one would not look.
            super()._note(note.highest)
        self._seen = self._lock.note_bytes()

    def _check_number(self, first: int) -> None:
        """Refuse a file whose name would not be read, and everything in it with it."""
        if first >= NUMBERS_END:
            parts = read_listing(self._set_directory).parts
            raise CorruptionError(
                f"a file that begins at line {first:,} can have no name, and no history is that long: "
                f"{parts[-1].name if parts else LOCK_NAME} says so; move it elsewhere, or give it back its name",
                url=self.url,
            )

    def _mark_loss(self, loss: Loss) -> None:
        """Tell of it, and leave an empty file where it was, so that a plain one before it ends where it does."""
        logger.warning("%s: %s", self.url, loss)
        with contextlib.suppress(FileExistsError):
            path = os.path.join(self._set_directory, plain_name(loss.behind))
            os.close(os.open(path, WRITE_FLAGS | CREATE_FLAGS, NEW_FILE_MODE))
        sync_directory(self._set_directory)

    def _by_line(self, dropped: Dropped) -> Dropped:
        """Say where something stood by its line's number, which sealing and compressing do not change."""
        descriptor = os.open(self.path, READ_FLAGS)
        try:
            number = self._first + count_lines(descriptor, 0, dropped.position[0] if dropped.position else 0)
        finally:
            os.close(descriptor)
        return Dropped(Position.of(number), dropped.size, dropped.kind, dropped.kept_at)


def _unsaid(_dropped: Dropped) -> None:
    """Nobody's writer was here before, so what is damaged was not lost by a crash of its machine."""


def _first_time(descriptor: int, end: int) -> float:
    """Return when the first readable record of a file was made; now, when none says."""
    for _, line in lines_forward(descriptor, 0, end):
        try:
            moment = decode_line(line).timestamp
        except DamagedLineError:
            continue
        if moment is not None:
            return moment.timestamp()
    return time.time()
