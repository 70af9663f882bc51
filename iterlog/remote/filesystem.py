"""Asking an object store through fsspec, with four of its calls: ``pipe_file``, ``cat_file``, ``ls`` and ``rm``.

Never ``open`` for writing: an exception, ``del`` or the interpreter's end would publish half a file.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from iterlog.remote.causes import FINAL, Cause, cause_of, detail_of, error_of
from iterlog.remote.client import (
    Counter,
    Entry,
    MissingObjectError,
    ObjectExistsError,
    RefusedError,
    UndecidedError,
)
from iterlog.remote.kinds import AZURE, GOOGLE
from iterlog.remote.protocols import KEPT_ALIVE_S, Patience
from iterlog.remote.sharing import name_of, shared_file_system
from iterlog.remote.wire import deletes_of, lists_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fsspec import AbstractFileSystem

    from iterlog.remote.sharing import Shared

_T = TypeVar("_T")

_AWAY_PATIENCE_S = 3.0
_BUSY_PATIENCE_S = 20.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_LARGE = 1 << 20
_SILENT_ABOUT_BUCKETS = AZURE | GOOGLE
"""Protocols where listing a missing bucket looks like listing an empty one."""

_OF_PATTERNS = frozenset("*?[")

_MODIFIED = ("LastModified", "last_modified", "mtime", "updated", "created")


class FilesystemClient:
    """An object store below one root, through an fsspec file system; see `iterlog.remote.client.ObjectClient`.

    Args:
        protocol: fsspec's name of the store.
        root: Bucket and prefix.
        url: How errors name the history.
        options: Storage options for the file system; they win over what is set here.
        patience: How long requests may take.
        given: A file system to use as it is, instead of one by protocol and options.

    Raises:
        MissingDependencyError: The store's package is not installed.
        ConfigError: The options do not fit.
        UnsupportedOperationError: The file system is none for a history.
        AccessDeniedError: There are no credentials.
    """

    def __init__(
        self,
        protocol: str,
        root: str,
        url: str,
        *,
        options: Mapping[str, object],
        patience: Patience,
        given: AbstractFileSystem | None = None,
    ) -> None:
        self._protocol = protocol
        self._root = root.rstrip("/")
        self._url = url
        self._given = given
        self._options = dict(options)
        self._patience = patience
        # fsspec takes what it removes in bulk for patterns: "run[1]" would be the objects of "run1".
        self._is_plain = given is None and _OF_PATTERNS.isdisjoint(self._root)
        self._name = name_of(protocol, {**options, "": patience}, given)
        self.identity = f"{self._name} {self._root}"
        self.counter = Counter()
        self._used: dict[int, Shared] = {}  # by process
        self._bucket_stands = False
        self._shared()  # what is wrong with the options shows at once

    def create(self, key: str, data: bytes) -> None:
        """Create an object where none stands; see `ObjectClient.create`."""
        shared = self._shared()
        self.counter.add(puts=1, bytes_sent=len(data))
        began, answered_at, before = time.monotonic(), shared.answered_at, sys.exception()
        try:
            with shared.creating:
                _allow_large(data)
                shared.check_open()
                shared.system.pipe_file(self._path(key), data, mode="create")
                shared.check_open()
        except Exception as error:
            # No connection there was, nor one that another thread just gave back, can have carried it.
            fresh = began - answered_at > KEPT_ALIVE_S and shared.answered_at == answered_at and self._given is None
            raise self._not_created(error, before, fresh=fresh) from error
        finally:
            shared.answered_at = time.monotonic()
        self.counter.add(objects=1)

    def get(self, key: str, *, patient: bool = True) -> bytes:
        """Return an object's bytes; see `ObjectClient.get`."""
        return self._read(lambda system: system.cat_file(self._path(key), start=0), patient=patient)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Return some bytes of an object; see `ObjectClient.get_range`."""
        return self._read(lambda system: system.cat_file(self._path(key), start=start, end=end))

    def entries(self, folder: str) -> list[Entry]:
        """Return what stands in a folder; see `ObjectClient.entries`."""
        path = self._path(folder)

        def listed(system: AbstractFileSystem) -> list[Entry]:
            found = system.ls(path, detail=True, **self._shared().fresh_listing)
            self._count_rest(lists_of(self._protocol, len(found)))
            return [_entry_of(each) for each in found if _parent_of(each) == path]

        try:
            return self._asked(listed, {"lists": 1}, [])
        except MissingObjectError:
            self._count_rest(lists_of(self._protocol, None))
            self._check_bucket()
            return []

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; see `ObjectClient.remove`."""
        if len(keys) > 1 and self._is_plain:
            try:
                counts = deletes_of(self._protocol, len(keys))
                self._asked(lambda system: system.rm([self._path(key) for key in keys]), counts, None)
            except MissingObjectError:
                pass  # one of them, and what became of the others is not known
            else:
                return
        for key in keys:
            with contextlib.suppress(MissingObjectError):
                self._asked(lambda system, key=key: system.rm_file(self._path(key)), {"deletes": 1}, None)  # type: ignore[misc] # mypy infers no lambda with a default

    def close(self) -> None:
        """Let go of the file system; the last one who uses it closes its connections."""
        shared = self._used.pop(os.getpid(), None)
        if shared is not None:
            shared.leave()

    # how a request is made

    def _count_rest(self, counts: dict[str, int]) -> None:
        self.counter.add(**{**counts, "lists": counts["lists"] - 1})

    def _check_bucket(self) -> None:
        """Tell a folder that is missing from a bucket that is: s3fs does in its answer, the others are asked once."""
        bucket = self._root.partition("/")[0]
        if self._bucket_stands or self._protocol not in _SILENT_ABOUT_BUCKETS:
            return
        try:
            self._asked(lambda system: system.info(bucket), {"gets": 1}, None)
        except MissingObjectError as error:
            raise self._refusal(Cause.NO_BUCKET, "", again=False) from error
        except RefusedError:
            pass  # who may write objects may not always look at buckets
        self._bucket_stands = True

    def _read(self, ask: Callable[[AbstractFileSystem], bytes], *, patient: bool = True) -> bytes:
        data = bytes(self._asked(ask, {"gets": 1}, b"", patient=patient))
        self.counter.add(bytes_received=len(data))
        return data

    def _asked(
        self, ask: Callable[[AbstractFileSystem], _T], counts: dict[str, int], empty: _T, *, patient: bool = True
    ) -> _T:
        """Make a request that changes nothing when it is made again, until it is answered or time is up."""
        before = sys.exception()
        began, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            shared = self._shared()
            self.counter.add(**counts)
            try:
                shared.check_open()
                answer = ask(shared.system)
                shared.check_open()
            except Exception as error:
                cause = Cause.UNKNOWN if shared.ended else cause_of(error, before)
                shared.works = shared.works or cause in {Cause.MISSING, Cause.EMPTY}
                if cause is Cause.MISSING:
                    raise MissingObjectError from error
                if cause is Cause.EMPTY:
                    return empty
                waited = time.monotonic() - began
                allowed = _AWAY_PATIENCE_S if cause is Cause.AWAY else _BUSY_PATIENCE_S
                # Later on, such an error is the client's: its first request is where it looks at all its options.
                final = cause in FINAL or (cause is Cause.OPTIONS and not shared.works)
                if not patient or final or shared.ended or waited + pause > allowed:
                    raise self._refusal(cause, detail_of(error, before), again=not final) from error
            else:
                shared.works = True
                return answer
            finally:
                shared.answered_at = time.monotonic()
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _not_created(self, error: Exception, before: BaseException | None, *, fresh: bool) -> Exception:
        cause = cause_of(error, before)
        if cause is Cause.EXISTS:
            return ObjectExistsError()
        # A bucket that is missing shows as a missing key here.
        cause = Cause.NO_BUCKET if cause is Cause.MISSING else cause
        if cause in FINAL or (cause is Cause.AWAY and fresh):
            return self._refusal(cause, detail_of(error, before), again=cause is Cause.AWAY)
        return UndecidedError(f"{cause.value} ({detail_of(error, before)})")

    def _refusal(self, cause: Cause, detail: str, *, again: bool) -> RefusedError:
        return RefusedError(error_of(cause, detail, self._url), again=again)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _shared(self) -> Shared:
        pid = os.getpid()
        shared = self._used.get(pid)
        if shared is None:
            shared = self._used[pid] = shared_file_system(
                self._name, self._protocol, self._options, self._patience, self._given, self._url
            )
        return shared


def _allow_large(data: bytes) -> None:
    """Keep aiohttp from warning of a large object, which is an error where Python makes errors of warnings."""
    if len(data) > _LARGE:
        warnings.filterwarnings("ignore", "Sending a large body directly", ResourceWarning)


def _parent_of(found: Mapping[str, Any]) -> str:
    return str(found["name"]).strip("/").rpartition("/")[0]


def _entry_of(found: Mapping[str, Any]) -> Entry:
    name = str(found["name"]).rstrip("/").rpartition("/")[2]
    modified: dt.datetime | None = None
    for key in _MODIFIED:
        moment = found.get(key)
        if isinstance(moment, str):
            modified = _parsed(moment)
        elif isinstance(moment, int | float):
            modified = dt.datetime.fromtimestamp(moment, dt.UTC)
        elif hasattr(moment, "tzinfo"):
            modified = moment
        if modified is not None:
            break
    return Entry(name, int(found.get("size") or 0), modified)


def _parsed(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None
