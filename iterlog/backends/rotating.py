"""``rotating:///dir``: a compressed rotating set, long histories on bounded disk behind one reader.

Appends go to a plain file as those of the ``jsonl`` backend do. When it is full it is sealed and the next one begun;
sealed files are compressed in the background, twenty times smaller, and removed only when asked to. What the files are
called and which steps survive what, `iterlog.rotation` tells.
"""

from __future__ import annotations

import enum
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from iterlog.abilities import SupportsClaim, SupportsNumbering, SupportsRotation
from iterlog.errors import ConfigError, CorruptionError, HistoryNotFoundError, UnsupportedOperationError
from iterlog.options import Option, choice_of, count, duration, size
from iterlog.position import Durability, Position
from iterlog.reader import COMMON_OPTIONS, OnDamage, logger
from iterlog.store import HistoryStore

if sys.platform == "win32":
    raise UnsupportedOperationError(
        "rotating sets need POSIX locks, which Windows does not have; use WSL, or memory:// for a trial"
    )

from iterlog.background import Background
from iterlog.files.failures import translated
from iterlog.files.machine import network_file_system
from iterlog.lines import holds_record
from iterlog.rotation.active import ActiveFile, SealLimits
from iterlog.rotation.checking import SetChecker
from iterlog.rotation.keeping import Keeper
from iterlog.rotation.layout import is_set, no_plain_file
from iterlog.rotation.reading import SetReader, checked_number
from iterlog.rotation.retention import Retention
from iterlog.segments.packing import Codec

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from iterlog.reports import Fault, FileChange
    from iterlog.segments.footer import SegmentFooter
    from iterlog.url import HistoryURL


_HIGHEST_LEVEL = 22
_HIGHEST_GZIP_LEVEL = 9


class Compress(enum.Enum):
    """When sealed files are compressed."""

    BACKGROUND = "background"
    INLINE = "inline"
    OFF = "off"


def _level(given: object) -> int:
    number = count(given)
    if number > _HIGHEST_LEVEL:
        raise ValueError(f"takes a level from 1 to {_HIGHEST_LEVEL} (gzip: to {_HIGHEST_GZIP_LEVEL}), not {given!r}")
    return number


class RotatingHistory(HistoryStore, SupportsNumbering, SupportsClaim, SupportsRotation):
    """A history in a directory of sealed, compressed files and one that is appended to.

    A position is the number of lines before it, which sealing, compressing and merging do not change.
    """

    OPTIONS: ClassVar[Mapping[str, Option]] = {
        **COMMON_OPTIONS,
        "codec": Option(choice_of(Codec), Codec.ZSTD, "zstd or gzip"),
        "level": Option(_level, None, "compression level; for zstd 9 by default, for gzip the fastest"),
        "max_records": Option(count, 1000, "seal after so many records"),
        "max_bytes": Option(size, 8 << 20, "seal at this size, uncompressed"),
        "max_age": Option(duration, None, "seal when the first record is older"),
        "keep_records": Option(count, None, "keep at least so many of the newest records, remove older files"),
        "keep_bytes": Option(size, None, "remove the oldest files while all take more on the disk"),
        "keep_age": Option(duration, None, "remove files whose last record is older"),
        "compress": Option(choice_of(Compress), Compress.BACKGROUND, "background, inline or off"),
    }

    def __init__(
        self,
        url: HistoryURL,
        *,
        codec: Codec = Codec.ZSTD,
        level: int | None = None,
        max_records: int = 1000,
        max_bytes: int = 8 << 20,
        max_age: dt.timedelta | None = None,
        keep_records: int | None = None,
        keep_bytes: int | None = None,
        keep_age: dt.timedelta | None = None,
        compress: Compress = Compress.BACKGROUND,
        **options: Any,
    ) -> None:
        super().__init__(url, **options)
        self._directory = os.path.realpath(url.local_path())
        self._check_place()
        if codec is Codec.GZIP and level is not None and level > _HIGHEST_GZIP_LEVEL:
            raise ConfigError(f"gzip has no level {level}; give level= 1 to {_HIGHEST_GZIP_LEVEL}", url=self.url)
        self._told: set[tuple[int, ...]] = set()  # what was logged once
        self._retention = Retention(keep_records, keep_bytes, keep_age)
        self._compress = compress
        self._max_records, self._max_bytes = max_records, max_bytes
        self._reader = SetReader(self._directory, self.url, self._part_damaged, self._lines_removed)
        self._file = ActiveFile(
            self._directory,
            self.url,
            self._report_dropped,
            limits=SealLimits(max_records, max_bytes, max_age),
            highest_in_sealed=self._reader.highest_iteration,
            on_sealed=self._sealed,
        )
        self._keeper = Keeper(self._directory, self._reader, codec=codec, level=level, retention=self._retention)
        self._background = Background(self._keep)
        self._work_waits = True  # an earlier handle may have left some

    # appending and reading

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        self._refuse_network()
        position = self._file.append(lines, durability)
        self._after_append()
        return position

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        self._refuse_network()
        position = self._file.append_numbered(make, durability)
        self._after_append()
        return position

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        for numbers, lines in self._reader.forward(checked_number(start, self.url)):
            yield from zip(map(Position, zip(numbers, strict=True)), lines, strict=True)

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        for number, line in self._reader.backward():
            yield Position.of(number), line

    def _scan_for(self, iteration: int) -> Iterator[tuple[Position, bytes]]:
        for number, line in self._reader.with_iteration(iteration):
            yield Position.of(number), line

    def _count(self) -> int:
        return self._reader.count(lambda lines: sum(1 for _, line in lines if holds_record(line)))

    def _unread(self) -> list[Fault]:
        checker = SetChecker(self._directory, self.url)
        faults = [*checker.unread_files(), *checker.unfinished()]
        if checker.unread_end():
            with self._file.at_rest():
                faults += checker.unread_end()
        return faults

    def _scan_to_verify(self, report: Callable[[Fault], None]) -> Iterator[tuple[Position, bytes]]:
        for number, line in SetChecker(self._directory, self.url).lines(report):
            yield Position.of(number), line

    def _next_number(self) -> int:
        return self._file.repair()

    def _repair(self) -> None:
        self._file.repair()

    def _claim(self) -> None:
        self._refuse_network()
        self._file.claim()

    def _flush(self) -> None:
        self._file.flush()

    def _close(self) -> None:
        self._background.close()
        self._file.close()

    # what only a set can do

    @property
    def begins_at(self) -> Position:
        """The position before the first record that is kept; later than the beginning once retention removed some."""
        return Position.of(self._reader.listing().begins_at)

    def footers(self) -> Iterator[tuple[Position, SegmentFooter]]:
        """Yield each sealed file's footer, its metric index, oldest first, with the position before the file.

        Raises:
            CorruptionError: A file without a footer is damaged, so that none can be made.
        """
        self._check_open()
        for number, footer in self._reader.footers():
            yield Position.of(number), footer

    def seal(self) -> bool:
        """Seal the active file now; return whether it held anything."""
        self._check_open()
        return self._file.seal()

    def compress(self) -> Iterator[FileChange]:
        """Compress the sealed files that are plain; yield each when it is done.

        Raises:
            ConflictError: Another process is at it and did not come to its end within a minute.
            UnavailableError: The storage refused; the plain file is still there.
        """
        self._check_open()
        return self._keeper.compress()

    def prune(self, *, dry_run: bool = False) -> Iterator[FileChange]:
        """Remove the oldest sealed files beyond ``keep_records``, ``keep_bytes`` and ``keep_age``; yield each.

        Raises:
            ConflictError: As `compress`.
            UnavailableError: The storage refused; what was not yielded is still there.
        """
        self._check_open()
        return iter(()) if self._retention.keeps_everything else self._keeper.prune(dry_run=dry_run)

    def compact(self, *, recompress: bool = False, dry_run: bool = False) -> Iterator[FileChange]:
        """Merge small sealed files up to ``max_records`` and ``max_bytes``, and give footers to those without.

        Args:
            recompress: Rewrite every sealed file at this history's codec and level.
            dry_run: Only say what would be done.

        Raises:
            ConflictError: As `compress`.
            UnavailableError: The storage refused; the files that were not yielded are still there.
        """
        self._check_open()
        return self._keeper.compact(self._max_records, self._max_bytes, recompress=recompress, dry_run=dry_run)

    # how it is kept

    def _sealed(self) -> None:
        self._work_waits = True

    def _after_append(self) -> None:
        if self._work_waits:
            self._work_waits = False
            if self._compress is Compress.BACKGROUND:
                self._background.wake()
            elif self._compress is Compress.INLINE:
                self._background.run_here()

    def _keep(self, keep_on: Callable[[], bool]) -> None:
        """Compress and remove what is due; an append never fails because this does, and never waits for others."""
        done = self._keeper.keep(keep_on, wait=self._compress is Compress.BACKGROUND)
        if not done:
            self._work_waits = True  # for another append

    def _part_damaged(self, number: int, detail: str) -> None:
        position = Position.of(number)
        if self._on_damage is OnDamage.RAISE:
            raise CorruptionError(f"{detail}; read on from position {position}", url=self.url, position=position)
        if self._is_news(number):
            logger.warning("%s: %s; its readable lines are used", self.url, detail)

    def _lines_removed(self, number: int, first: int) -> None:
        position = Position.of(first)
        if not number:
            if self._is_news(0, first):
                logger.info("%s: older records were removed; the history begins at position %s", self.url, position)
            return
        message = (
            f"the records from position {number:,} on were removed by retention; the history begins at position {first}"
        )
        if self._on_damage is OnDamage.RAISE:
            raise CorruptionError(f"{message}; read on from there", url=self.url, position=position)
        if self._is_news(number, first):
            logger.warning("%s: %s", self.url, message)

    def _is_news(self, *what: int) -> bool:
        news = what not in self._told
        self._told.add(what)
        return news

    def _refuse_network(self) -> None:
        kind = network_file_system(_existing(self._directory)) if not self._file.opened else None
        if kind:
            raise UnsupportedOperationError(
                f"the directory lies on {kind}, where another machine's writer would go unnoticed; keep the history on "
                "a local disk",
                url=self.url,
            )

    def _refuse_other_than_files(self) -> None:
        try:
            name = no_plain_file(self._directory)
        except OSError as error:
            raise translated(error, self.url) from error
        if name is not None:
            raise ConfigError(
                f"{name!r} is named like a file of a rotating set and is no plain file, but a directory or a link; "
                "move it elsewhere, or put the file itself in its place",
                url=self.url,
            )

    def _check_place(self) -> None:
        try:
            mode = os.stat(self._directory).st_mode  # one look: another handle may be creating it
        except FileNotFoundError:
            if not self._create:
                raise HistoryNotFoundError("there is no directory at this path", url=self.url) from None
            return
        except OSError as error:
            raise translated(error, self.url) from error
        if not stat.S_ISDIR(mode):
            raise ConfigError("a rotating set is a directory; what stands at this path is none", url=self.url)
        self._refuse_other_than_files()
        if not self._create and not is_set(self._directory):
            raise HistoryNotFoundError("there is no history in this directory", url=self.url)


def _existing(path: str) -> str:
    while not os.path.exists(path) and (parent := os.path.dirname(path)) != path:
        path = parent
    return path
