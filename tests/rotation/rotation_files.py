"""What the tests of rotating sets build them of, and how they look at the files behind a set's back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fault_files import numbers, records

from iterlog import Position, open_history
from iterlog.backends.rotating import RotatingHistory
from iterlog.rotation.layout import Listing, read_listing

if TYPE_CHECKING:
    from pathlib import Path

    from iterlog import IterationRecord

SIZE = 3
"""How many records a file of these tests' sets holds, unless a test says otherwise."""


def open_set(directory: Path, **options: Any) -> RotatingHistory:
    """Open a set with tiny files that nothing compresses by itself."""
    given = {"max_records": SIZE, "compress": "off", **options}
    query = "&".join(f"{name}={value}" for name, value in given.items())
    history = open_history(f"rotating://{directory}?{query}")
    assert isinstance(history, RotatingHistory)
    return history


def write_set(directory: Path, count: int, *, compressed: bool = False, **options: Any) -> None:
    """Write a set of some numbered records, one append each."""
    with open_set(directory, **{"durability": "flush", **options}) as history:
        for one in records(range(count)):
            history.append(one)
        if compressed:
            list(history.compress())


def listing(directory: Path) -> Listing:
    """Return what the set's directory means."""
    return read_listing(str(directory))


def names(directory: Path) -> list[str]:
    """Return the names of the files that make the history, in order."""
    return [part.name for part in listing(directory).parts]


def entries(history: RotatingHistory) -> list[tuple[Position, IterationRecord]]:
    """Return every record with its position, having compared all ways to read them."""
    found = list(history.entries())
    assert list(history.entries_back()) == found[::-1]
    assert len(history) == len(found)
    assert history.last() == (found[-1][1] if found else None)
    for index, (position, _) in enumerate(found):
        assert list(history.entries(position)) == found[index + 1 :]
    return found


def finish(directory: Path, **options: Any) -> list[int | None]:
    """Do what the next process does after a crash: read, append, seal, compress; return the numbers read at first."""
    with open_set(directory, **options) as history:
        before = entries(history)
        point = history.resume()
        found = [record.iteration for _, record in before]
        assert len(set(found)) == len(found)
        assert point.next_iteration > max((number for number in found if number is not None), default=-1)
        history.append(records([None])[0])
        assert numbers(history)[:-1] == found
        history.seal()  # unless the append filled the file
        list(history.compress())
        history.append(records([None])[0])
        after = entries(history)
        assert after[: len(before)] == before
        assert [number for _, number in _numbered(after)[len(before) :]] == [
            point.next_iteration,
            point.next_iteration + 1,
        ]
        assert all(history.get(number) for _, number in _numbered(after) if number is not None)
        assert history.verify().ok
    left = listing(directory)
    assert not left.dead
    assert not left.redundant
    assert all(part.codec for part in left.sealed)
    assert {path.name for path in directory.iterdir()} == {"lock", *names(directory)}
    return found


def _numbered(found: list[tuple[Position, IterationRecord]]) -> list[tuple[Position, int | None]]:
    return [(position, record.iteration) for position, record in found]
