"""Where records go while a history cannot take them: a local file, merged in order and once when it can again.

The last resort of the three functions in `iterlog.loop`: for local histories, which fail at once and whole, and for a
spool (see `iterlog.spool`) whose own disk fails. Nothing stands beside a history whose storage works.

The file is a JSONL history of its own, as durable as any. The first place that works is used: beside a history in a
local file, else the user's state directory, else the temporary directory. The last two are used only when no other
user could have written there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
import os
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from iterlog.errors import HistoryNotFoundError, IterlogError, UnavailableError
from iterlog.lines import DamagedLineError, decode_line, salvage
from iterlog.places import check_private, state_directory
from iterlog.position import Durability
from iterlog.reader import logger
from iterlog.registry import open_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iterlog.record import IterationRecord
    from iterlog.store import HistoryStore
    from iterlog.url import HistoryURL

# Every option is given, so that nothing in the environment reaches the last resort.
_OPTIONS = {"durability": "sync", "on_damage": "skip", "write": "append", "network_fs": "allow"}
_BEGINNING = dt.datetime.min.replace(tzinfo=dt.UTC)


class _Place(NamedTuple):
    path: Path
    private: bool
    """Whether the directory must belong to this user alone, because others could have made it."""


class Fallback:
    """The records a history is still owed.

    Args:
        url: The history's URL.
    """

    def __init__(self, url: HistoryURL) -> None:
        self._url = str(url)
        self._places = _places(url)

    def keep(self, record: IterationRecord) -> Path:
        """Store a record durably and return where.

        Raises:
            UnavailableError: No place took it.
        """
        refusals = []
        for place in self._places:
            try:
                place.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if place.private:
                    check_private(place.path.parent)
                with open_history(place.path, create=True, **_OPTIONS) as store:
                    store.append(record)
            except (IterlogError, OSError) as error:
                refusals.append(f"{place.path}: {error}")
            else:
                return place.path
        raise UnavailableError(f"no fallback file could be written ({'; '.join(refusals)})", url=self._url)

    def records(self) -> list[IterationRecord]:
        """Return what is kept, oldest first; a place that cannot be read is logged and passed over."""
        kept = []
        for place in self._existing():
            with self._logged(place), open_history(place.path, create=False, **_OPTIONS) as store:
                kept.append(list(store))
        return _in_order(kept)

    def merge_into(self, history: HistoryStore) -> int:
        """Append what is kept to the history, in order and once, and return how many records that were.

        A record that is already there, because an earlier merge or append was cut off after writing it, is recognised
        by its ``id``. A place that cannot be read is logged and passed over; its records wait for another process.

        Raises:
            IterlogError: As ``history.extend``; everything is still kept.
        """
        from iterlog.files.lockfile import LockFile  # noqa: PLC0415 - needs POSIX, like every local file

        with ExitStack() as held:
            read: list[_Place] = []
            kept: list[list[IterationRecord]] = []
            for place in self._existing():
                with self._logged(place), open_history(place.path, create=False, **_OPTIONS) as store:
                    store.repair()
                    # Under the file's own append lock, so that no other process keeps a record between reading and
                    # removing, and no two merge at once.
                    lock = LockFile(f"{os.path.realpath(place.path)}.lock", self._url)
                    held.callback(lock.close)
                    lock.acquire()
                    kept.append(list(store))
                    read.append(place)
            owed = without_known(_in_order(kept), history)
            if owed:
                history.extend(owed, durability=Durability.SYNC)
            for place in read:
                with self._logged(place):
                    _remove(place.path)
        return len(owed)

    def _existing(self) -> Iterator[_Place]:
        for place in self._places:
            with self._logged(place):
                if place.path.is_file():
                    if place.private:
                        check_private(place.path.parent)
                    yield place

    def _logged(self, place: _Place) -> _Logged:
        return _Logged(self._url, place)


class _Logged:
    """Logs what is wrong with one place and goes on without it; one that another process has emptied is fine."""

    def __init__(self, url: str, place: _Place) -> None:
        self._url = url
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, IterlogError | OSError) and not isinstance(error, HistoryNotFoundError):
            logger.error("%s: the fallback file %s is passed over: %s", self._url, self._place.path, error)
        return isinstance(error, IterlogError | OSError)


def without_known(records: list[IterationRecord], history: HistoryStore) -> list[IterationRecord]:
    """Leave out the records that the history already has, and what comes twice."""
    wanted = {record.id for record in records if record.id is not None}
    known = _ids(history) & wanted if wanted else set()
    fresh = []
    for record in records:
        if record.id is None or record.id not in known:
            fresh.append(record)
            known.add(record.id or "")
    return fresh


def _ids(history: HistoryStore) -> set[str]:
    ids = set()
    for _, line in history.lines():  # not the records: with on_damage=raise a damaged line would end the search
        try:
            record: IterationRecord | None = decode_line(line)
        except DamagedLineError:
            record = salvage(line)
        if record is not None and record.id is not None:
            ids.add(record.id)
    return ids


def _in_order(kept: Iterable[list[IterationRecord]]) -> list[IterationRecord]:
    """Bring the records of all places together by time, never changing the order within one."""
    return list(heapq.merge(*kept, key=lambda record: record.timestamp or _BEGINNING))


def _remove(path: Path) -> None:
    """Remove a file whose records are merged; one with damage is set aside, because it holds more than those."""
    from iterlog.files.durable import sync_directory  # noqa: PLC0415 - as above

    with open_history(path, create=False, **_OPTIONS) as store:
        whole = store.verify().ok
    if whole:
        path.unlink()
    else:
        aside = f"{path}.damaged-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}"
        path.rename(aside)
        logger.warning("%s: the fallback file had damaged lines; it is kept as %s", path, aside)
    sync_directory(str(path.parent))


def _places(url: HistoryURL) -> list[_Place]:
    identity, beside = str(url), []
    if url.scheme in {"file", "jsonl"}:
        identity = url.path
        with suppress(OSError):  # the current directory is gone
            identity = os.path.realpath(url.path)
            # Under the path as it is given, too: it was the file's own before that was turned into a rotating set.
            names = dict.fromkeys((identity, os.path.abspath(url.path)))  # noqa: PTH100 - resolves no links
            beside = [_Place(Path(f"{name}.fallback"), private=False) for name in names]
    name = f"fallback-{hashlib.sha256(identity.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.jsonl"
    return [*beside, *(_Place(directory / name, private=True) for directory in _directories())]


def _directories() -> Iterator[Path]:
    with suppress(UnavailableError):  # a user without a home
        yield state_directory()
    temporary = "/tmp"  # noqa: S108 - only when even looking for one fails, as it does on a full disk
    with suppress(OSError):
        temporary = tempfile.gettempdir()
    yield Path(temporary) / f"iterlog-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
