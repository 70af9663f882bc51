"""Two things done with the same bytes, each on a processor of its own."""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

WORTH_A_THREAD = 1 << 20
"""Fewer bytes are done with before a thread has started."""

_MOST_WAITING = 2


class Beside:
    """Hands bytes, in order, to work that another thread does: work that holds Python's lock for little of its time.

    At most `_MOST_WAITING` pieces wait, so the memory is bounded. What the work raises, the next call or the end of the
    ``with`` block raises, and no further piece is worked on.

    Args:
        work: What to do with each piece; its own side of the data must not be looked at before the block ends.
        size: How many bytes will come, about; few are worked on here and now.
    """

    def __init__(self, work: Callable[[bytes], object], size: int) -> None:
        self._work = work
        self._failure: BaseException | None = None
        self._pieces: Queue[bytes | None] = Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="iterlog-beside", daemon=True)
        self._is_started = size >= WORTH_A_THREAD and self._start()

    def __call__(self, piece: bytes) -> None:
        """Have a piece worked on."""
        if not self._is_started:
            self._work(piece)
            return
        if self._failure is not None:
            raise self._failure
        self._pieces.put(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_started:
            self._pieces.put(None)
            self._thread.join()
            if self._failure is not None and error is None:
                raise self._failure

    def _start(self) -> bool:
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or the interpreter ends
            return False
        return True

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._failure is None:
                try:
                    self._work(piece)
                except BaseException as failure:  # noqa: BLE001 - whatever it is, who waits for the work raises it
                    self._failure = failure
