"""Where histories are synced from and to: one more kind of place is one more line here. Where that is noted, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.copying.bookmarks import BookmarkFile
from iterlog.places import place_of

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


def bookmark_path(source: object, destination: object) -> Path:
    """Return where it is noted how far a copy is."""
    places = [place_of(iterlog.HistoryURL.parse(each)) for each in (source, destination)]  # type: ignore[arg-type]  # any
    path = BookmarkFile(*places)._path
    assert path is not None
    return path
