"""The commits of a history in order, from segments where there are any, and side by side where there are none.

Two listings say which buckets there are; a sealed one is one object, one that is not is a listing and its commits. A
commit that is missing where a later one stands is damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from iterlog.errors import CorruptionError, UnavailableError
from iterlog.position import Position
from iterlog.remote.answers import answered
from iterlog.remote.client import MissingObjectError
from iterlog.remote.commits import Commit, commits_of, parse_commit
from iterlog.remote.layout import (
    BUCKET,
    LOG,
    SEGMENTS,
    bucket_of,
    buckets_in,
    commit_key,
    log_of,
    number_in,
    segment_in,
    segment_key,
)
from iterlog.remote.prefetch import USUAL_SIZE, WIDTH, prefetched
from iterlog.remote.tail import ASLEEP_S, newest_number, now
from iterlog.segments.limits import Budget
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource
from iterlog.segments.splitting import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from iterlog.remote.client import ObjectClient
    from iterlog.remote.tail import Tail
    from iterlog.segments.footer import SegmentFooter

_T = TypeVar("_T")

_POLLS_BEFORE_A_LISTING = 8


@dataclass(frozen=True)
class Overview:
    """Which buckets a history has.

    Attributes:
        logs: Those with commits of their own.
        segments: The sealed ones, with the size of each segment in bytes.
    """

    logs: tuple[int, ...]
    segments: Mapping[int, int]

    @property
    def newest(self) -> int:
        """The newest bucket; -1 when there is none."""
        return max((*self.logs, *self.segments), default=-1)

    def before(self, bucket: int) -> int:
        """Return the newest bucket before one; -1 when there is none."""
        return max((each for each in (*self.logs, *self.segments) if each < bucket), default=-1)

    def from_on(self, bucket: int) -> int:
        """Return the oldest bucket from one on; the one itself when there is none."""
        return min((each for each in (*self.logs, *self.segments) if each >= bucket), default=bucket)


class CommitReader:
    """Reads the commits of one history.

    Args:
        client: The store.
        url: How errors name the history.
        on_damage: Told of commits that are missing, or a segment that is damaged: the position behind it, and words
            for it; may raise.
    """

    def __init__(self, client: ObjectClient, url: str, on_damage: Callable[[Position, str], None]) -> None:
        self._client = client
        self._url = url
        self._on_damage = on_damage
        self._end = (-1, 0.0)  # behind the newest commit that was read, and when there was no other

    def forward(self, first: int) -> Iterator[Commit]:
        """Yield the commits from a number on.

        Raises:
            CorruptionError: The history ends before that number.
            UnavailableError: The store cannot be read.
        """
        number = first
        end, ended_at = self._end
        if first == end and now() - ended_at < ASLEEP_S:
            # Who follows asks for the next one: one request while there is none.
            for _ in range(_POLLS_BEFORE_A_LISTING):
                commit = self.commit(number)
                if commit is None:
                    self._end = (number, now())
                    return
                yield commit
                number += 1
        began_at = now()
        for commit in self._listed_forward(number):
            yield commit
            number = commit.number + 1
        self._end = (number, began_at)

    def backward(self, tail: Tail | None, count: int) -> Iterator[Commit]:
        """Yield all commits, newest first.

        Args:
            tail: The end of the history, when it is known.
            count: How many the caller will want, most likely.
        """
        number = self._asked(lambda: newest_number(self._client)) if tail is None else tail.number
        at_hand = {} if tail is None else {commit.number: commit for commit in tail.commits}
        if tail is not None and tail.number > tail.last >= 0:
            number = tail.last  # only fences stand behind it
        unsealed, wanted, incomplete = bucket_of(number), max(1, count), -1
        overview: Overview | None = None
        while number >= 0:
            bucket = bucket_of(number)
            if bucket not in {unsealed, incomplete}:
                overview = overview or self.overview()
                if bucket in overview.segments:
                    yield from reversed(list(self._of_segment(bucket, bucket * BUCKET, number + 1)))
                    number = bucket * BUCKET - 1
                    continue
                if self._is_gap(first := (overview.before(bucket) + 1) * BUCKET, number):
                    number = first - 1
                    continue
            numbers = range(number, max(bucket * BUCKET, number - wanted + 1) - 1, -1)
            asks = [partial(at_hand.get, each) if each in at_hand else partial(self.commit, each) for each in numbers]
            for each, commit in zip(numbers, prefetched(asks), strict=True):
                if commit is not None:
                    yield commit
                elif bucket != incomplete and self._is_sealed(bucket):
                    yield from reversed(list(self._of_segment(bucket, bucket * BUCKET, each + 1)))
                    number = bucket * BUCKET - 1
                    break
                else:
                    incomplete = bucket
                    self._on_damage(Position.of(each + 1), f"commit {each:,} is missing")
            else:
                number, wanted = numbers[-1] - 1, min(2 * wanted, 4 * WIDTH)

    def commit(self, number: int) -> Commit | None:
        """Read one commit that is not sealed away; None when there is none."""
        body = self._body(number)
        return None if body is None else parse_commit(number, body)

    def overview(self) -> Overview:
        """List the buckets: two requests."""
        # Segments last: a bucket that is sealed, and then collected, in between is in one of the two.
        logs = self._asked(lambda: buckets_in(entry.name for entry in self._client.entries(LOG)))
        entries = self._asked(lambda: self._client.entries(SEGMENTS))
        sizes = {bucket: entry.size for entry in entries if (bucket := segment_in(entry.name)) is not None}
        return Overview(tuple(logs), dict(sorted(sizes.items())))

    def numbers_in(self, bucket: int) -> dict[int, int]:
        """Return the commits of a bucket that is not sealed away, rising, each with its size in bytes."""
        entries = self._asked(lambda: self._client.entries(log_of(bucket)))
        sizes = {number: entry.size for entry in entries if (number := number_in(entry.name)) is not None}
        return {number: sizes[number] for number in sorted(sizes) if bucket_of(number) == bucket}

    def bodies(self, sizes: Mapping[int, int]) -> Iterator[bytes | None]:
        """Yield the bytes of commits, in the order given; None for one that is missing."""
        return prefetched([partial(self._body, number) for number in sizes], list(sizes.values()))

    def footers(self, segments: Mapping[int, int]) -> Iterator[SegmentFooter | None]:
        """Yield the footers of segments, each one read of its end; None for one that cannot be read."""
        return prefetched([partial(self.footer, bucket, size) for bucket, size in segments.items()])

    def footer(self, bucket: int, size: int) -> SegmentFooter | None:
        """Read the footer of a bucket's segment, which has so many bytes; None when there is none to be read."""

        def read(start: int, end: int) -> bytes:
            return self._asked(lambda: self._client.get_range(segment_key(bucket), start, end))

        try:
            return SealedSegment(_ObjectSource(read, size)).footer()
        except CorruptionError:
            return None

    def commits_in(self, bucket: int, overview: Overview) -> Iterator[Commit]:
        """Yield the commits of one bucket."""
        first, end = bucket * BUCKET, (bucket + 1) * BUCKET
        if bucket in overview.segments:
            yield from self._of_segment(bucket, first, end)
            return
        sizes = self.numbers_in(bucket)
        yield from self._of_log(first, end - 1 if bucket < overview.newest else max(sizes, default=first - 1), sizes)

    # forwards

    def _listed_forward(self, first: int) -> Iterator[Commit]:
        overview = self.overview()
        bucket, last = bucket_of(first), -1
        while bucket <= overview.newest:
            start = max(first, bucket * BUCKET)
            sealed = list(takewhile(overview.segments.__contains__, range(bucket, overview.newest + 1)))
            if sealed:
                yield from self._of_segments(sealed, overview.segments, start)
                bucket = sealed[-1] + 1
                last = bucket * BUCKET - 1
                continue
            following = overview.from_on(bucket)
            if following > bucket and self._is_gap(start, following * BUCKET - 1):
                bucket, last = following, following * BUCKET - 1
                continue
            sizes = {number: size for number, size in self.numbers_in(bucket).items() if number >= start}
            last = (bucket + 1) * BUCKET - 1 if bucket < overview.newest else max(sizes, default=start - 1)
            yield from self._of_log(start, last, sizes)
            bucket += 1
        # Listings may be behind; the object before the position is not.
        if last < first > 0 and bucket_of(first - 1) not in overview.segments and self.commit(first - 1) is None:
            raise self._too_short(first)

    def _of_segments(self, buckets: Sequence[int], sizes: Mapping[int, int], first: int) -> Iterator[Commit]:
        asks = [partial(self._segment, bucket) for bucket in buckets]
        for bucket, data in zip(buckets, prefetched(asks, [sizes[bucket] for bucket in buckets]), strict=True):
            yield from self._of_segment(bucket, max(first, bucket * BUCKET), (bucket + 1) * BUCKET, data)

    def _of_segment(self, bucket: int, first: int, end: int, data: bytes | None = None) -> Iterator[Commit]:
        """Yield some commits of a sealed bucket; where its segment is damaged, from its log if that still stands."""
        data = self._segment(bucket) if data is None else data
        number = bucket * BUCKET
        problem = "ends too early"
        try:
            lines = split_lines(SealedSegment(BytesSource(data)).chunks(), Budget())
            for commit in commits_of((line for _, line in lines), number):
                if number >= end:
                    return
                if number >= first:
                    yield commit
                number += 1
        except CorruptionError as error:
            problem = f"is damaged: {error.message}"
        number = max(number, first)
        if number >= end:
            return
        sizes = {each: size for each, size in self.numbers_in(bucket).items() if number <= each < end}
        if sizes:
            yield from self._of_log(number, end - 1, sizes, bucket)
        else:
            self._on_damage(Position.of(end), f"{segment_key(bucket)} {problem}; commits from {number:,} on are lost")

    def _of_log(self, first: int, last: int, sizes: Mapping[int, int], incomplete: int = -1) -> Iterator[Commit]:
        """Yield commits of one bucket, which may be collected meanwhile unless it is known to be incomplete."""
        wanted = dict.fromkeys(range(first, last + 1), USUAL_SIZE) | dict(sizes)
        for number, body in zip(wanted, self.bodies(wanted), strict=True):
            bucket = bucket_of(number)
            if body is not None:
                yield parse_commit(number, body)
            elif bucket != incomplete and self._is_sealed(bucket):
                yield from self._of_segment(bucket, number, last + 1)
                return
            else:
                incomplete = bucket
                self._on_damage(Position.of(number + 1), f"commit {number:,} is missing")

    def _is_gap(self, first: int, last: int) -> bool:
        """Whether whole buckets are missing that no listing has, told as one damage: names can be far apart.

        Listings may be behind, the objects at both ends are not.
        """
        if bucket_of(first) == bucket_of(last) or any(self.commit(number) is not None for number in (first, last)):
            return False
        self._on_damage(Position.of(last + 1), f"commits {first:,} to {last:,} are missing")
        return True

    def _is_sealed(self, bucket: int) -> bool:
        entries = self._asked(lambda: self._client.entries(SEGMENTS))
        return any(segment_in(entry.name) == bucket for entry in entries)

    def _too_short(self, first: int) -> CorruptionError:
        return CorruptionError(
            f"the history ends before position {first:,}: objects were removed, or it is another one",
            url=self._url,
            position=Position.of(first),
        )

    # one request

    def _body(self, number: int) -> bytes | None:
        try:
            return self._asked(lambda: self._client.get(commit_key(number)))
        except UnavailableError as error:
            if isinstance(error.__cause__, MissingObjectError):
                return None
            raise

    def _segment(self, bucket: int) -> bytes:
        return self._asked(lambda: self._client.get(segment_key(bucket)))

    def _asked(self, ask: Callable[[], _T]) -> _T:
        return answered(ask, self._url)


class _ObjectSource:
    """A segment whose size is known, read by range."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read = read
        self._size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Read a range."""
        return self._read(offset, min(self._size, offset + length)) if offset < self._size else b""

    def tail(self, length: int) -> tuple[bytes, int]:
        """Read the end."""
        start = max(0, self._size - length)
        return self._read(start, self._size), self._size
