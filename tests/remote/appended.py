"""Histories in a bucket for tests that break what stands between: opening them, and what must be true afterwards."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from iterlog import IterationRecord, open_history
from iterlog.backends.remote import RemoteHistory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fault_proxy import Request
    from servers import Place

PREFIX = "runs"


def opened(place: Place, **options: Any) -> RemoteHistory:
    """Open the history of a bucket, with short timeouts."""
    options = {"connect_timeout": "2s", "read_timeout": "5s", "storage_options": place.options, **options}
    history = open_history(f"{place.url}/{PREFIX}", **options)
    assert isinstance(history, RemoteHistory)
    return history


def record(text: str, number: int | None = None) -> IterationRecord:
    """Make a record that says who wrote it."""
    return IterationRecord(number, None, {}, text)


def commits(request: Request) -> bool:
    """Choose requests that create a commit."""
    return request.kind == "PUT" and "/log/" in request.key


def looks(request: Request) -> bool:
    """Choose requests that read a commit."""
    return request.kind in {"GET", "HEAD"} and "/log/" in request.key


def commits_and_looks(request: Request) -> bool:
    """Choose requests that create a commit or read one."""
    return commits(request) or looks(request)


def stored(place: Place) -> list[bytes]:
    """Return the objects of all commits, through the back door; their numbers must have no gap."""
    names = place.back_door.names(f"{PREFIX}/log/")
    assert names == [f"{PREFIX}/log/{i // 1000:010d}/{i:016d}.jsonl" for i in range(len(names))]
    bodies = [place.back_door.get(name) for name in names]
    return [body for body in bodies if body is not None]


def records_in(bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return the records of commits, in order."""
    found = [json.loads(line) for body in bodies for line in body.splitlines()]
    return [each for each in found if "_iterlog" not in each]


def texts(place: Place) -> list[str]:
    """Return the text of each record that is stored, in order."""
    return [each["feedback"] for each in records_in(stored(place))]


def check_writers(
    found: list[dict[str, Any]], acknowledged: dict[str, int], begun: dict[str, int] | None = None
) -> None:
    """Check that every acknowledged record is there once, in its writer's order, under a number of its own.

    Args:
        found: The records; their text is "<writer> <turn>".
        acknowledged: How many turns of each writer were.
        begun: How many each began; what was not acknowledged may be there, too.
    """
    assert len({each["id"] for each in found}) == len({each["iteration"] for each in found}) == len(found)
    turns: Counter[str] = Counter()
    for each in found:
        writer, _, turn = each["feedback"].partition(" ")
        assert int(turn) == turns[writer]
        turns[writer] += 1
    for writer, least in acknowledged.items():
        assert least <= turns[writer] <= (begun or acknowledged)[writer], writer
