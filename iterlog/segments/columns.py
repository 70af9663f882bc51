"""One value per line of a segment, in little memory and few bytes.

On disk a column of 64-bit values stands byte plane by byte plane: all the first bytes, then all the second ones, and so
on. What the values have in common lies side by side then, and zstd removes it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from iterlog.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

_INT64 = range(-(2**63), 2**63)
_EXACT_IN_FLOAT = 2**53
_MOST_DECIMALS = 6
_BITS = 2**64 - 1


KINDS = frozenset({"int", "delta", "float", "decimal", "bool", "hash"})
"""How a column can be stored."""


class PackedColumn(msgspec.Struct, omit_defaults=True):
    """A column as it is stored.

    Attributes:
        kind: One of `KINDS`, or what a later version has.
        values: Eight bytes, or one for ``bool``, per line, zeros for None.
        present: One bit per line, first line lowest; absent when no line is None.
        decimals: Of ``decimal``: the values are integers divided by so many tens.
        others: How many lines have a value that the column cannot hold.
    """

    kind: str
    values: bytes
    present: bytes | None = None
    decimals: int = 0
    others: int = 0


class Column(Generic[T]):
    """A value, or None, for each line of a segment; numbers are exactly what the lines say.

    Attributes:
        values: The values without the Nones, zeros in their places: an array for who computes with them.
        present: 1 for each line that has a value and 0 for others; None when all have one.
        others: How many lines have a value that is none of the column's, such as text among numbers; None stands for
            it, and the line itself has it.
    """

    __slots__ = ("others", "present", "values")

    def __init__(self, values: array[int] | array[float], present: bytes | None = None, others: int = 0) -> None:
        self.values = values
        self.present = present
        self.others = others

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, line: int) -> T | None:
        value = self.values[line]
        if self.present is not None and not self.present[line]:
            return None
        if self.values.typecode == "Q":
            return cast("T", f"{value:016x}")
        return cast("T", bool(value) if self.values.typecode == "b" else value)

    def __iter__(self) -> Iterator[T | None]:
        return (self[line] for line in range(len(self.values)))

    def last_index(self, number: int) -> int | None:
        """Return the last line that has a number, counted from 0."""
        backwards, at = self.values[::-1], -1
        try:
            while True:
                at = backwards.index(number, at + 1)
                if self.present is None or self.present[-1 - at]:
                    return len(backwards) - 1 - at
        except ValueError:
            return None

    def __eq__(self, other: object) -> bool:
        """Compare bit for bit, so that NaN is equal to NaN and 0.0 is not -0.0."""
        if not isinstance(other, Column):
            return NotImplemented
        return (
            self.values.typecode == other.values.typecode
            and self.values.tobytes() == other.values.tobytes()
            and self.present == other.present
            and self.others == other.others
        )

    __hash__ = None  # type: ignore[assignment]  # it holds an array

    def __repr__(self) -> str:
        return f"Column({list(self)!r})"


def whole_numbers(values: Sequence[int | None]) -> Column[int]:
    """Make a column of integers of 64 bits."""
    return Column(array("q", [value or 0 for value in values]), _present(values))


def truths(values: Sequence[bool | None]) -> Column[bool]:
    """Make a column of bools."""
    return Column(array("b", [value or 0 for value in values]), _present(values))


def hash_heads(values: Sequence[str | None]) -> Column[str]:
    """Make a column of the first 16 digits of hex hashes."""
    return Column(array("Q", [0 if value is None else int(value[:16], 16) for value in values]), _present(values))


def measures(values: Sequence[object]) -> Column[float]:
    """Make a column of whatever a metric is: all bools, all integers, or floats.

    Integers among floats become floats where those hold them exactly.
    """
    kinds = set(map(type, values))
    if kinds == {float}:
        return Column(array("d", cast("Sequence[float]", values)))
    kinds.discard(type(None))
    if kinds == {bool}:
        return cast("Column[float]", truths(cast("Sequence[bool | None]", values)))
    numbers: list[int | float | None]
    if float in kinds:
        numbers = [_as_float(value) for value in values]
        code = "d"
    else:
        numbers = [value if type(value) is int and value in _INT64 else None for value in values]
        code = "q"
    others = numbers.count(None) - sum(value is None for value in values)
    return Column(array(code, [0 if number is None else number for number in numbers]), _present(numbers), others)


def pack_column(column: Column[T], *, rising: bool = False) -> PackedColumn:
    """Return a column as it is stored.

    Args:
        column: The column.
        rising: Each integer is near the one before: store differences.
    """
    values, code = column.values, column.values.typecode
    kind, decimals = {"q": "delta" if rising else "int", "d": "float", "b": "bool", "Q": "hash"}[code], 0
    if code == "d" and (scaled := _as_decimals(values)) is not None:
        kind, (decimals, integers) = "decimal", scaled
        data = _planes(struct.pack(f"<{len(integers)}Q", *map(_zigzag, integers)))
    elif code == "d":
        data = _planes(struct.pack(f"<{len(values)}d", *values))
    elif rising:
        whole = cast("array[int]", values)
        steps = [value - before for before, value in zip([0, *whole], whole, strict=False)]
        data = _planes(struct.pack(f"<{len(steps)}q", *steps))
    elif code == "q":
        data = _planes(struct.pack(f"<{len(values)}Q", *map(_zigzag, cast("array[int]", values))))
    else:
        data = struct.pack(f"<{len(values)}{code}", *values)  # bools need no planes, and hashes have nothing in common
    return PackedColumn(kind, data, _bits(column.present), decimals, column.others)


def unpack_column(packed: PackedColumn, count: int) -> Column[Any]:
    """Return a stored column.

    Args:
        packed: The column, of one of the `KINDS`.
        count: How many lines there are.

    Raises:
        CorruptionError: It has not as many values.
        OverflowError: An integer has more than 64 bits.
    """
    width = 1 if packed.kind == "bool" else 8
    present = packed.present
    if len(packed.values) != width * count or (present is not None and len(present) != (count + 7) // 8):
        raise CorruptionError("the segment's footer has columns of different lengths")
    mask = None if present is None else bytes(present[line >> 3] >> (line & 7) & 1 for line in range(count))
    values: array[int] | array[float]
    if packed.kind == "bool":
        values = array("b", packed.values)
    elif packed.kind == "float":
        values = _array("d", _unplaned(packed.values))
    elif packed.kind == "hash":
        values = _array("Q", packed.values)
    elif packed.kind == "delta":
        values = array("q", accumulate(_array("q", _unplaned(packed.values))))
    elif packed.kind in {"int", "decimal"}:
        codes = _array("Q", _unplaned(packed.values))
        integers = [code >> 1 ^ -(code & 1) for code in codes]
        if packed.kind == "int":
            values = array("q", integers)
        else:
            tens = 10 ** min(packed.decimals, _MOST_DECIMALS)
            values = array("d", [integer / tens for integer in integers])
    else:
        raise CorruptionError(f"the segment's footer has a column of another kind, {packed.kind[:20]!r}")
    return Column(values, mask, packed.others)


def _array(typecode: str, data: bytes) -> array[Any]:
    """Return the numbers that stand in bytes, lowest byte first."""
    values: array[Any] = array(typecode, data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _present(values: Sequence[object]) -> bytes | None:
    return bytes(value is not None for value in values) if None in values else None


def _bits(present: bytes | None) -> bytes | None:
    if present is None:
        return None
    return bytes(
        sum(bit << place for place, bit in enumerate(present[start : start + 8])) for start in range(0, len(present), 8)
    )


def _as_float(value: object) -> float | None:
    if type(value) is float:
        return value
    return float(value) if type(value) is int and -_EXACT_IN_FLOAT <= value <= _EXACT_IN_FLOAT else None


def _as_decimals(values: array[float] | array[int]) -> tuple[int, list[int]] | None:
    """Return few decimals and integers that give exactly these floats, if there are such: rounded numbers."""
    wanted = array("d", values).tobytes()
    for tens in (10**decimals for decimals in range(_MOST_DECIMALS + 1)):
        # The first value that does not fit ends an attempt; NaN and infinities never fit.
        if all(
            -_EXACT_IN_FLOAT < value * tens < _EXACT_IN_FLOAT and round(value * tens) / tens == value
            for value in values
        ):
            integers = [round(value * tens) for value in values]
            given_back = array("d", [integer / tens for integer in integers])
            return (len(str(tens)) - 1, integers) if given_back.tobytes() == wanted else None  # -0.0 is not 0.0
    return None


def _zigzag(value: int) -> int:
    """Return an unsigned number that is small for small values of either sign."""
    return (value << 1 ^ value >> 63) & _BITS


def _planes(data: bytes) -> bytes:
    return b"".join(data[plane::8] for plane in range(8))


def _unplaned(planes: bytes) -> bytes:
    count = len(planes) // 8
    data = bytearray(len(planes))
    for plane in range(8):
        data[plane::8] = planes[plane * count : (plane + 1) * count]
    return bytes(data)
