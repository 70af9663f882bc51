"""Where records go while a history cannot take them: a local file, merged in order and once when it can again.

The file is a JSONL history of its own, as durable as any. The first place that works is used: beside a history in a
local file, else the user's state directory, else the temporary directory.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from iterlog.errors import IterlogError, UnavailableError
from iterlog.position import Durability
from iterlog.reader import logger
from iterlog.registry import open_history

if TYPE_CHECKING:
    from iterlog.record import IterationRecord
    from iterlog.store import HistoryStore
    from iterlog.url import HistoryURL


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
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with open_history(place, durability="sync", network_fs="allow") as store:
                    store.append(record)
            except (IterlogError, OSError) as error:
                refusals.append(f"{place}: {error}")
            else:
                return place
        raise UnavailableError(f"no fallback file could be written ({'; '.join(refusals)})", url=self._url)

    def records(self) -> list[IterationRecord]:
        """Return what is kept, oldest first; a place that cannot be read is logged and passed over."""
        kept: list[list[IterationRecord]] = []
        for place in self._places:
            try:
                if place.is_file():
                    with open_history(place, create=False) as store:
                        kept.append(list(store))
            except (IterlogError, OSError) as error:
                logger.error("%s: the fallback file %s cannot be read: %s", self._url, place, error)
        # Places are used one after the other, so their records follow one another as a whole.
        kept = sorted(filter(None, kept), key=lambda records: str(records[0].timestamp))
        return [record for records in kept for record in records]

    def merge_into(self, history: HistoryStore) -> int:
        """Append what is kept to the history, in order and once, and return how many records that were.

        A record that is already there, because an earlier merge or append was cut off after writing it, is recognised
        by its ``id``.

        Raises:
            IterlogError: As ``history.extend``; everything is still kept.
        """
        from iterlog.files.durable import sync_directory  # noqa: PLC0415 - needs POSIX, like every local file
        from iterlog.files.lockfile import LockFile  # noqa: PLC0415

        merged = 0
        for place in self._places:
            if not place.is_file():
                continue
            with open_history(place, network_fs="allow") as store:
                store.repair()
                # Under the file's own append lock, so that no other process keeps a record between reading and
                # removing, and no two merge at once.
                lock = LockFile(f"{store.url}.lock", self._url)
                lock.acquire()
                try:
                    owed = _without_known(list(store), history)
                    if owed:
                        history.extend(owed, durability=Durability.SYNC)
                    with suppress(FileNotFoundError):
                        place.unlink()
                        sync_directory(str(place.parent))
                finally:
                    lock.close()
            merged += len(owed)
        return merged


def _without_known(records: list[IterationRecord], history: HistoryStore) -> list[IterationRecord]:
    """Leave out the records that the history already has."""
    wanted = {record.id for record in records if record.id is not None}
    known = {record.id for record in history if record.id in wanted} if wanted else set()
    return [record for record in records if record.id not in known]


def _places(url: HistoryURL) -> list[Path]:
    name = f"fallback-{hashlib.sha256(_identity(url).encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.jsonl"
    state = Path(os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()) / "iterlog" / name
    temporary = Path(tempfile.gettempdir()) / f"iterlog-{os.getuid() if hasattr(os, 'getuid') else 'user'}" / name
    if url.scheme in {"file", "jsonl"}:
        path = os.path.realpath(url.path)
        return [Path(f"{path}.fallback"), state, temporary]
    return [state, temporary]


def _identity(url: HistoryURL) -> str:
    return os.path.realpath(url.path) if url.scheme in {"file", "jsonl"} else str(url)
