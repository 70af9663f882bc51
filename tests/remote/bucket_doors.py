"""Reaching the objects of a remote history without the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from back_doors import changed

if TYPE_CHECKING:
    from collections.abc import Sequence


class Bucket(Protocol):
    """Raw access to the objects of a store; keys begin with the bucket or container."""

    def keys(self, prefix: str) -> Sequence[str]:
        """Return the keys that begin so, rising."""

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""

    def write(self, key: str, data: bytes) -> None:
        """Put an object, over any that is there."""


def corrupt_commit(bucket: Bucket, root: str, index: int) -> None:
    """Change a byte in the middle of a record's line, counted from the oldest, in the object that holds it."""
    for key in bucket.keys(f"{root}/log/"):
        lines = bucket.read(key).splitlines(keepends=True)
        records = [i for i, line in enumerate(lines) if not line.startswith(b'{"_iterlog"')]
        if index < len(records):
            lines[records[index]] = changed(lines[records[index]][:-1]) + b"\n"
            bucket.write(key, b"".join(lines))
            return
        index -= len(records)
    raise IndexError(index)
