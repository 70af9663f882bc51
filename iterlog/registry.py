"""From a URL's scheme to the class that serves it.

Resolution order: what `register_backend` was given, the built-in table, entry points of the group
``iterlog.backends`` (name = scheme). A third party cannot take a built-in scheme. Backends are imported on first use,
so that ``import iterlog`` pays for none.
"""

from __future__ import annotations

import importlib
import os
import re
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from iterlog.errors import ConfigError, IterlogError
from iterlog.options import suggestion
from iterlog.url import HistoryURL

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.store import HistoryStore

ENTRY_POINT_GROUP = "iterlog.backends"

_REMOTE = "iterlog.backends.remote:RemoteHistory"
_BUILT_IN = {
    "file": "iterlog.backends.jsonl:JsonlHistory",
    "jsonl": "iterlog.backends.jsonl:JsonlHistory",
    "memory": "iterlog.backends.memory:MemoryHistory",
    "rotating": "iterlog.backends.rotating:RotatingHistory",
    "rotating+file": "iterlog.backends.rotating:RotatingHistory",
    **dict.fromkeys(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "fsspec+memory"), _REMOTE),
}
_WRAPPERS = {
    "spool": "iterlog.spool.history:open_spooled",
    "mirror": "iterlog.mirror:mirrored",
}
"""Options of every history that are served outside its backend, each by a function named as ``module:function``.

It is called with a function that opens what it wraps, the URL without these options, and the option's value, and
returns the store that users get. The last in this table is the outermost.
"""

_registered: dict[str, str | type[HistoryStore]] = {}
_found: dict[str, str] = {}
"""What entry points gave so far: looking again costs tens of milliseconds at each opening."""


def open_history(url: str | os.PathLike[str] | None = None, /, **options: object) -> HistoryStore:
    """Open the history at a URL; it is created by the first append.

    Args:
        url: A path, a PathLike, a URL such as ``memory://name``, or None for ``$ITERLOG_URL``, else
            ``iteration_history.jsonl`` in the current directory.
        **options: The backend's options, typed or as text; they win over the URL's query. Every backend knows
            ``durability`` (``sync`` or ``flush``), ``on_damage`` (``skip`` or ``raise``) and ``create`` (false: a
            missing history is an error instead of an empty one). Every history takes ``mirror``, too: a path or URL,
            or a list of them, where copies follow it; and ``spool``: true, or a directory, where appends are durable
            at once while the store is away.

    Returns:
        A store; close it, or use it in a ``with`` statement.

    Raises:
        ConfigError: The URL, its scheme or an option is wrong.
        MissingDependencyError: The backend needs a package that is not installed; the message names the command.
        HistoryNotFoundError: ``create`` is false and there is no history.
        UnavailableError: The place cannot be reached.
        UnsupportedOperationError: This platform lacks what the backend stands on.
    """
    return open_parsed(HistoryURL.parse(url, **options))


def open_parsed(url: HistoryURL) -> HistoryStore:
    """Open the history at a parsed URL; see `open_history`."""
    given, url = url.without(_WRAPPERS)
    open_store: Callable[[], HistoryStore] = partial(_open, url)
    for name, place in _WRAPPERS.items():
        if given.get(name) is not None:
            open_store = partial(_imported(place), open_store, url, given[name])
    return open_store()


def check_options(url: HistoryURL) -> None:
    """Check a parsed URL's scheme and options without opening anything.

    Raises:
        ConfigError: One of them is wrong.
    """
    _, url = url.without(_WRAPPERS)
    url.options(find_backend(url).OPTIONS)


def register_backend(scheme: str, backend: str | type[HistoryStore]) -> None:
    """Serve a scheme with a backend of one's own, in this process.

    Args:
        scheme: The part of a URL before ``://``, in lower case.
        backend: The class, or ``"package.module:Class"`` to import it on first use.

    Raises:
        ConfigError: The scheme is built in, or no URL could have it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ConfigError(f"{scheme!r} is no scheme; use lower-case letters, digits, '+', '-' and '.'")
    if scheme in _BUILT_IN:
        raise ConfigError(f"scheme {scheme!r} is built in and cannot be taken; choose another name")
    _registered[scheme] = backend


def find_backend(url: HistoryURL) -> type[HistoryStore]:
    """Return the class that serves a URL's scheme.

    Raises:
        ConfigError: No backend serves the scheme, or the one that should cannot be imported.
    """
    scheme = "rotating" if _is_rotating_set(url) else url.scheme
    backend = _registered.get(scheme) or _BUILT_IN.get(scheme) or _found.get(scheme) or _from_entry_points(scheme)
    if backend is None and _is_known_to_fsspec(scheme):
        backend = _REMOTE
    if backend is None:
        known = {*_BUILT_IN, *_registered}
        raise ConfigError(f"no backend serves {scheme!r} URLs{suggestion(scheme, known)}", url=str(url))
    if isinstance(backend, str):
        try:
            backend = _imported(backend)
        except IterlogError:
            raise  # it knows better: a package to install, a platform that cannot
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ConfigError(f"the backend for {scheme!r} cannot be imported ({why})", url=str(url)) from error
    return _checked(backend, url)


def _open(url: HistoryURL) -> HistoryStore:
    return find_backend(url).from_url(url)


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return attrgetter(name)(importlib.import_module(module))


def _is_rotating_set(url: HistoryURL) -> bool:
    """Whether a plain path names the directory of a rotating set."""
    if url.scheme != "file" or not url.path or not os.path.isdir(url.path):  # noqa: PTH112 - of no name an error
        return False
    from iterlog.rotation.layout import LOCK_NAME, is_set  # noqa: PLC0415 - only where a directory stands

    try:
        # Its lock file alone is a set that nobody appended to yet, or whose records were archived and removed.
        return is_set(url.path) or _is_lock_of_set(os.path.join(url.path, LOCK_NAME))  # noqa: PTH118 - as above
    except OSError:
        return False  # the backend that finds it unreadable says so


def _is_lock_of_set(path: str) -> bool:
    from iterlog.files.lockfile import read_note  # noqa: PLC0415 - local files need POSIX, memory does not

    alone = os.listdir(os.path.dirname(path)) == [os.path.basename(path)]  # noqa: PTH119, PTH120, PTH208 - as above
    return alone or read_note(path) is not None


def _from_entry_points(scheme: str) -> str | None:
    # Only on a scheme nobody else knows: reading the metadata of every installed package takes tens of milliseconds.
    from importlib.metadata import entry_points  # noqa: PLC0415

    found = list(entry_points(group=ENTRY_POINT_GROUP, name=scheme))
    if len({point.value for point in found}) > 1:
        names = ", ".join(sorted(point.value for point in found))
        raise ConfigError(f"several installed packages serve {scheme!r} URLs: {names}; uninstall all but one")
    if found:
        _found[scheme] = f"{found[0].module}:{found[0].attr}"
    return _found.get(scheme)


def _is_known_to_fsspec(scheme: str) -> bool:
    """Whether fsspec has a file system of this name, or of the one behind ``fsspec+``, which is none of our words."""
    try:
        from fsspec.registry import available_protocols, registry  # noqa: PLC0415 - 50 ms, on an unknown scheme only
    except ImportError:
        return scheme.startswith("fsspec+")  # the backend says what to install
    return scheme.removeprefix("fsspec+") in {*available_protocols(), *registry}


def _checked(backend: object, url: HistoryURL) -> type[HistoryStore]:
    from iterlog.store import HistoryStore  # noqa: PLC0415 - the store brings msgspec, which `import iterlog` avoids

    if not (isinstance(backend, type) and issubclass(backend, HistoryStore)):
        raise ConfigError(f"what serves {url.scheme!r} is {backend!r}, not a HistoryStore class", url=str(url))
    return backend
