"""One history out of many files, while others seal, compress, merge and remove them.

A reader lists the directory, reads file after file, and lists again when a name is gone: the lines it still wants stand
in another file then. Lines are told apart by their number, which no such step changes, so none comes twice and none is
missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from iterlog.errors import ConfigError, CorruptionError
from iterlog.files.failures import translated
from iterlog.lines import DamagedLineError, decode_line, salvage
from iterlog.position import Position
from iterlog.reader import logger
from iterlog.rotation.layout import Listing, Part, read_listing
from iterlog.rotation.parts import PartReader
from iterlog.rotation.spans import NumberSpans
from iterlog.rotation.twins import Twins
from iterlog.segments.build import build_footer
from iterlog.segments.limits import Budget
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.segments.footer import SegmentFooter

_T = TypeVar("_T")

_MOST_VANISHED = 1000
"""After so many names in a row that were listed and gone when opened, something else removes files."""


class SetReader(PartReader):
    """Reads the lines of a set by number; a number stands behind its line.

    Args:
        directory: The set's.
        url: How errors name the history.
        on_damage: Told of a file that is damaged, with the number behind its last line; may raise.
        on_removed: Told of the number that was to be read on from, and of the first line there is, when lines between
            them were removed; may raise.
    """

    def __init__(
        self,
        directory: str,
        url: str,
        on_damage: Callable[[int, str], None],
        on_removed: Callable[[int, int], None],
    ) -> None:
        super().__init__(directory, url, on_damage)
        self._on_removed = on_removed
        self._spans = NumberSpans(directory)
        self.twins = Twins(directory, self)

    def listing(self) -> Listing:
        """List the directory, whole files in the place of damaged ones; empty when there is none."""
        vanished = 0
        while True:
            try:
                return self.twins.chosen(self._settled())
            except OSError as error:
                vanished = self._one_more(vanished, error)

    def _settled(self) -> Listing:
        """List the directory until nothing seems to be missing.

        A long directory is not listed in one moment: a file can be missed under the name that goes while its lines'
        other name comes. So where lines seem to be missing, it takes two listings that say the same.
        """
        listing = self._listed()
        for _ in range(_MOST_VANISHED):
            if listing.is_without_gaps:
                break
            before, listing = listing, self._listed()
            if before == listing:
                break
        return listing

    def _listed(self) -> Listing:
        try:
            return read_listing(self._directory)
        except FileNotFoundError:
            return Listing((), (), ())
        except OSError as error:
            raise translated(error, self.url) from error

    def forward(self, start: int) -> Iterator[tuple[Sequence[int], list[bytes]]]:
        """Yield the lines behind a number, oldest first, many at a time, after their numbers.

        Raises:
            CorruptionError: The set ends before ``start``, or a file is missing.
        """
        number = start
        vanished = 0
        listing, is_fresh = self.listing(), True
        while True:
            part = self._part_behind(number, listing)
            if not is_fresh and (part is None or part.end is None):
                # What was the active file may have others behind it by now.
                listing, is_fresh = self.listing(), True
                continue
            if part is None:
                return
            number = max(number, part.first)
            try:
                for numbers, lines in self.part_blocks(part, number):
                    number = numbers[-1]
                    yield numbers, lines
            except OSError as error:
                vanished = self._one_more(vanished, error)
                listing, is_fresh = self.listing(), True
                continue
            if part.end is None:
                return
            number, vanished, is_fresh = part.end, 0, False

    def backward(self) -> Iterator[tuple[int, bytes]]:
        """Yield all lines, newest first, each with its number."""
        before: int | None = None  # everything from this number on was yielded
        vanished = 0
        listing = self.listing()
        while True:
            part = self._part_before(before, listing)
            if part is None:
                return
            if before is not None and part.end is not None and part.end < before - 1:
                self._on_damage(before - 1, _missing(part.end, before - 1))
            try:
                for number, line in self.part_backward(part):
                    if before is None or number < before:
                        yield number, line
            except OSError as error:
                vanished = self._one_more(vanished, error)
                listing = self.listing()
                continue
            before, vanished = part.first + 1, 0

    def with_iteration(self, iteration: int) -> Iterator[tuple[int, bytes]]:
        """Yield, newest first, the lines that may hold a record with a number, mostly by the footers alone."""
        vanished = 0
        while True:
            try:
                for part in reversed(self.listing().parts):
                    yield from self._in_part(part, iteration)
            except OSError as error:
                vanished = self._one_more(vanished, error)
            else:
                return

    def _in_part(self, part: Part, iteration: int) -> Iterator[tuple[int, bytes]]:
        if self._spans.cannot_hold(part.name, iteration):
            return
        summary = self.summary(part)
        if summary is None:
            yield from self.part_backward(part)
            return
        self._spans.seen(part.name, summary.lowest_iteration, summary.highest_iteration)
        if self._spans.cannot_hold(part.name, iteration):
            return
        with self.opened(part) as descriptor:
            try:
                index = self._line_in(part, iteration)
                if index is None:
                    return
                line = SealedSegment(FileSource(descriptor)).line(index)
            except (CorruptionError, IndexError):
                yield from self.part_backward(part)  # which tells what is damaged, and what can be read
                return
        yield part.first + index + 1, line

    def _line_in(self, part: Part, iteration: int) -> int | None:
        footer = self.stored_footer(part)
        if footer is None:
            raise CorruptionError("the columns behind the footer's head are damaged")
        return footer.line_of(iteration)

    def count(self, count_lines: Callable[[Iterator[tuple[int, bytes]]], int]) -> int:
        """Return the number of readable records, by the footers where there are any.

        Args:
            count_lines: Counts the records of the lines of a file that has none.
        """

        def records_of(part: Part) -> int:
            summary = self.summary(part)
            return count_lines(self.part_forward(part, part.first)) if summary is None else summary.records

        return self.of_one_listing(lambda listing: sum(map(records_of, listing.parts)))

    def highest_iteration(self) -> int:
        """Return the highest number in the sealed files; -1 when there is none."""

        def highest_of(part: Part) -> int:
            try:
                highest = (self.summary(part) or self.made_footer(part)).highest_iteration
            except CorruptionError as error:
                logger.warning("%s: not all numbers in %s are known: %s", self.url, part.name, error)
                highest = max((_number_of(line) for _, line in self.readable(part)), default=-1)
            return -1 if highest is None else highest

        return self.of_one_listing(lambda listing: max(map(highest_of, listing.sealed), default=-1))

    def footers(self) -> Iterator[tuple[int, SegmentFooter]]:
        """Yield the footer of each sealed file, oldest first, with the number of the line it begins at.

        Raises:
            CorruptionError: A file without a footer is damaged, so that none can be made.
        """
        number = vanished = 0
        listing, is_fresh = self.listing(), True
        while True:
            try:
                found = self._footer_behind(number, listing)
            except OSError as error:
                vanished = self._one_more(vanished, error)
                listing, is_fresh = self.listing(), True
                continue
            if found is not None:
                first, number, footer = found
                vanished, is_fresh = 0, False
                yield first, footer
            elif is_fresh:
                return
            else:
                listing, is_fresh = self.listing(), True  # files were sealed meanwhile, perhaps

    def _footer_behind(self, number: int, listing: Listing) -> tuple[int, int, SegmentFooter] | None:
        part = listing.first_behind(number)
        if part is None or part.end is None:
            return None
        if part.first >= number:
            return part.first, part.end, self.made_footer(part)
        # It was merged meanwhile with files whose footers were yielded: make one of the other lines.
        lines = (b"%b\n" % line for _, line in self.part_forward(part, number))
        return number, part.end, build_footer(lines, Budget.of_plain_file())

    def of_one_listing(self, work: Callable[[Listing], _T]) -> _T:
        """Do some work on the files of a listing, again from the start when one of them is gone meanwhile."""
        vanished = 0
        while True:
            try:
                return work(self.listing())
            except OSError as error:
                vanished = self._one_more(vanished, error)

    def _one_more(self, vanished: int, error: OSError) -> int:
        """Return how many names in a row were gone when they were opened, this one included.

        Raises:
            UnavailableError: Something else failed, or there were too many.
        """
        if not isinstance(error, FileNotFoundError) or vanished >= _MOST_VANISHED:
            raise translated(error, self.url) from error
        return vanished + 1

    # which file

    def _part_behind(self, number: int, listing: Listing) -> Part | None:
        """Return the file with the line behind a number; None when no line is."""
        index = listing.holding(number)
        if index is not None:
            return listing.parts[index]
        if not listing.parts or number == listing.parts[-1].end:
            if number and not listing.parts:
                raise CorruptionError(
                    f"the files before position {number:,} are gone", url=self.url, position=Position.of(number)
                )
            return None
        if number < listing.begins_at:
            self._on_removed(number, listing.begins_at)
            return listing.parts[0]
        following = listing.first_behind(number)
        if following is None:
            raise CorruptionError(
                f"the history ends before position {number:,}: it was cut or replaced",
                url=self.url,
                position=Position.of(number),
            )
        self._on_damage(following.first, _missing(number, following.first))
        return following

    def _part_before(self, number: int | None, listing: Listing) -> Part | None:
        """Return the file with the last line before the one of a number; None when there is none."""
        for part in reversed(listing.parts):
            if number is None or part.first + 1 < number:
                return part
        return None


def _missing(first: int, end: int) -> str:
    return f"the file with the lines {first:,} to {end - 1:,} is missing"


def _number_of(line: bytes) -> int:
    try:
        record = decode_line(line)
    except DamagedLineError:
        saved = salvage(line)
        return -1 if saved is None or saved.iteration is None else saved.iteration
    return -1 if record.iteration is None else record.iteration


def checked_number(start: Position, url: str) -> int:
    """Return the number that a position of a set stands for.

    Raises:
        ConfigError: It is a position of another kind of history.
    """
    if len(start) > 1:
        raise ConfigError(f"position {start} is not one of this history", url=url)
    return start[0] if start else 0
