"""The newest commit, found in three requests at any length: two listings of at most a page, and one object."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.remote.client import MissingObjectError
from iterlog.remote.commits import Commit, parse_commit
from iterlog.remote.layout import BUCKET, LOG, bucket_of, buckets_in, commit_key, log_of, number_in

if TYPE_CHECKING:
    from iterlog.remote.client import ObjectClient

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_MOST_LOOKS = 5

ASLEEP_S = 600.0
"""What was read so long ago proves nothing: a bucket may have been collected meanwhile, and its names be free again."""


@dataclass(frozen=True)
class Tail:
    """The end of a history, as it was at some moment.

    Attributes:
        number: The newest commit; -1 when there is none.
        next_number: The next iteration number.
        last: The newest commit with records; -1 when there is none.
        known_at: When this was so, in seconds on `now`.
        commits: Some of the newest commits, as they were read, newest first.
    """

    number: int
    next_number: int
    last: int
    known_at: float
    commits: tuple[Commit, ...] = ()

    def behind(self, commit: Commit, known_at: float) -> Tail:
        """Return the tail after one more commit."""
        following = commit.next_iteration()
        if following is None:  # each of its lines had a number, too
            following = max(self.next_number + max(1, len(commit.lines)), commit.above())
        next_number = max(self.next_number, following)
        last = commit.number if commit.lines else self.last
        kept = tuple(each for each in self.commits if each.number == self.last) if not commit.lines else ()
        return Tail(commit.number, next_number, last, known_at, (commit, *kept))


def now() -> float:
    """Return seconds on a clock that also runs while the machine is suspended, where the system has one."""
    return time.clock_gettime(_CLOCK)


def newest_number(client: ObjectClient, before: int | None = None) -> int:
    """Return the number of the newest commit, -1 when there is none: two listings.

    Args:
        client: The store.
        before: Look at lower numbers only.

    Raises:
        UndecidedError, RefusedError: The store cannot be read.
    """
    buckets = buckets_in(entry.name for entry in client.entries(LOG))
    for bucket in reversed(buckets):  # the newest one, unless all its names are somebody else's
        if before is not None and before <= bucket * BUCKET:
            continue
        names = (number_in(entry.name) for entry in client.entries(log_of(bucket)))
        numbers = [number for number in names if number is not None and bucket_of(number) == bucket]
        newest = max((number for number in numbers if before is None or number < before), default=-1)
        if newest >= 0:
            return newest
    return -1


def find_tail(client: ObjectClient) -> Tail:
    """Read the end of a history.

    Raises:
        UndecidedError, RefusedError: The store cannot be read.
        MissingObjectError: What is listed cannot be read, time and again.
    """
    for look in range(_MOST_LOOKS):
        known_at = now()
        newest = newest_number(client)
        try:
            return _tail_at(client, newest, known_at)
        except MissingObjectError:
            if look == _MOST_LOOKS - 1:
                raise
    raise MissingObjectError


def _tail_at(client: ObjectClient, newest: int, known_at: float) -> Tail:
    """Read backwards until the next iteration number is known: one commit, unless that one is damaged."""
    commits: list[Commit] = []
    damaged = above = 0
    following: int | None = None
    number = newest + 1
    while number > 0:
        number -= 1
        try:
            commit = parse_commit(number, client.get(commit_key(number)))
        except MissingObjectError:
            if number == newest:
                raise
            stands = newest_number(client, before=number)  # so many may be missing that nobody waits for all of them
            damaged += number - stands
            number = stands + 1
            continue
        commits.append(commit)
        following = commit.next_iteration()
        if following is not None:
            break
        damaged += max(1, len(commit.lines))  # each of its lines had a number, too
        above = max(above, commit.above())
    last = next((commit.number for commit in commits if commit.lines), -1)
    fence = commits[-1].fence if commits else None
    if last < 0 and fence is not None:
        last = fence.last
    return Tail(newest, max((following or 0) + damaged, above), last, known_at, tuple(commits))
