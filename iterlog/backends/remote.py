"""``s3://bucket/prefix``, ``gs://…``, ``az://…``: a history in an object store, one object per append.

Several writers on several machines may append; a loop that calls resume() takes the history over from the one before
it, which may still run somewhere. What the objects are called and why each step is safe, `iterlog.remote` tells.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from iterlog.abilities import SupportsFence, SupportsNumbering, SupportsRequestCounts, SupportsSegments
from iterlog.background import Background
from iterlog.errors import ConfigError, CorruptionError, HistoryNotFoundError, UnsupportedOperationError
from iterlog.lines import holds_record
from iterlog.options import Option, boolean, count, duration
from iterlog.position import Durability, Position
from iterlog.reader import COMMON_OPTIONS, OnDamage, logger
from iterlog.remote.answers import answered
from iterlog.remote.batching import Batch
from iterlog.remote.committing import Committer
from iterlog.remote.endings import watch
from iterlog.remote.filesystem import FilesystemClient
from iterlog.remote.kinds import check_protocol
from iterlog.remote.layout import BUCKET
from iterlog.remote.protocols import Patience, storage_options
from iterlog.remote.reading import CommitReader
from iterlog.remote.sealing import Sealer
from iterlog.remote.tail import Tail, find_tail, newest_number
from iterlog.remote.waiting import decided
from iterlog.reports import Fault, FaultKind
from iterlog.store import HistoryStore

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from iterlog.remote.commits import Commit
    from iterlog.reports import FileChange, Requests
    from iterlog.segments.footer import SegmentFooter
    from iterlog.url import HistoryURL

_LONGEST_POLL_S = 10.0
_LAST_APPEND_S = 5.0
_EASE_OFF = 10  # an idle follower waits a tenth of the time it has waited already
_HIGHEST_LEVEL = 22
_USERINFO = re.compile(r"://[^/]*@")


def _mapping(given: object) -> dict[str, object]:
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    raise ValueError("takes a dict of fsspec's storage options, as a keyword")


def _filesystem(given: object) -> object:
    if given is None or (hasattr(given, "pipe_file") and hasattr(given, "cat_file")):
        return given
    raise ValueError("takes an fsspec file system, as a keyword")


def _texts(given: object) -> dict[str, object]:
    texts = {name: str(value) for name, value in _mapping(given).items()}
    for name, text in texts.items():
        if _USERINFO.search(text):
            raise ValueError(f"takes no credentials, and fs.{name} has some; give them in the environment")
    return storage_options(texts)


def _level(given: object) -> int:
    number = count(given)
    if number > _HIGHEST_LEVEL:
        raise ValueError(f"takes a zstd level from 1 to {_HIGHEST_LEVEL}, not {given!r}")
    return number


class RemoteHistory(HistoryStore, SupportsNumbering, SupportsFence, SupportsSegments, SupportsRequestCounts):
    """A history of objects in a bucket, each the lines of one append.

    A position is the number of commits before it and, within a commit of several lines, the number of lines.
    """

    OPTIONS: ClassVar[Mapping[str, Option]] = {
        **COMMON_OPTIONS,
        "batch_records": Option(count, None, "commit so many records at once; until then they are in memory only"),
        "batch_interval": Option(duration, None, "commit what waits after so long"),
        "level": Option(_level, None, "zstd level of sealed buckets"),
        "collect": Option(boolean, False, "remove commits once they are sealed, proven and a week old"),
        "connect_timeout": Option(duration, None, "how long to try to reach the store; 5s by default"),
        "read_timeout": Option(duration, None, "how long to wait for an answer; 20s by default"),
        "fs.*": Option(_texts, {}, "storage options of fsspec that are no secret, such as fs.endpoint_url"),
        "storage_options": Option(_mapping, {}, "the same as a dict; as a keyword only"),
        "filesystem": Option(_filesystem, None, "an fsspec file system to use instead; as a keyword only"),
    }

    def __init__(
        self,
        url: HistoryURL,
        *,
        batch_records: int | None = None,
        batch_interval: dt.timedelta | None = None,
        level: int | None = None,
        collect: bool = False,
        connect_timeout: dt.timedelta | None = None,
        read_timeout: dt.timedelta | None = None,
        fs: Mapping[str, object] | None = None,
        storage_options: Mapping[str, object] | None = None,
        filesystem: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(url, **options)
        patience = Patience(
            *(
                default if given is None else given.total_seconds()
                for given, default in ((connect_timeout, 5.0), (read_timeout, 20.0))
            )
        )
        protocol = url.scheme.partition("+")[2] or url.scheme
        if filesystem is None:
            check_protocol(protocol, self.url)
        self._client = FilesystemClient(
            protocol,
            _root_of(url),
            self.url,
            options={**(fs or {}), **(storage_options or {})},
            patience=patience,
            given=filesystem,
        )
        self._gaps: dict[Position, str] = {}
        self._reader = CommitReader(self._client, self.url, self._on_missing)
        self._committer = Committer(self._client, self.url, commits_from=self._reader.forward)
        self._sealer = Sealer(self._client, self.url, self._reader, level=level)
        self._collect = collect
        self._batch: Batch | None = None
        if batch_records is not None or batch_interval is not None:
            interval_s = None if batch_interval is None else batch_interval.total_seconds()
            self._batch = Batch(self._commit, self._number_behind, batch_records or BUCKET, interval_s)
        self._background = Background(self._keep)
        self._look = threading.local()
        watch(self)
        if not self._create and self._answered(lambda: newest_number(self._client)) < 0:
            self._close()
            raise HistoryNotFoundError("there is no history at this place", url=self.url)

    # appending

    def _append(self, lines: Sequence[bytes], durability: Durability) -> Position:
        return self._append_numbered(lambda _number: lines, durability)

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:  # noqa: ARG002 - what is committed is durable
        if self._batch is None:
            return Position.of(self._commit(make) + 1)
        tail = self._tail()
        number = self._batch.add(make)
        # Where it will stand is not known before it is committed; behind this position it will.
        return Position.of((tail.number if number is None else number) + 1)

    def _settle_numbers(self) -> None:
        self._flush()  # another writer may take the number that a record was promised here

    def _commit(self, make: Callable[[int], Sequence[bytes]]) -> int:
        number = decided(lambda: self._committer.append(make))
        if number % BUCKET == BUCKET - 1:
            self._background.wake()
        return number

    def _take_over(self) -> None:
        self._flush()
        decided(self._committer.take_over)

    def _flush(self) -> None:
        if self._batch is not None:
            self._batch.flush()

    def _close(self) -> None:
        try:
            self._flush()
        finally:
            if self._batch is not None:
                self._batch.close()
            self._background.close()
            self._committer.wait(_LAST_APPEND_S)
            self._client.close()

    # reading

    def _scan(self, start: Position) -> Iterator[tuple[Position, bytes]]:
        self._flush()
        first = _checked_commit(start, self.url)
        if not first:
            self._gaps.clear()  # all of it is looked at again
        for commit in self._reader.forward(first):
            for position, line in _lines_of(commit):
                if position > start:
                    yield position, line

    def _scan_back(self) -> Iterator[tuple[Position, bytes]]:
        return self._scan_last(1)

    def _scan_last(self, count: int) -> Iterator[tuple[Position, bytes]]:
        self._flush()
        for commit in self._reader.backward(getattr(self._look, "tail", None), count):
            yield from reversed(list(_lines_of(commit)))

    def _scan_for(self, iteration: int) -> Iterator[tuple[Position, bytes]]:
        wanted = b'"iteration":%d' % iteration
        for position, line in self._scan_last(1):  # more at a time, the further back it stands
            if wanted in line:
                yield position, line

    def _count(self) -> int:
        self._flush()
        overview = self._reader.overview()
        records, sealed = 0, set()
        for bucket, footer in zip(overview.segments, self._reader.footers(overview.segments), strict=True):
            if footer is not None:
                records += footer.records
                sealed.add(bucket)
        for bucket in sorted({*overview.logs, *overview.segments} - sealed):
            for commit in self._reader.commits_in(bucket, overview):
                records += sum(map(holds_record, commit.lines))
        return records

    def _unread(self) -> list[Fault]:
        return [Fault(position, FaultKind.MISSING, detail) for position, detail in self._gaps.items()]

    def _next_number(self) -> int:
        tail = getattr(self._look, "tail", None) or self._committer.end()
        return tail.next_number

    @contextlib.contextmanager
    def _one_look(self) -> Iterator[None]:
        self._look.tail = self._tail()
        try:
            yield
        finally:
            self._look.tail = None

    def _pause(self, poll_s: float, idle_s: float) -> float:
        return max(poll_s, min(idle_s / _EASE_OFF, _LONGEST_POLL_S))

    # what only a remote history can do

    @property
    def begins_at(self) -> Position:
        """The beginning: nothing is removed but what a segment holds."""
        return Position.of(0)

    def footers(self) -> Iterator[tuple[Position, SegmentFooter]]:
        """Yield the footer of each sealed bucket, its metric index, oldest first, with the position before it.

        Raises:
            CorruptionError: One cannot be read.
        """
        self._check_open()
        segments = self._reader.overview().segments
        for bucket, footer in zip(segments, self._reader.footers(segments), strict=True):
            if footer is None:
                raise CorruptionError(f"bucket {bucket:,} has no footer that can be read", url=self.url)
            yield Position.of(bucket * BUCKET), footer

    def compact(self, *, recompress: bool = False, dry_run: bool = False) -> Iterator[FileChange]:
        """Seal full buckets, and with ``collect=true`` remove the commits of those sealed a week ago; yield each.

        Args:
            recompress: Refused: a segment is never changed.
            dry_run: Only say what would be done.

        Raises:
            UnsupportedOperationError: ``recompress`` was asked for.
        """
        self._check_open()
        if recompress:
            raise UnsupportedOperationError(
                "a segment in an object store is never changed; leave recompress out", url=self.url
            )
        yield from self._sealer.seal(dry_run=dry_run)
        if self._collect:
            yield from self._sealer.collect(dry_run=dry_run)

    def stats(self) -> Requests:
        """Return what this handle asked of the store so far: requests, bytes, objects."""
        return self._client.counter.so_far()

    # how it is done

    def _tail(self) -> Tail:
        tail = self._committer.tail
        return tail if tail is not None else self._answered(lambda: find_tail(self._client))

    def _number_behind(self) -> int:
        return self._tail().next_number

    def _keep(self, keep_on: Callable[[], bool]) -> None:
        for kept in self._sealer.seal(keep_on):
            logger.info("%s: sealed as %s", self.url, kept.name)
        if self._collect and keep_on():
            for kept in self._sealer.collect():
                logger.info("%s: commits %d to %d are in %s only", self.url, kept.first, kept.end - 1, kept.name)

    def _on_missing(self, position: Position, detail: str) -> None:
        if self._on_damage is OnDamage.RAISE:
            raise CorruptionError(f"{detail}; read on from position {position}", url=self.url, position=position)
        if position not in self._gaps:
            logger.warning("%s: %s; the others are used", self.url, detail)
        self._gaps[position] = detail

    def _answered(self, ask: Callable[[], Any]) -> Any:
        return answered(ask, self.url)

    def commit_waiting(self) -> None:
        """Commit what waits in a batch, unless the handle is closed."""
        if not self._closed:
            self._flush()

    def forget_parent(self) -> None:
        """Start anew in a forked child."""
        self._client.counter.forget_lock()
        self._committer.forget()
        if self._batch is not None:
            self._batch.forget()


def _root_of(url: HistoryURL) -> str:
    root = (url.host + url.path).strip("/")
    if not url.host or not root:
        raise ConfigError(f"name a bucket: {url.scheme}://bucket/prefix", url=str(url))
    if any(part in {"", ".", ".."} for part in root.split("/")):
        raise ConfigError("a prefix has no empty parts, and none named '.' or '..'", url=str(url))
    return root


def _checked_commit(start: Position, url: str) -> int:
    """Return the number of the first commit that can hold something behind a position.

    Raises:
        ConfigError: It is a position of another kind of history.
    """
    if len(start) > 2:  # noqa: PLR2004 - a commit and a line
        raise ConfigError(f"position {start} is not one of this history", url=url)
    return start[0] if start else 0


def _lines_of(commit: Commit) -> Iterator[tuple[Position, bytes]]:
    last = len(commit.lines)
    for i, line in enumerate(commit.lines, 1):
        yield Position.of(commit.number + 1) if i == last else Position.of(commit.number, i), line
