"""The file systems in use: in each process one for all handles with the same options and the same credentials around.

A forked child makes its own and lets the parent's be: its connections are the parent's.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from iterlog.errors import ConfigError
from iterlog.remote.kinds import AZURE, GOOGLE, S3, check_given, protocols_of
from iterlog.remote.loop_thread import LoopThread
from iterlog.remote.protocols import class_of, close_connections, make_filesystem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsspec import AbstractFileSystem

    from iterlog.remote.protocols import Patience

_CREDENTIALS = ("AWS_", "AZURE_", "GOOGLE_", "GCSFS_", "FSSPEC_", "STORAGE_EMULATOR_")
"""How the variables begin in which clients find credentials, or what tells them where to look."""


@dataclass
class Shared:
    """A file system, and who uses it in this process.

    Attributes:
        system: The file system.
        creating: Held while an object is created.
        fresh_listing: What ``ls`` takes so that it lists anew.
        works: Whether the store has given an answer that could be used.
        answered_at: When the store last answered, or failed to, on the monotonic clock.
    """

    key: tuple[int, str]
    system: AbstractFileSystem
    creating: Any
    fresh_listing: Mapping[str, Any]
    thread: LoopThread | None = None
    users: int = 0
    works: bool = False
    answered_at: float = field(default=float("-inf"))

    def check_open(self) -> None:
        """Refuse what a request returns when it may have been given up: that looks like success.

        Raises:
            ConnectionAbortedError: The connections were closed.
        """
        if self.ended:
            raise ConnectionAbortedError("the client was closed in another thread")

    @property
    def ended(self) -> bool:
        """Whether its connections are closed, or about to be."""
        return self.thread is not None and self.thread.ending

    def leave(self) -> None:
        """Use it no more; the last one to do so closes its connections."""
        with _all_lock:
            self.users -= 1
            if self.users:
                return
            _all_shared.pop(self.key, None)
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread that serves them, unless the user gave the file system."""
        if self.thread is not None:
            self.thread.close(lambda: close_connections(self.system))


_all_lock = threading.Lock()
_all_shared: dict[tuple[int, str], Shared] = {}
_parents: list[Shared] = []
"""What a forked child inherited: kept, so that nobody closes it."""


def name_of(protocol: str, options: Mapping[str, object], given: AbstractFileSystem | None) -> str:
    """Return what tells one file system from another, without a secret in it."""
    if given is not None:
        return f"given {getattr(given, '_fs_token', None) or id(given)}"
    around = {name: value for name, value in os.environ.items() if name.startswith(_CREDENTIALS)}
    told = f"{sorted(options.items())!r} {sorted(around.items())!r}"
    return f"{protocol} {hashlib.sha256(told.encode(errors='surrogateescape')).hexdigest()}"


def shared_file_system(
    name: str,
    protocol: str,
    options: Mapping[str, Any],
    patience: Patience,
    given: AbstractFileSystem | None,
    url: str,
) -> Shared:
    """Return the file system of a name, made when there is none; it counts its users.

    Raises:
        MissingDependencyError: Its package is not installed.
        ConfigError: It does not take the options, or was made by the parent of this process.
        UnsupportedOperationError: It is none for a history.
        AccessDeniedError: It has no credentials.
    """
    key = os.getpid(), name
    with _all_lock:
        shared = _all_shared.get(key)
        if shared is None:
            shared = _given(key, given, url) if given is not None else _made(key, protocol, options, patience, url)
            _all_shared[key] = shared
        shared.users += 1
        return shared


def _given(key: tuple[int, str], system: AbstractFileSystem, url: str) -> Shared:
    behind = check_given(system, url)
    if getattr(behind, "_pid", key[0]) != key[0]:
        raise ConfigError(
            "the file system given as filesystem= was made in the parent process; open the history in this one",
            url=url,
        )
    names = set(protocols_of(behind))
    fresh = {"refresh": True} if names & (S3 | GOOGLE) else {"invalidate_cache": True} if names & AZURE else {}
    return Shared(key, system, _one_at_a_time(behind), fresh)


def _made(key: tuple[int, str], protocol: str, options: Mapping[str, Any], patience: Patience, url: str) -> Shared:
    cls = class_of(protocol, url)
    if not getattr(cls, "async_impl", False):
        system = make_filesystem(cls, protocol, options, patience, url)
        return Shared(key, system, _one_at_a_time(system), {})
    thread = LoopThread()
    try:
        system = make_filesystem(cls, protocol, options, patience, url, loop=thread.loop)
    except BaseException:
        thread.close(_nothing)
        raise
    return Shared(key, system, _one_at_a_time(system), {}, thread)


def _one_at_a_time(system: AbstractFileSystem) -> Any:
    """Return what is held while an object is created: fsspec's own memory looks first and writes then."""
    return threading.Lock() if "memory" in protocols_of(system) else contextlib.nullcontext()


async def _nothing() -> None:
    """Leave all as it is."""


def _close_all() -> None:
    """Close what handles that were never closed have left open, when the interpreter ends."""
    for shared in list(_all_shared.values()):
        shared.close()
    _all_shared.clear()


def _forget_parents() -> None:
    global _all_lock  # noqa: PLW0603 - another thread of the parent may hold it
    _all_lock = threading.Lock()
    _parents.extend(_all_shared.values())
    _all_shared.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
