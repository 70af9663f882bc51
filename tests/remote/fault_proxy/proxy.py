"""The proxy: a thread with an event loop, a listening socket, and a plan."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

from fault_proxy.counts import Counts
from fault_proxy.exchange import Connections, Exchange, Origin
from fault_proxy.wire import Body, Head, Request, read_head

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from fault_proxy.faults import Fault
    from fault_proxy.plans import Plan

_HOST = "127.0.0.1"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class FaultProxy:
    """Stands before one server; without a plan it only counts. A context manager.

    Args:
        server: Where the server listens, as ``host:port``.

    Attributes:
        played: Each fault that a request met, in order; a test that means to break something checks that it did.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._connections = Connections()
        self._origin = Origin(host, int(port), self._connections)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []
        self._next_release = asyncio.Event()
        self._active: list[Counts] = []
        self._plan: Plan | None = None
        self._arrived = 0
        self._port = 0
        self._listening: asyncio.Server | None = None
        self.played: list[tuple[Request, Fault]] = []

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"{_HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_raised: object) -> None:
        try:
            self._run(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        if self._broken:
            raise self._broken[0]

    @contextlib.contextmanager
    def counting(self) -> Iterator[Counts]:
        """Count what arrives during the ``with`` block."""
        counts = Counts()
        self._active = [*self._active, counts]
        try:
            yield counts
        finally:
            self._active = [other for other in self._active if other is not counts]

    @contextlib.contextmanager
    def failing(self, plan: Plan) -> Iterator[None]:
        """Follow a plan during the ``with`` block."""
        before, self._plan = self._plan, plan
        try:
            yield
        finally:
            self._plan = before

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections, and close those there are, during the ``with`` block."""
        self._run(self._stop_listening())
        try:
            yield
        finally:
            self._run(self._listen())

    def release(self) -> None:
        """Let every request that hangs go on; later ones hang again."""
        self._run(self._release())

    def _run(self, step: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(self._connected, _HOST, self._port, backlog=128)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for task in self._tasks:
            task.cancel()
        self._connections.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _close(self) -> None:
        await self._stop_listening()
        await self._loop.shutdown_asyncgens()

    async def _release(self) -> None:
        self._next_release.set()
        self._next_release = asyncio.Event()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        task = self._loop.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._conversed)

    def _conversed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken.append(error)  # a fault of the proxy's own; told at its end

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one request after the other on a client's connection; a side that goes away ends it."""
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while (head := await read_head(reader)) is not None and await self._exchange(head, reader, writer):
                    pass
        finally:
            await self._connections.close(writer)

    async def _exchange(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Carry one request and its answer; return whether the connection goes on."""
        if not head.asks:
            return False
        if (head.get("expect") or "").lower() == "100-continue":
            writer.write(_CONTINUE)
        counting = self._active
        body = Body(head, reader, lambda size: _count_up(counting, size))
        request = Request.of(self._arrived, head, await body.beginning())
        self._arrived += 1
        for counts in counting:
            counts.requests.append(request)
        exchange = Exchange(request, head, body, writer, self._origin, self._next_release, counting)
        fault = self._plan(request) if self._plan else None
        if fault is None:
            await exchange.send(await exchange.ask())
        else:
            self.played.append((request, fault))
            await fault.play(exchange)
        return exchange.alive


def _count_up(counting: list[Counts], size: int) -> None:
    for counts in counting:
        counts.bytes_up += size
