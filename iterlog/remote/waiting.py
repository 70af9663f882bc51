"""Waiting for a request to be decided, Ctrl-C or not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def decided(work: Callable[[], _T]) -> _T:
    """Do some work and let a Ctrl-C wait until it is done; a second one gives up waiting.

    Left at once, the request would go on alone, and its object appear seconds after the KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()  # no other thread gets a Ctrl-C
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            errors.append(error)

    worker = threading.Thread(target=run, name="iterlog-commit", daemon=True)
    try:
        worker.start()
    except RuntimeError:  # the interpreter ends, and starts no more threads
        return work()
    try:
        worker.join()
    except KeyboardInterrupt:
        worker.join()
        raise
    if errors:
        raise errors[0]
    return results[0]
