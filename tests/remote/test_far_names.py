"""Names where no commit of ours would stand: far behind the others, in another bucket, at the end of all numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from appended import record
from small_buckets import Objects, append_singles, opened, url

from iterlog import UnsupportedOperationError
from iterlog.remote import committing, layout, tail
from iterlog.remote.layout import LAST_COMMIT, commit_key
from iterlog.reports import FaultKind

if TYPE_CHECKING:
    from iterlog.backends.remote import RemoteHistory

__all__ = ["url"]  # a fixture


@pytest.fixture(autouse=True)
def _small_buckets(url: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - which makes them small
    """Buckets are small to all who look for the end, too."""
    monkeypatch.setattr(tail, "BUCKET", layout.BUCKET)


def gets(history: RemoteHistory) -> int:
    """Return how many objects were asked for."""
    return history.stats().gets


def test_commits_that_are_missing_by_the_million_are_one_damage(url: str) -> None:
    """Forwards, backwards, and for who goes on, in some dozens of requests: nobody waits for each of them."""
    append_singles(url, 3)
    far = 4_000
    Objects(url).write(commit_key(far), b"not ours\n")
    with opened(url) as history:
        assert [each.iteration for each in history.read()] == [0, 1, 2]
        assert [each.iteration for each in reversed(history)] == [2, 1, 0]
        faults = history.verify().faults
        assert [fault.kind for fault in faults].count(FaultKind.MISSING) <= 8
        assert any(f"{far - 1:,}" in fault.detail for fault in faults)
        assert history.resume().next_iteration >= 3
        history.append(record("behind"))
        assert history.last() == next(reversed(history))
        assert gets(history) < 200


def test_a_commit_whose_bucket_no_listing_has_is_read(url: str) -> None:
    """A listing may be behind: where the objects at an end of a gap stand, it is none."""
    append_singles(url, 5 * layout.BUCKET)
    with opened(url) as history:
        listed = history._client.entries

        def behind(folder: str) -> object:
            return [entry for entry in listed(folder) if entry.name not in {"0000000001", "0000000002"}]

        history._client.entries = behind  # type: ignore[method-assign,assignment]
        assert len(list(history.read())) == 5 * layout.BUCKET


def test_a_commit_in_another_bucket_is_none(url: str) -> None:
    """The end is where it was, for who reads the newest and for who appends."""
    append_singles(url, 3)
    Objects(url).write(f"log/0000000005/{commit_key(1).rpartition('/')[2]}", b"not ours\n")
    with opened(url) as history:
        assert [each.iteration for each in history.tail(3)] == [0, 1, 2]
        assert history.resume().next_iteration == 3
        history.append(record("three"))
        assert history.last() is not None
        assert [each.iteration for each in history.tail(1)] == [3]


def test_behind_the_last_name_nothing_is_appended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that no listing would show is refused instead of acknowledged."""
    assert commit_key(LAST_COMMIT) == "log/9999999999/0009999999999999.jsonl" or layout.BUCKET != 1000
    monkeypatch.setattr(committing, "LAST_COMMIT", 2)
    append_singles(url, 3)
    with opened(url) as history, pytest.raises(UnsupportedOperationError):
        history.append(record("four"))
    with opened(url) as history:
        assert len(list(history.read())) == 3
