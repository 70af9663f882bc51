"""The columns of a footer: made of lines, or stored and unpacked when they are first asked for.

Most of who reads a footer wants its summary, or one metric of a dozen; unpacking costs several times what reading does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from iterlog.errors import CorruptionError, UnsupportedOperationError
from iterlog.reports import FaultKind
from iterlog.segments.columns import KINDS, Column, PackedColumn, pack_column, unpack_column
from iterlog.segments.head import FooterHead
from iterlog.segments.limits import MAX_FOOTER, MAX_PLAIN_FOOTER

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable

VERSION = 1

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_LEVEL = 9
_COLUMNS = {"offsets": "q", "iterations": "q", "timestamps": "q", "successes": "b", "code_hashes": "Q"}
"""The names of those that every footer has, and the array type codes of what they hold."""

_RISING = {"offsets", "iterations", "timestamps"}
_DAMAGE_CODES = {
    None: 0,
    FaultKind.NUL: 1,
    FaultKind.CHECKSUM: 2,
    FaultKind.JSON: 3,
    FaultKind.RECORD: 4,
}
_DAMAGE_KINDS = {code: kind for kind, code in _DAMAGE_CODES.items()}


SUMMARY = tuple(name for name in FooterHead.__struct_fields__ if name != "lowest_iteration")
"""What stands in a footer's head and beside its columns."""


class LaterVersionError(CorruptionError):
    """A footer of a later version, whose meaning is not guessed at."""


class Index(Protocol):
    """An entry per line that a reader is shown, damaged ones included."""

    @property
    def columns(self) -> Mapping[str, Column[Any]]:
        """Offsets, iterations, timestamps, successes and code hashes, by these names."""

    @property
    def damage(self) -> bytes:
        """Each line's damage as `damage_code` gives it."""

    @property
    def metrics(self) -> Mapping[str, Column[float]]:
        """A column per name, in order of appearance."""


class _Comparable:
    """Equal where the columns are, however they came."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Comparable):
            return NotImplemented
        mine, theirs = cast("tuple[Index, Index]", (self, other))
        return (mine.damage, mine.columns, mine.metrics) == (theirs.damage, theirs.columns, theirs.metrics)

    __hash__ = None  # type: ignore[assignment]  # it holds arrays


@dataclass(frozen=True, eq=False)
class MadeIndex(_Comparable):
    """One that was just made of lines."""

    columns: Mapping[str, Column[Any]]
    damage: bytes
    metrics: Mapping[str, Column[float]]


class StoredIndex(_Comparable):
    """One that is decompressed when it is first looked at.

    Bytes that are no footer, although their checksums say so, raise a CorruptionError then.

    Args:
        packed: The compressed bytes.
        head: What stands behind them and must say the same; None when nothing does.
    """

    def __init__(self, packed: bytes, head: FooterHead | None) -> None:
        self._packed = packed
        self._head = head

    @cached_property
    def stored(self) -> StoredFooter:
        """What is stored, the summary included."""
        stored = _decoded(self._packed)
        if self._head is not None and any(getattr(stored, name) != getattr(self._head, name) for name in SUMMARY):
            raise CorruptionError("the segment's footer and its head do not say the same")
        return stored

    @cached_property
    def columns(self) -> Mapping[str, Column[Any]]:
        """See `Index.columns`."""
        return _Unpacked({name: self.stored.index[name] for name in _COLUMNS}, self._column)

    @cached_property
    def damage(self) -> bytes:
        """See `Index.damage`."""
        return self.stored.damage

    @cached_property
    def metrics(self) -> Mapping[str, Column[float]]:
        """See `Index.metrics`; those of kinds that a later version has are left out."""
        try:
            known = {name.decode("utf-8", "surrogatepass"): column for name, column in self.stored.metrics}
        except UnicodeDecodeError as error:
            raise CorruptionError(f"the segment's footer has a name that is no text ({error})") from error
        return _Unpacked({name: column for name, column in known.items() if column.kind in KINDS}, self._metric)

    def unpack(self) -> None:
        """Unpack everything now.

        Raises:
            CorruptionError: It is no footer.
        """
        for columns in (self.columns, self.metrics):
            for name in columns:
                columns[name]

    def _metric(self, _name: str, packed: PackedColumn) -> Column[Any]:
        try:
            return unpack_column(packed, self.stored.count)
        except OverflowError as error:
            raise CorruptionError(f"the segment's footer holds a number that cannot be ({error})") from error

    def _column(self, name: str, packed: PackedColumn) -> Column[Any]:
        column = self._metric(name, packed)
        if column.values.typecode != _COLUMNS[name]:
            raise CorruptionError("the segment's footer does not fit itself")
        if name == "timestamps":
            for extreme in (min, max):
                moment_of(extreme(cast("array[int]", column.values), default=0))
        return column


class _Unpacked(Mapping[str, Column[Any]]):
    """Columns by name, each unpacked when it is asked for, and once."""

    def __init__(self, packed: Mapping[str, PackedColumn], unpack: Callable[[str, PackedColumn], Column[Any]]) -> None:
        self._packed = packed
        self._unpack = unpack
        self._unpacked: dict[str, Column[Any]] = {}

    def __getitem__(self, name: str) -> Column[Any]:
        column = self._unpacked.get(name)
        if column is None:
            column = self._unpacked[name] = self._unpack(name, self._packed[name])
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


class StoredFooter(msgspec.Struct):
    """The footer as it is stored: keys of later versions are passed over."""

    version: int
    plain_size: int
    plain_sha256: bytes
    count: int
    records: int
    first_iteration: int | None
    last_iteration: int | None
    highest_iteration: int | None
    earliest: int | None
    latest: int | None
    damage: bytes
    packed_size: int
    packed_end: bytes
    all_metrics: bool
    index: dict[str, PackedColumn]
    metrics: list[tuple[bytes, PackedColumn]]
    begins_at: int | None = None


def packed_index(index: Index) -> dict[str, PackedColumn]:
    """Return the columns that every footer has as they are stored."""
    return {name: pack_column(index.columns[name], rising=name in _RISING) for name in _COLUMNS}


def packed_metrics(index: Index) -> list[tuple[bytes, PackedColumn]]:
    """Return the metrics' columns as they are stored."""
    return [(name.encode("utf-8", "surrogatepass"), pack_column(column)) for name, column in index.metrics.items()]


def moment_of(microseconds: int | None) -> dt.datetime | None:
    """Return the time so many microseconds after 1970.

    Raises:
        CorruptionError: No time is so far away.
    """
    if microseconds is None:
        return None
    try:
        return EPOCH + dt.timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise CorruptionError(f"the segment's footer holds a time that cannot be ({error})") from error


def damage_code(kind: FaultKind | None) -> int:
    """Return how a line's damage is stored."""
    return _DAMAGE_CODES[kind]


def kind_of_damage(code: int) -> FaultKind | None:
    """Return what a stored damage is."""
    return _DAMAGE_KINDS[code]


class _Versioned(msgspec.Struct):
    version: int


def encoded(stored: StoredFooter) -> bytes:
    """Return a footer compressed.

    Raises:
        UnsupportedOperationError: It is too long; seal fewer records.
    """
    import zstandard  # noqa: PLC0415 - see frames

    plain = msgspec.msgpack.encode(stored)
    packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(plain)
    if len(plain) > MAX_PLAIN_FOOTER or len(packed) > MAX_FOOTER:
        raise UnsupportedOperationError(f"the footer of {stored.count:,} records is too long; seal fewer at a time")
    return packed


def _decoded(packed: bytes) -> StoredFooter:
    import zstandard  # noqa: PLC0415

    try:
        if zstandard.frame_content_size(packed) not in range(MAX_PLAIN_FOOTER + 1):
            raise CorruptionError("the segment's footer is too long")
        plain = zstandard.ZstdDecompressor().decompress(packed)
        if msgspec.msgpack.decode(plain, type=_Versioned).version != VERSION:
            raise LaterVersionError("the segment's footer is one of a later version")
        stored = msgspec.msgpack.decode(plain, type=StoredFooter)
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
        raise CorruptionError(f"the segment's footer cannot be decoded ({error})") from error
    if (
        len(stored.damage) != stored.count
        or not set(stored.damage) <= _DAMAGE_KINDS.keys()
        or not _COLUMNS.keys() <= stored.index.keys()
    ):
        raise CorruptionError("the segment's footer does not fit itself")
    return stored
