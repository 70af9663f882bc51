"""Making the next commit, once, whatever the store answers.

Creating the object of the next number is the commit. "It exists" proves nothing about who wrote it, for clients resend
by themselves and answers get lost; so after any answer but success the object is looked at: ours, it is committed;
another's, the race is lost and the next number is tried; none, the same bytes are sent to the same name again. No other
number is tried while one is undecided. Past a deadline nobody can know, and the handle does no more.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from iterlog.errors import (
    ConflictError,
    CorruptionError,
    IterlogError,
    RecordError,
    UnavailableError,
    UnsupportedOperationError,
    WriteUncertainError,
)
from iterlog.remote.answers import answered
from iterlog.remote.client import (
    MAX_OBJECT,
    MissingObjectError,
    ObjectExistsError,
    RefusedError,
    UndecidedError,
)
from iterlog.remote.commits import append_body, fence_body, parse_commit
from iterlog.remote.layout import BOUNDARIES, BUCKET, LAST_COMMIT, MARKER, PROBE, bucket_of, buckets_in, commit_key
from iterlog.remote.tail import ASLEEP_S, Tail, find_tail, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from iterlog.remote.client import ObjectClient
    from iterlog.remote.commits import Commit

_T = TypeVar("_T")

FORMAT = 1
DEADLINE_S = 120.0
"""How long a commit may stay undecided."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 4.0
_SENDS_WHEN_AWAY = 4
_AWAY_PATIENCE_S = 3.0
_LONGEST_BACKOFF_S = 1.0
_STEPS_BEFORE_A_LOOK = 8

_proven: set[str] = set()
"""Stores, with their roots, that refused to create what was there; the same for all handles of a process."""


class Committer:
    """Appends to one history, for one handle.

    Args:
        client: The store.
        url: How errors name the history.
        commits_from: Reads the commits from a number on, wherever they stand by now.
        deadline_s: How long a commit may stay undecided, in seconds.
    """

    def __init__(
        self,
        client: ObjectClient,
        url: str,
        *,
        commits_from: Callable[[int], Iterable[Commit]],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._client = client
        self._url = url
        self._commits_from = commits_from
        self._deadline_s = deadline_s
        self._lock = threading.RLock()
        self._tail: Tail | None = None
        self._checked = False
        self._fence = -1
        self._end: str | None = None  # why this handle does no more
        self._end_kind: type[ConflictError | WriteUncertainError] = WriteUncertainError

    @property
    def tail(self) -> Tail | None:
        """The end of the history as this handle knows it; None before it looked."""
        return self._tail

    def append(self, make: Callable[[int], Sequence[bytes]]) -> int:
        """Commit ``make(n)``, ``n`` being the next iteration number; return the number of the commit.

        Raises:
            ConflictError: Another handle took the history over since this one did.
            UnavailableError: The store refused; nothing was written.
            WriteUncertainError: It may have been written, and this handle cannot find out.
            RecordError: The lines are longer than an object may be.
            UnsupportedOperationError: The store does not refuse to create what is there.
        """
        with self._lock:
            tail = self._ready()
            return self._commit(lambda tail: append_body(make(tail.next_number), tail.next_number)[0], tail).number

    def take_over(self) -> Tail:
        """Commit a fence, unless the newest one is this handle's; return the end of the history before it.

        Raises:
            What `append` raises.
        """
        with self._lock:
            # What was read long ago may be damaged by now: the newest record is read again.
            if self._tail is not None:
                self._tail = replace(self._tail, commits=())
            tail = self._ready(look=True)
            if self._fence < 0:
                tail = self._commit(lambda tail: fence_body(tail.number + 1, tail.next_number, tail.last), tail)
                self._fence = tail.number
            return tail

    def end(self) -> Tail:
        """Return the end of the history as it is now: one request when nothing came since this handle looked.

        Raises:
            ConflictError: Another handle took the history over since this one did.
            UnavailableError: The store cannot be read.
        """
        with self._lock:
            return self._look() if self._tail is None else self._catch_up(self._tail)

    def wait(self, seconds: float) -> None:
        """Wait, so long at most, for what another thread is appending."""
        if self._lock.acquire(timeout=seconds):
            self._lock.release()

    def forget(self) -> None:
        """Start anew in a forked child: what was claimed is the parent's."""
        self._lock = threading.RLock()
        self._tail, self._fence = None, -1

    # one commit

    def _commit(self, body_behind: Callable[[Tail], bytes], tail: Tail) -> Tail:
        losses = 0
        while True:
            if tail.number >= LAST_COMMIT:
                raise UnsupportedOperationError("its names leave no number for another commit", url=self._url)
            body = body_behind(tail)
            if len(body) > MAX_OBJECT:
                raise RecordError(f"an append of {len(body):,} bytes is too long for one object, {MAX_OBJECT:,}")
            number, known_at, sent_at = tail.number + 1, tail.known_at, now()
            stored = self._create(number, body)
            if stored is None:
                if now() - known_at > ASLEEP_S and not self._surely_stands(number, body):
                    tail = self._look()
                    continue
                return self._advance(tail, number, body, sent_at)
            # Who slept and finds another's commit may be watching its bucket go: what is free behind it proves nothing.
            tail = self._advance(tail, number, stored, known_at)
            losses += 1
            time.sleep(random.uniform(0, min(_FIRST_PAUSE_S * 2**losses, _LONGEST_BACKOFF_S)))  # noqa: S311 - jitter
            # Others go on meanwhile: who does not look right before it creates loses to who never waits.
            tail = self._catch_up(tail)

    def _create(self, number: int, body: bytes) -> bytes | None:
        """Create a commit; return None once it stands, or the bytes of the one that stands in its place."""
        key = commit_key(number)
        began, pause, sends, undecided = time.monotonic(), _FIRST_PAUSE_S, 0, False
        while True:
            sends += 1
            try:
                self._client.create(key, body)
            except (ObjectExistsError, UndecidedError):
                undecided = True
            except RefusedError as error:
                waited = time.monotonic() - began
                if not undecided and (not error.again or sends >= _SENDS_WHEN_AWAY or waited > _AWAY_PATIENCE_S):
                    raise error.error from error
            else:
                return None
            if undecided:
                stored = self._looked_at(key)
                if stored is not None:
                    return None if stored == body else stored
            if time.monotonic() - began > self._deadline_s:
                raise self._uncertain(number)
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _looked_at(self, key: str) -> bytes | None:
        """Return what stands under a name; None when nothing does, or nobody can tell."""
        try:
            return self._client.get(key, patient=False)
        except (MissingObjectError, UndecidedError, RefusedError):
            return None

    def _uncertain(self, number: int) -> WriteUncertainError:
        self._end_kind = WriteUncertainError
        self._end = (
            f"commit {number:,} may have been written, and for {self._deadline_s:.0f} s the store gave no answer that "
            "tells; open the history again and read its end before writing the record again"
        )
        return WriteUncertainError(self._end, url=self._url)

    def _advance(self, tail: Tail, number: int, body: bytes, known_at: float) -> Tail:
        return self._tail_behind(tail, parse_commit(number, body), known_at)

    def _tail_behind(self, tail: Tail, commit: Commit, known_at: float) -> Tail:
        self._tail = tail.behind(commit, known_at)
        if commit.fence is not None and 0 <= self._fence < commit.number:
            self._taken_over(commit.fence.by)
        return self._tail

    def _taken_over(self, by: str) -> None:
        self._end_kind = ConflictError
        self._end = (
            f"another loop took this history over ({by}); nothing was written; resume() in a new handle to go on"
        )
        raise ConflictError(self._end, url=self._url)

    def _surely_stands(self, number: int, body: bytes) -> bool:
        """Return what `_stands` does; it was created, so no failure to find out means that nothing was written."""
        began, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                return self._stands(number, body)
            except ConflictError:
                raise
            except IterlogError as error:
                if time.monotonic() - began > self._deadline_s:
                    raise self._uncertain(number) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _stands(self, number: int, body: bytes) -> bool:
        """Whether a commit made after a long pause counts: not when its bucket was collected before."""
        collected = self._asked(lambda: buckets_in(entry.name for entry in self._client.entries(BOUNDARIES)))
        if not collected or bucket_of(number) > collected[-1]:
            return True
        # Nobody reads it there: the bucket's segment stands for all its commits.
        self._asked(lambda: self._client.remove([commit_key(number)]))
        ours = parse_commit(number, body)
        for commit in self._commits_from(number):
            if commit == ours:
                return True  # it was sealed with the others: it had been made, and the answer was what came late
            if commit.fence is not None and 0 <= self._fence < commit.number:
                self._taken_over(commit.fence.by)
            if self._fence < 0:
                break
        return False

    # before the first one

    def _ready(self, *, look: bool = False) -> Tail:
        if self._end is not None:
            raise self._end_kind(self._end, url=self._url)
        tail = self._tail
        if tail is None:
            tail = self._look()
        elif look:
            tail = self._catch_up(tail)
        if not look or tail.number < 0:
            self._check_store()
        return tail

    def _look(self) -> Tail:
        found = self._asked(lambda: find_tail(self._client))
        if self._tail is None or found.number >= self._tail.number:  # a listing may be behind, and an end only grows
            self._tail = found
        return self._tail

    def _catch_up(self, tail: Tail) -> Tail:
        """Read what was committed since; one request when that is nothing."""
        if now() - tail.known_at > ASLEEP_S:
            if self._fence < 0:
                return self._look()
            known_at = now()
            for commit in self._commits_from(tail.number + 1):
                tail = self._tail_behind(tail, commit, known_at)
        steps = 0
        while True:
            steps += 1
            if steps == _STEPS_BEFORE_A_LOOK and self._fence < 0:
                tail = self._look()  # who took the history over has to see each commit: one may be a fence
            known_at, number = now(), tail.number + 1
            try:
                body = self._asked(lambda number=number: self._client.get(commit_key(number)))  # type: ignore[misc] # mypy infers no lambda with a default
            except UnavailableError as error:
                if isinstance(error.__cause__, MissingObjectError):
                    return tail
                raise
            tail = self._advance(tail, number, body, known_at)

    def _check_store(self) -> None:
        """Prove, once, that the store refuses to create what is there, and that the history is of a known format."""
        if self._client.identity not in _proven:
            self._asked(self._prove)
            _proven.add(self._client.identity)
        if not self._checked:
            self._asked(self._check_marker)
            self._checked = True

    def _prove(self) -> None:
        for _ in range(2):
            if not self._created(PROBE, b"the second attempt to create this is refused\n"):
                return
        raise UnsupportedOperationError(
            "this store creates an object over one that is there, so that two writers would overwrite each other's "
            "records; use a store that knows If-None-Match (see docs/s3.md), or a local history and `iterlog sync`",
            url=self._url,
        )

    def _check_marker(self) -> None:
        try:
            text = self._client.get(MARKER)
        except MissingObjectError:
            fields = {"iterlog": "history", "format": FORMAT, "id": os.urandom(8).hex(), "records_per_bucket": BUCKET}
            self._created(MARKER, json.dumps(fields).encode() + b"\n")
            text = self._client.get(MARKER)  # another writer's, perhaps
        try:
            marker = json.loads(text)
            known = (marker["format"], marker["records_per_bucket"]) == (FORMAT, BUCKET)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CorruptionError(f"the object {MARKER} is damaged ({error})", url=self._url) from error
        if not known:
            raise UnsupportedOperationError(
                "a newer iterlog made this history; update iterlog to write to it", url=self._url
            )

    def _created(self, key: str, data: bytes) -> bool:
        """Create an object that is the same whoever makes it; return whether there was none."""
        began, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                self._client.create(key, data)
            except ObjectExistsError:
                return False
            except UndecidedError as error:
                if time.monotonic() - began > self._deadline_s:
                    raise UnavailableError(f"{error}; nothing was written", url=self._url) from error
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                return True

    def _asked(self, ask: Callable[[], _T]) -> _T:
        return answered(ask, self._url)
