"""Where histories are synced from and to. One more kind of place is one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PLACES = {
    "file": "jsonl://{path}.jsonl",
    "set": "rotating://{path}?max_records=30",
    "compressed set": "rotating://{path}?max_records=30&compress=inline&codec=gzip",
    "memory": "memory://{path}",
    "object store": "fsspec+memory://bucket{path}",
}
"""URLs by name; ``{path}`` is an absolute path that belongs to the test."""

every_place = pytest.mark.parametrize("kind", PLACES)
every_pair = pytest.mark.parametrize(("from_kind", "to_kind"), [(one, other) for one in PLACES for other in PLACES])


def place(kind: str, directory: Path, name: str) -> str:
    """Return the URL of a place of a kind."""
    return PLACES[kind].format(path=directory / name)
