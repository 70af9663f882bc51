"""The error tree is a promise: who catches an error by its class, or by a built-in one, may rely on it."""

from __future__ import annotations

import copy
import errno
import pickle
import re

import pytest

import iterlog
from iterlog import errors
from iterlog.errors import IterlogError

TREE: dict[str, tuple[str, ...]] = {
    "IterlogError": ("Exception",),
    "ConfigError": ("IterlogError", "ValueError"),
    "MissingDependencyError": ("ConfigError", "ImportError"),
    "RecordError": ("IterlogError", "ValueError"),
    "HistoryNotFoundError": ("IterlogError", "FileNotFoundError"),
    "HistoryClosedError": ("IterlogError", "ValueError"),
    "ConflictError": ("IterlogError",),
    "UnavailableError": ("IterlogError", "OSError"),
    "AccessDeniedError": ("UnavailableError", "PermissionError"),
    "WriteUncertainError": ("IterlogError", "OSError"),
    "CorruptionError": ("IterlogError",),
    "UnsupportedOperationError": ("IterlogError",),
}
BUILT_IN = {"Exception", "ValueError", "ImportError", "OSError", "FileNotFoundError", "PermissionError"}


def ancestors(name: str) -> set[str]:
    """Return the names of all public errors and built-in ones above an error, by the tree."""
    return {name}.union(*(ancestors(base) if base in TREE else {base} for base in TREE[name]))


@pytest.mark.parametrize("name", TREE)
def test_the_tree(name: str) -> None:
    """Each error is exactly what the tree says: no more can be caught by it, and no less."""
    cls = getattr(iterlog, name)
    assert cls is getattr(errors, name)
    actual = {base.__name__ for base in cls.__mro__ if base.__name__ in {*TREE, *BUILT_IN}}
    expected = ancestors(name) | {"Exception"} | ({"OSError"} if "FileNotFoundError" in ancestors(name) else set())
    assert actual == expected


def test_there_are_no_others() -> None:
    """Every public error stands in the tree, and the module's docstring draws the same one."""
    public = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, IterlogError)
    }
    assert {name for name in public if not name.startswith("_")} == set(TREE)
    assert {name for name in iterlog.__all__ if name.endswith("Error")} == set(TREE)
    drawn = dict(re.findall(r"[├└]── (\w+)(?: \((\w+)\))?", errors.__doc__ or ""))
    assert drawn == {
        name: next((base for base in bases if base in BUILT_IN), "")
        for name, bases in TREE.items()
        if name != "IterlogError"
    }


@pytest.mark.parametrize("name", TREE)
@pytest.mark.parametrize("url", [None, "memory://x"])
def test_pickling(name: str, url: str | None) -> None:
    """An error crosses a process pool with all it carries."""
    error = getattr(iterlog, name)("what to do", url=url)
    if isinstance(error, iterlog.CorruptionError):
        error.position = iterlog.Position.of(3, 7)
    if isinstance(error, OSError):
        error.errno = errno.ENOSPC
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), again.message, again.url) == (str(error), "what to do", url)
        assert getattr(again, "position", None) == getattr(error, "position", None)
        assert getattr(again, "errno", None) == getattr(error, "errno", None)


def test_arguments() -> None:
    """Errno and position are given by keyword, and kept."""
    full = iterlog.UnavailableError("full", url="x", errno=errno.ENOSPC)
    assert (full.errno, str(full)) == (errno.ENOSPC, "full [x]")
    damaged = iterlog.CorruptionError("damaged", position=iterlog.Position.of(5))
    assert (damaged.position, damaged.url, str(damaged)) == (iterlog.Position.of(5), None, "damaged")


def test_notes_survive() -> None:
    """What a caller added to an error goes with it."""
    error = iterlog.ConflictError("busy")
    error.add_note("seen by worker 3")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["seen by worker 3"]
