"""One history kept up with another, once or for good; named the other way round, the same restores it.

Where the copy stands is what it holds: killed anywhere and started again, a sync goes on behind the last line there,
whole appends only. The destination is claimed meanwhile, so two syncs to one place never mix. Damaged lines are copied
as they stand and counted; what the source cannot even show (a damaged part of a set) is warned of, and missing.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from iterlog.copying.bookmarks import BookmarkFile
from iterlog.copying.chase import BackOff, Chase
from iterlog.copying.follower import Follower, lag_behind
from iterlog.copying.overlap import DivergedError, Overlap, overlap_of
from iterlog.copying.proof import Proof
from iterlog.errors import CorruptionError, HistoryNotFoundError, UnavailableError, WriteUncertainError
from iterlog.places import check_different, place_of
from iterlog.position import START, Position
from iterlog.reader import logger
from iterlog.registry import open_history, open_parsed
from iterlog.url import HistoryURL

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterator

    from iterlog.reports import Lag
    from iterlog.store import HistoryStore


@dataclass(frozen=True)
class Verified:
    """What a sync proved.

    Attributes:
        lines: How many lines of the source the destination holds, which is all of them.
        plain_bytes: Their bytes, newlines included.
        sha256: The SHA-256 of these, read back from the destination, in hex.
    """

    lines: int
    plain_bytes: int
    sha256: str


@dataclass(frozen=True)
class Synced:
    """Where a copy stands after a round.

    Attributes:
        source: The source's URL.
        destination: The destination's URL.
        copied: How many lines this round copied; with ``dry_run``, would copy.
        damaged: How many of them hold no readable record.
        position: The position in the source up to which the destination holds everything.
        lag: What was appended to the source since.
        missing_before: The position in the source before which retention removed records before they could be copied;
            None when there are none that this run knows of.
        verified: What was proven; None when that was not asked for.
    """

    source: str
    destination: str
    copied: int
    damaged: int
    position: Position
    lag: Lag
    missing_before: Position | None = None
    verified: Verified | None = None


def sync(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    verify: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[str, int], None] = lambda _step, _lines: None,
) -> Synced:
    """Append to a copy what it lacks of a source.

    Args:
        source: Path or URL of any history.
        destination: Path or URL of any history: a new one, or an earlier copy of this source.
        verify: Read everything back and compare it with the source, line by line and by SHA-256.
        dry_run: Change nothing, compare what is there, and say how many lines would be copied.
        on_progress: Called now and then with ``"copy"`` or ``"verify"`` and a number of lines done since.

    Raises:
        HistoryNotFoundError: There is no source.
        ConfigError: A URL is wrong, or both are the same history.
        ConflictError: The destination holds what the source does not, and nothing was written; or another sync, or a
            loop, writes to it.
        CorruptionError: With ``verify``: the destination is not what the source is.
        UnavailableError: One of both is away; what was copied stays copied.
    """
    from_url, to_url = _parsed(source, destination)
    with open_history(source, create=False) as history:
        if dry_run:
            return _planned(history, to_url, verify=verify)
        with open_parsed(to_url) as copy:
            bookmarks = BookmarkFile(place_of(from_url), place_of(to_url))
            with _difference_is_damage(verify):
                follower = Follower(history, copy, bookmarks, lambda lines: on_progress("copy", lines))
            copied = follower.catch_up(history)
            verified = _verified(history, copy, follower.position, on_progress) if verify else None
        return _synced(history, str(to_url), follower, copied, follower.damaged, verified)


def follow(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    poll_s: float = 1.0,
    on_progress: Callable[[str, int], None] = lambda _step, _lines: None,
) -> Generator[Synced]:
    """Keep a copy up with a source for good; yield after the first round and each that mattered.

    A round matters when it copied something or ended an outage. A storage that goes away is logged once and tried again
    with growing pauses. Closing the iterator ends it.

    Args:
        source: As of `sync`.
        destination: As of `sync`.
        poll_s: Seconds between two looks at the source.
        on_progress: As of `sync`.

    Raises:
        UnavailableError: One of both was away from the beginning. Else as `sync`.
    """
    from_url, to_url = _parsed(source, destination)
    chase = Chase(from_url, to_url, lambda lines: on_progress("copy", lines))
    back_off = BackOff()
    away = began = False
    with open_history(source, create=False) as history:
        try:
            while True:
                damaged = chase.follower.damaged if chase.follower is not None else 0
                try:
                    copied = chase.catch_up(history)
                except (UnavailableError, WriteUncertainError) as error:
                    if not began:
                        raise
                    if not away:
                        logger.warning("%s: syncing waits until the storage is back: %s", to_url, error)
                    away = True
                    time.sleep(back_off.pause_s())
                    continue
                if (copied or away or not began) and chase.follower is not None:
                    damaged = max(0, chase.follower.damaged - damaged)
                    yield _synced(history, str(to_url), chase.follower, copied, damaged, None)
                away, began = False, True
                time.sleep(poll_s)
        finally:
            chase.let_go()


def _parsed(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> tuple[HistoryURL, HistoryURL]:
    urls = HistoryURL.parse(source), HistoryURL.parse(destination)
    check_different(*urls)
    return urls


def _synced(
    source: HistoryStore, url: str, follower: Follower, copied: int, damaged: int, verified: Verified | None
) -> Synced:
    lag = lag_behind(source, follower.position)
    return Synced(source.url, url, copied, damaged, follower.position, lag, follower.missing_before, verified)


def _planned(source: HistoryStore, url: HistoryURL, *, verify: bool) -> Synced:
    """Compare what is there, and say what would be copied."""
    try:
        copy = open_parsed(_existing(url))
    except HistoryNotFoundError:
        overlap = Overlap(START)
    else:
        with copy, _difference_is_damage(verify):
            overlap = overlap_of(source, copy)
    lag = lag_behind(source, overlap.source_position)
    return Synced(source.url, str(url), lag.records, 0, overlap.source_position, lag)


def _existing(url: HistoryURL) -> HistoryURL:
    return replace(url, keywords={**url.keywords, "create": False})


def _verified(
    source: HistoryStore, copy: HistoryStore, until: Position, on_progress: Callable[[str, int], None]
) -> Verified:
    with _difference_is_damage(True):
        begins = overlap_of(source, copy).begins
    proof = Proof(source, copy, begins)
    proof.go_on(until, lambda lines: on_progress("verify", lines))
    return Verified(proof.lines, proof.plain_bytes, proof.sha256)


@contextlib.contextmanager
def _difference_is_damage(wanted: bool) -> Iterator[None]:
    """Let a difference between the two be what it is to who asked for a proof: damage."""
    try:
        yield
    except DivergedError as error:
        if not wanted:
            raise
        raise CorruptionError(error.message, url=error.url) from error
