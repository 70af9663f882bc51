"""What is asked of an object store: five calls, and failures told apart by what is known after them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from iterlog.reports import Requests

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from iterlog.errors import IterlogError

MAX_OBJECT = (50 << 20) - 1
"""Bytes of one object: what every client sends in one request, where "only if none stands" is kept."""


class MissingObjectError(Exception):
    """There is no object of this name; never leaves the package."""


class ObjectExistsError(Exception):
    """An object of this name stands; who wrote it is not known; never leaves the package."""


class UndecidedError(Exception):
    """A request failed, and it may have been carried out all the same; never leaves the package.

    Args:
        cause: What failed, for people.
    """


class RefusedError(Exception):
    """The store was not reached, or refused, and nothing was done; never leaves the package.

    Args:
        error: What the user is told.
        again: Whether the same request may be granted when it is made again.
    """

    def __init__(self, error: IterlogError, *, again: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again


class Entry(NamedTuple):
    """One name in a listing.

    Attributes:
        name: Without what stands before its last slash.
        size: Bytes; 0 for a folder.
        modified: When the store says it was made; None when it does not say.
    """

    name: str
    size: int
    modified: dt.datetime | None


class Counter:
    """Counts requests, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(Requests.__dataclass_fields__, 0)

    def add(self, **counts: int) -> None:
        """Add to some of the counts of `Requests`."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count

    def forget_lock(self) -> None:
        """Make a lock of its own for a forked child: a thread of the parent may hold this one."""
        self._lock = threading.Lock()

    def so_far(self) -> Requests:
        """Return the counts."""
        with self._lock:
            return Requests(**self._counts)


class ObjectClient(Protocol):
    """An object store below one root; keys are names below it. All calls may come from any thread.

    Attributes:
        identity: Tells the store and root apart from others in this process; holds no secret.
        counter: Counts what is asked.
    """

    identity: str
    counter: Counter

    def create(self, key: str, data: bytes) -> None:
        """Create an object where none stands, in one request that is not made again.

        Raises:
            ObjectExistsError: One stands there, perhaps this one.
            UndecidedError: It may stand there now, or later, or not.
            RefusedError: It does not.
        """

    def get(self, key: str, *, patient: bool = True) -> bytes:
        """Return an object's bytes.

        Args:
            key: Its name.
            patient: Ask again, for some seconds, when the store is busy or away.

        Raises:
            MissingObjectError: None stands there.
            UndecidedError: The store gave no usable answer.
            RefusedError: It was not reached, or refused.
        """

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Return some bytes of an object; raises what `get` raises."""

    def entries(self, folder: str) -> list[Entry]:
        """Return what stands in a folder, in no order; empty when there is none. Raises what `get` raises."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, where they stand. Raises what `get` raises."""

    def close(self) -> None:
        """Release the connections, unless others in this process use them."""
