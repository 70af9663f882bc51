"""Several requests on their way at a time, their answers in order, and no more bytes ahead than a bound."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_T = TypeVar("_T")

WIDTH = 16
"""Requests on their way at a time."""

_AHEAD_BYTES = 32 << 20
USUAL_SIZE = 1 << 16
"""Bytes of an answer whose size is not known, for the bound on what is ahead."""


def prefetched(asks: Sequence[Callable[[], _T]], sizes: Sequence[int] | None = None) -> Iterator[_T]:
    """Yield what requests give, in order; the threads that make them end with the iterator.

    Args:
        asks: Each makes one request.
        sizes: The bytes of each answer, as far as they are known.
    """
    if len(asks) <= 1:
        yield from (ask() for ask in asks)
        return
    waiting: deque[tuple[Future[_T], int]] = deque()
    ahead = following = 0
    pool = ThreadPoolExecutor(min(WIDTH, len(asks)), thread_name_prefix="iterlog-get")
    try:
        while waiting or following < len(asks):
            while following < len(asks) and len(waiting) < 2 * WIDTH and (not waiting or ahead < _AHEAD_BYTES):
                size = USUAL_SIZE if sizes is None else sizes[following]
                waiting.append((pool.submit(asks[following]), size))
                ahead += size
                following += 1
            future, size = waiting.popleft()
            ahead -= size
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
