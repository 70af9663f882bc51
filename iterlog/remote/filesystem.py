"""Asking an object store through fsspec, with four of its calls: ``pipe_file``, ``cat_file``, ``ls`` and ``rm``.

Never ``open`` for writing: an exception, ``del`` or the interpreter's end would publish half a file. One file system a
process and set of options, whatever the number of handles; a forked child makes its own.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
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
from iterlog.remote.protocols import (
    KEPT_ALIVE_S,
    SILENT_ABOUT_BUCKETS,
    Patience,
    make_filesystem,
    protocols_of,
    with_defaults,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from fsspec import AbstractFileSystem

_T = TypeVar("_T")

_PAGE = 1000
_AWAY_PATIENCE_S = 3.0
_BUSY_PATIENCE_S = 20.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
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
        self._options = with_defaults(protocol, options, patience)
        self._key = f"{protocol} {sorted(self._options.items())!r}" if given is None else f"given {id(given)}"
        self.identity = f"{self._key} {self._root}"
        self.counter = Counter()
        self._used: dict[int, _Shared] = {}  # by process
        self._bucket_stands = False

    def create(self, key: str, data: bytes) -> None:
        """Create an object where none stands; see `ObjectClient.create`."""
        shared = self._shared()
        self.counter.add(puts=1, bytes_sent=len(data))
        fresh = time.monotonic() - shared.answered_at > KEPT_ALIVE_S
        try:
            with shared.creating:
                shared.system.pipe_file(self._path(key), data, mode="create")
        except Exception as error:
            raise self._not_created(error, fresh=fresh) from error
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

        def listed(system: AbstractFileSystem) -> list[Entry]:
            found = system.ls(self._path(folder), detail=True)
            self.counter.add(lists=max(0, (len(found) - 1) // _PAGE))  # the pages behind the first
            return [_entry_of(each) for each in found]

        try:
            return self._asked(listed, {"lists": 1}, [])
        except MissingObjectError:
            self._check_bucket()
            return []

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; see `ObjectClient.remove`."""
        if not keys:
            return
        try:
            self._asked(lambda system: system.rm([self._path(key) for key in keys]), {"deletes": 1}, None)
        except MissingObjectError:
            for key in keys if len(keys) > 1 else ():
                self.remove([key])

    def close(self) -> None:
        """Let go of the file system; the last one who uses it closes its connections."""
        shared = self._used.pop(os.getpid(), None)
        if shared is not None:
            shared.leave()

    # how a request is made

    def _check_bucket(self) -> None:
        """Tell a folder that is missing from a bucket that is: s3fs does in its answer, the others are asked once."""
        bucket = self._root.partition("/")[0]
        if self._bucket_stands or self._protocol not in SILENT_ABOUT_BUCKETS:
            return
        try:
            self._asked(lambda system: system.info(bucket), {"gets": 1}, None)
        except MissingObjectError as error:
            raise self._refusal(Cause.NO_BUCKET, error, again=False) from error
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
        shared = self._shared()
        began, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            self.counter.add(**counts)
            try:
                return ask(shared.system)
            except Exception as error:
                cause = cause_of(error)
                if cause is Cause.MISSING:
                    raise MissingObjectError from error
                if cause is Cause.EMPTY:
                    return empty
                waited = time.monotonic() - began
                allowed = _AWAY_PATIENCE_S if cause is Cause.AWAY else _BUSY_PATIENCE_S
                if not patient or cause in FINAL or waited + pause > allowed:
                    raise self._refusal(cause, error, again=cause not in FINAL) from error
            finally:
                shared.answered_at = time.monotonic()
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _not_created(self, error: Exception, *, fresh: bool) -> Exception:
        cause = cause_of(error)
        if cause is Cause.EXISTS:
            return ObjectExistsError()
        # A bucket that is missing shows as a missing key here.
        cause = Cause.NO_BUCKET if cause is Cause.MISSING else cause
        if cause in FINAL or (cause is Cause.AWAY and fresh):
            return self._refusal(cause, error, again=cause is Cause.AWAY)
        return UndecidedError(f"{cause.value} ({detail_of(error)})")

    def _refusal(self, cause: Cause, error: Exception, *, again: bool) -> RefusedError:
        return RefusedError(error_of(cause, detail_of(error), self._url), again=again)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _shared(self) -> _Shared:
        pid = os.getpid()
        shared = self._used.get(pid)
        if shared is None:
            shared = self._used[pid] = _shared_by(
                pid, self._key, lambda: self._given or make_filesystem(self._protocol, self._options, self._url)
            )
        return shared


@dataclass
class _Shared:
    """A file system, and who uses it in this process."""

    key: tuple[int, str]
    system: AbstractFileSystem
    creating: Any
    users: int = 0
    answered_at: float = field(default=float("-inf"))

    def leave(self) -> None:
        with _all_lock:
            self.users -= 1
            if self.users:
                return
            _all_shared.pop(self.key, None)


class _NoLock:
    """What a store needs that itself takes one of two who create."""

    def __enter__(self) -> None: ...

    def __exit__(self, *exc_info: object) -> None: ...


_all_lock = threading.Lock()
_all_shared: dict[tuple[int, str], _Shared] = {}


def _shared_by(pid: int, key: str, make: Callable[[], AbstractFileSystem]) -> _Shared:
    with _all_lock:
        shared = _all_shared.get((pid, key))
        if shared is None:
            system = make()
            # fsspec's own memory looks first and writes then; within one process a lock makes one step of it.
            one_step = threading.Lock() if "memory" in protocols_of(system) else _NoLock()
            shared = _all_shared[pid, key] = _Shared((pid, key), system, one_step)
        shared.users += 1
        return shared


def _forget_parents() -> None:
    global _all_lock  # noqa: PLW0603 - another thread of the parent may hold it
    _all_lock = threading.Lock()
    _all_shared.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


def _entry_of(found: Mapping[str, Any]) -> Entry:
    name = str(found["name"]).rstrip("/").rpartition("/")[2]
    modified: dt.datetime | None = None
    for key in _MODIFIED:
        moment = found.get(key)
        if isinstance(moment, str):
            modified = _parsed(moment)
        elif hasattr(moment, "tzinfo"):
            modified = moment
        if modified is not None:
            break
    return Entry(name, int(found.get("size") or 0), modified)


def _parsed(text: str) -> dt.datetime | None:
    import datetime as dt  # noqa: PLC0415 - its name is only a type elsewhere

    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None
