"""The lock of who keeps the sealed files of a set in order: on the same file as the append lock, beside it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import time
import weakref
from typing import TYPE_CHECKING

from iterlog.files.lockfile import KEEPER_BYTE, lock_byte, open_or_create

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_S = 0.02


class KeeperLock:
    """The lock of who compresses, merges and removes the sealed files of a set; appends never wait for it.

    Args:
        path: The lock file's.
    """

    def __init__(self, path: str) -> None:
        self._range = sys.platform == "linux"  # as for the claim; sets lie on no network's file system
        self._path = path if self._range else f"{path}.keeper"
        self._descriptor = -1
        _keeper_locks.add(self)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it; return whether it is taken now."""
        descriptor, _ = open_or_create(self._path)
        try:
            if self._range:
                lock_byte(descriptor, fcntl.F_WRLCK, KEEPER_BYTE)
            else:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            return False
        self._descriptor = descriptor
        return True

    def acquire(self, *, timeout_s: float, keep_on: Callable[[], bool] = lambda: True) -> bool:
        """Wait for the lock; return whether it is taken now.

        Args:
            timeout_s: Give up after so many seconds.
            keep_on: Asked now and then; false gives up.
        """
        deadline = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() > deadline or not keep_on():
                return False
            time.sleep(_POLL_S)
        return True

    def release(self) -> None:
        """Give the lock back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        with contextlib.suppress(OSError):  # a child forked just now may keep the descriptor for a moment longer
            if self._range:
                lock_byte(descriptor, fcntl.F_UNLCK, KEEPER_BYTE)
            else:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def forget(self) -> None:
        """Let go in a forked child without a word to others: a copy of the descriptor would keep the parent's lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


_keeper_locks: weakref.WeakSet[KeeperLock] = weakref.WeakSet()


def _forget_keepers() -> None:
    for lock in list(_keeper_locks):
        lock.forget()


os.register_at_fork(after_in_child=_forget_keepers)
