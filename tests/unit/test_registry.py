"""A scheme finds its backend: registered, built in or installed, in this order."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from iterlog import ConfigError, HistoryURL, open_history, register_backend, registry
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog import HistoryStore


class OwnHistory(MemoryHistory):
    """A backend of the user's own."""


@pytest.fixture(autouse=True)
def _registrations() -> Iterator[None]:
    """Take back what a test registers."""
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


def test_an_unknown_scheme_is_refused_with_a_hint() -> None:
    """The message names the scheme that was probably meant, or those there are."""
    with pytest.raises(ConfigError, match="did you mean 'memory'"):
        open_history("memroy://x")
    with pytest.raises(ConfigError, match=r"known are: .*jsonl, memory"):
        open_history("gopher://x")


def test_registering_a_class_or_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme of one's own is served by the class given, or by the one named, which is imported on first use."""
    register_backend("mine", OwnHistory)
    assert isinstance(open_history("mine://x"), OwnHistory)
    module = types.ModuleType("named_backend")
    module.Named = OwnHistory  # type: ignore[attr-defined]  # made up here
    register_backend("named", "named_backend:Named")
    monkeypatch.setitem(sys.modules, "named_backend", module)
    assert isinstance(open_history("NAMED://x"), OwnHistory)
    with pytest.raises(ConfigError, match="did you mean 'named'"):
        open_history("namde://x")


@pytest.mark.parametrize("scheme", ["file", "jsonl", "memory"])
def test_a_built_in_scheme_cannot_be_taken(scheme: str) -> None:
    """Not by registering."""
    with pytest.raises(ConfigError, match=scheme):
        register_backend(scheme, OwnHistory)
    assert not isinstance(open_history(f"{scheme}:///x/y"), OwnHistory)


@pytest.mark.parametrize("scheme", ["", "Mine", "my_store", "1st", "a b", "a://"])
def test_a_scheme_no_url_can_have(scheme: str) -> None:
    """Registering what could never be found is a mistake."""
    with pytest.raises(ConfigError, match="scheme"):
        register_backend(scheme, OwnHistory)


@pytest.mark.parametrize("name", ["no_such_module_here:X", "iterlog.backends.memory:NoSuchClass"])
def test_a_backend_that_cannot_be_imported(name: str) -> None:
    """The message names the scheme and why; the cause is kept."""
    register_backend("broken", name)
    with pytest.raises(ConfigError, match="'broken'") as caught:
        open_history("broken://x")
    assert isinstance(caught.value.__cause__, ImportError | AttributeError)


@pytest.mark.parametrize("backend", [dict, "iterlog.errors:ConfigError", "iterlog.position:START"])
def test_what_is_no_store_is_refused(backend: Any) -> None:
    """A class that is no HistoryStore, or no class at all, serves nothing."""
    register_backend("wrong", backend)
    with pytest.raises(ConfigError, match="HistoryStore"):
        open_history("wrong://x")


def _install(monkeypatch: pytest.MonkeyPatch, **points: list[str]) -> None:
    def entry_points(*, group: str, name: str) -> list[importlib.metadata.EntryPoint]:
        assert group == "iterlog.backends"
        return [importlib.metadata.EntryPoint(name, value, group) for value in points.get(name, [])]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_an_installed_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point serves its scheme; a registration comes first; a built-in scheme is never looked for."""
    here = "iterlog.backends.memory:MemoryHistory"
    _install(monkeypatch, third=[here], memory=["nowhere:X"], file=["nowhere:X"])
    assert type(open_history("third://x")) is MemoryHistory
    assert type(open_history("memory://x")) is MemoryHistory
    register_backend("third", OwnHistory)
    assert type(open_history("third://x")) is OwnHistory


def test_two_packages_for_one_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two is meant is not guessed; the same one twice is one."""
    here = "iterlog.backends.memory:MemoryHistory"
    _install(monkeypatch, twice=[here, "other:X"], same=[here, here])
    with pytest.raises(ConfigError, match="other:X"):
        open_history("twice://x")
    assert type(open_history("same://x")) is MemoryHistory


def test_the_class_is_found_without_opening() -> None:
    """`find_backend` says who would serve a URL."""
    assert registry.find_backend(HistoryURL.parse("memory://x")) is MemoryHistory


def _wrapping(word: str) -> Callable[[Callable[[], HistoryStore], HistoryURL, object], HistoryStore]:
    def wrap(open_store: Callable[[], HistoryStore], url: HistoryURL, given: object) -> HistoryStore:
        store = open_store()
        store.wrapped = [*getattr(store, "wrapped", []), (word, str(url), given)]  # type: ignore[attr-defined]  # ours
        return store

    return wrap


def test_options_served_outside_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of the table never reach the backend; the last in the table is outermost; None asks for nothing."""
    module = types.ModuleType("wrappers")
    module.inner, module.outer = _wrapping("inner"), _wrapping("outer")  # type: ignore[attr-defined]  # made up here
    monkeypatch.setitem(sys.modules, "wrappers", module)
    monkeypatch.setattr(registry, "_WRAPPERS", {"near": "wrappers:inner", "far": "wrappers:outer"})
    store: Any = open_history("memory://x?far=away&durability=flush", near=[1])
    assert store.wrapped == [("inner", "memory://x", [1]), ("outer", "memory://x", "away")]
    assert open_history("memory://x?far=away", far="there", near=None).wrapped == [("outer", "memory://x", "there")]  # type: ignore[attr-defined]  # ours
    assert not hasattr(open_history("memory://x"), "wrapped")
    with pytest.raises(ConfigError, match="'farr'"):
        open_history("memory://x?farr=away")
    registry.check_options(HistoryURL.parse("memory://x?far=away"))
    with pytest.raises(ConfigError, match="'farr'"):
        registry.check_options(HistoryURL.parse("memory://x?farr=away"))
