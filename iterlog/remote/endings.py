"""The end of a process, and its forks: what waits is committed in time, and a child keeps nothing of its parent's."""

from __future__ import annotations

import atexit
import functools
import os
import threading
import weakref
from typing import Protocol

from iterlog.errors import IterlogError
from iterlog.reader import logger


class Handle(Protocol):
    """An open history."""

    @property
    def url(self) -> str:
        """Its place, for messages."""

    def commit_waiting(self) -> None:
        """Commit what waits in a batch."""

    def close(self) -> None:
        """Commit what waits, and end."""

    def forget_parent(self) -> None:
        """Start anew in a forked child."""


_open: weakref.WeakSet[Handle] = weakref.WeakSet()


def watch(handle: Handle) -> None:
    """Close a handle at the interpreter's end, if it is open by then, and tell it when it is in a forked child."""
    _open.add(handle)
    _begin()


def _commit_all() -> None:
    """Commit what waits while names can still be looked up, which takes a thread; other threads go on appending."""
    for handle in list(_open):
        try:
            handle.commit_waiting()
        except IterlogError as error:
            logger.debug("%s: tried again when all threads have ended: %s", handle.url, error)


def _close_all() -> None:
    """Commit what waits by now, at the very end."""
    for handle in list(_open):
        try:
            handle.close()
        except IterlogError as error:
            logger.warning("%s: not all could be committed at the end: %s", handle.url, error)


def _forget_parents() -> None:
    for handle in list(_open):
        handle.forget_parent()


@functools.cache
def _begin() -> None:
    """Register, when the first handle is open: behind its clients, which end at the same time, last come first."""
    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_parents)
    # When the main thread has ended, and before the pools of threads take no more work. At ``atexit``, which comes
    # later, a client that has to look up its store's name finds its pool closed. concurrent.futures uses the same.
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        try:
            register(_commit_all)
        except RuntimeError as error:
            logger.debug("the main thread has ended already: %s", error)
