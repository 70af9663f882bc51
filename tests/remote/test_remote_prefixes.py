"""Prefixes with characters that mean something to somebody: each is one history, and touches no other."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import fsspec
import pytest
from appended import record
from fsspec.implementations.dirfs import DirFileSystem
from places import history_url
from small_buckets import BUCKET, Objects, append_singles, everything, opened, url

import iterlog
from iterlog.remote.layout import commit_key

if TYPE_CHECKING:
    from servers import Place

__all__ = ["url"]  # a fixture

PATTERNS = [("run[1]", "run1"), ("run?", "runs"), ("run*", "run-2")]


@pytest.mark.parametrize(("pattern", "matched"), PATTERNS)
@pytest.mark.parametrize("behind", [False, True], ids=["in the URL", "in a folder"])
def test_collecting_removes_nothing_of_a_history_whose_name_fits(
    url: str, pattern: str, matched: str, behind: bool
) -> None:
    """A prefix that looks like a pattern is none, although fsspec takes what it removes in bulk for patterns."""
    append_singles(f"{url}/{matched}/sub", 5 * BUCKET)
    with contextlib.ExitStack() as stack:
        if behind:
            bucket = url.partition("://")[2]
            given = DirFileSystem(f"{bucket}/{pattern}", fsspec.filesystem("memory"))
            history = stack.enter_context(opened("fsspec+memory://sub", filesystem=given, collect=True))
            for _ in range(5 * BUCKET):
                history.append(record("x"))
        else:
            append_singles(f"{url}/{quote(pattern)}/sub", 5 * BUCKET)
            history = stack.enter_context(opened(f"{url}/{quote(pattern)}/sub", collect=True))
        before = everything(history)
        removed = [kept for kept in history.compact() if not kept.after_bytes]
        assert len(removed) == 3
        assert everything(history) == before
    assert len(Objects(f"{url}/{matched}/sub").names("log/")) == 5 * BUCKET


@pytest.mark.parametrize("name", ["run[1]", "run*", "a b", "50%", "no #1", "ünï", "q?x", "a+b&c=d", "run/sub"])
def test_a_prefix_is_taken_as_it_is(honest: Place, name: str) -> None:
    """Appended to, resumed, read, and its objects removed, on each of the stores, beside histories of similar names."""
    root, mark, query = history_url(honest).partition("?")
    for prefix in (f"{root}/{quote(name)}", f"{root}/run", f"{root}/run1", root):
        with iterlog.open_history(f"{prefix}{mark}{query}") as history:
            history.append(record(name))
            assert history.resume().next_iteration == 1
            assert [each.feedback for each in history] == [name]
    assert honest.back_door.get(f"runs/{name}/{commit_key(0)}")
    with opened(f"{root}/{quote(name)}{mark}{query}") as own:
        own._client.remove([commit_key(0), commit_key(1), commit_key(2)])
    assert not honest.back_door.names(f"runs/{name}/log/")
    assert all(honest.back_door.get(f"runs/{other}{commit_key(0)}") for other in ("run/", "run1/", ""))
