"""What came of asking a store, in the words of our own errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from iterlog.errors import UnavailableError
from iterlog.remote.client import MissingObjectError, RefusedError, UndecidedError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def answered(ask: Callable[[], _T], url: str) -> _T:
    """Return what a store answers; its failures as errors of our own.

    Raises:
        UnavailableError: It gave no usable answer; caused by MissingObjectError when there is no such object.
        IterlogError: What it refused with.
    """
    try:
        return ask()
    except RefusedError as error:
        raise error.error from error
    except UndecidedError as error:
        raise UnavailableError(f"{error}; nothing was written, and the same call may be made again", url=url) from error
    except MissingObjectError as error:
        raise UnavailableError("an object that was listed is gone; read again", url=url) from error
