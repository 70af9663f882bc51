"""An event loop in a thread of its own, for clients that need one; it ends with the last handle that uses it.

fsspec has one for all its file systems, but that is never ended, and a forked child that closes what it inherited
would take the parent's connections out of the parent's hands: both ask one and the same epoll of the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_LAST_S = 5.0
"""How long connections may take to be closed: a store that hangs must not hold up who leaves."""


class LoopThread:
    """A running event loop.

    Attributes:
        loop: The loop, to be given to a file system.
        ending: Whether what is under way is given up; fsspec returns None for that, as for what is done.
    """

    def __init__(self) -> None:
        self.loop = _Loop(_Selector())
        self.ending = False
        self._thread = threading.Thread(target=self._run, name="iterlog-io", daemon=True)
        self._thread.start()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Give up what is still under way, do a last thing, and end the thread."""
        if self.ending:
            return
        self.ending = True
        future = asyncio.run_coroutine_threadsafe(_finish(last), self.loop)
        with contextlib.suppress(TimeoutError):  # closed by force below
            future.result(_LAST_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_LAST_S)
        if not self._thread.is_alive():
            self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


async def _finish(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await last()
    await asyncio.sleep(0)  # what was closed tells its transport in the loop's next turn


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose blocking calls, the look-up of a host above all, do not need what the interpreter ends first.

    Python's own threads for these are joined before anything else at the end: a look-up that hangs would hold it up,
    and afterwards none is done any more, although a batch may still have to be committed.
    """

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Call a function in a thread that nobody waits for."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[_T] = self.create_future()

        def work() -> None:
            try:
                settle = partial(_settle, future, future.set_result, func(*args))
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                settle = partial(_settle, future, future.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop was ended meanwhile
                self.call_soon_threadsafe(settle)

        try:
            threading.Thread(target=work, name="iterlog-look-up", daemon=True).start()
        except RuntimeError:  # the interpreter ends, and starts no more threads
            work()
        return future


def _settle(future: asyncio.Future[Any], how: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        how(outcome)


class _Selector(selectors.DefaultSelector):
    """A selector that a forked child can let go of without a change to the parent's."""

    def __init__(self) -> None:
        super().__init__()
        self._owner = os.getpid()

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget a socket; in a forked child leave the parent's kernel object as it is."""
        if os.getpid() == self._owner:
            return super().unregister(fileobj)
        return self.get_key(fileobj)
