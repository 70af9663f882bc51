"""The error tree, grouped by what the caller does next.

    IterlogError
    ├── ConfigError (ValueError)              fix the URL, the option or the position
    │   └── MissingDependencyError (ImportError)   install what the message names
    ├── RecordError (ValueError)              fix the record; nothing was written
    ├── HistoryNotFoundError (FileNotFoundError)   check the URL; there is no history there
    ├── HistoryClosedError (ValueError)       open the history again
    ├── ConflictError                         someone else is first; nothing was written; read again
    ├── UnavailableError (OSError)            nothing was written; safe to retry
    │   └── AccessDeniedError (PermissionError)    give other credentials, then retry
    ├── WriteUncertainError (OSError)         may have been written; read before retrying
    ├── CorruptionError                       stored bytes are damaged; carries the position
    └── UnsupportedOperationError             this backend never can

Every error carries ``url``: where it happened, with credentials removed. All of them survive pickling, so they can
cross a process pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterlog.position import Position


class IterlogError(Exception):
    """Base of every error iterlog raises on purpose.

    Args:
        message: What happened and what to do next.
        url: The history's URL, already without credentials.
    """

    def __init__(self, message: str, *, url: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.url = url

    def __str__(self) -> str:
        return f"{self.message} [{self.url}]" if self.url else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


class ConfigError(IterlogError, ValueError):
    """The URL, an option or a position is wrong; nothing was opened or written."""


class MissingDependencyError(ConfigError, ImportError):
    """An optional package is not installed; the message names the pip command."""


class RecordError(IterlogError, ValueError):
    """The record cannot be stored as it is; nothing was written."""


class HistoryClosedError(IterlogError, ValueError):
    """The handle was closed; open the history again."""


class ConflictError(IterlogError):
    """Someone else holds or changed the history; nothing was written; read again."""


class UnsupportedOperationError(IterlogError):
    """This backend can never do what was asked."""


class CorruptionError(IterlogError):
    """Stored bytes are damaged.

    Args:
        message: What is damaged and what can be recovered.
        url: The history's URL, already without credentials.
        position: The position after the damage; ``read(position)`` goes on behind it. None when unknown.
    """

    def __init__(self, message: str, *, url: str | None = None, position: Position | None = None) -> None:
        super().__init__(message, url=url)
        self.position = position


class _StorageError(IterlogError, OSError):
    """What the two errors about failing storage share: the operating system's ``errno``, when there is one."""

    def __init__(self, message: str, *, url: str | None = None, errno: int | None = None) -> None:
        super().__init__(message, url=url)
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno outside __dict__.
        return _rebuild, (type(self), self.message, {**self.__dict__, "errno": self.errno})


class HistoryNotFoundError(_StorageError, FileNotFoundError):
    """There is no history at the URL."""


class UnavailableError(_StorageError):
    """The storage refused or is away; nothing was written; the same call may be made again."""


class AccessDeniedError(UnavailableError, PermissionError):
    """The storage refuses these credentials, or does not allow them this; nothing was written."""


class WriteUncertainError(_StorageError):
    """The records may or may not have been stored; read the history before writing them again."""


def _rebuild(cls: type[IterlogError], message: str, state: dict[str, object]) -> IterlogError:
    """Make an error again from its pickled parts."""
    error = cls(message)
    for name, value in state.items():
        setattr(error, name, value)
    return error
