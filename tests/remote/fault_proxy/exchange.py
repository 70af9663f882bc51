"""One request on its way through the proxy: what a fault can do with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from fault_proxy.answers import Message, error
from fault_proxy.wire import Body, Head, Request, read_head

if TYPE_CHECKING:
    from fault_proxy.counts import Counts

_NO_BODY = {"204", "304"}
_ALL = slice(None)


class Connections:
    """What is open, so that all of it can be closed."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()

    def add(self, writer: asyncio.StreamWriter) -> None:
        """Remember one to close."""
        self._writers.add(writer)

    async def close(self, writer: asyncio.StreamWriter) -> None:
        """Close one and wait until its socket is gone."""
        self._writers.discard(writer)
        writer.close()
        with contextlib.suppress(OSError):  # the other side was faster
            await writer.wait_closed()

    def abort(self) -> None:
        """Break what is open, also where the other side does not read; who uses one closes it then."""
        for writer in self._writers:
            writer.transport.abort()


class Origin:
    """The server, and how it has answered each listing so far.

    Args:
        host: Where it listens.
        port: The same.
        connections: Where those to it are kept while they are open.
    """

    def __init__(self, host: str, port: int, connections: Connections) -> None:
        self._where = (host, port)
        self._connections = connections
        self._lists: dict[str, list[Message]] = {}

    async def ask(self, request: Request, head: Head, body: bytes) -> Message:
        """Return its answer, on a connection of its own."""
        reader, writer = await asyncio.open_connection(*self._where)
        self._connections.add(writer)
        try:
            writer.write(head.without("connection", "expect").plus("Connection", "close").encoded() + body)
            with contextlib.suppress(ConnectionError):  # it may answer before it has read all
                await writer.drain()
            answer = await _answer(request.method, reader)
        finally:
            await self._connections.close(writer)
        if request.kind == "LIST":
            self._lists.setdefault(request.target, []).append(answer)
        return answer

    def earlier_lists(self, request: Request) -> list[Message]:
        """Return how this very listing was answered before, oldest first."""
        return self._lists.get(request.target, [])


class Exchange:
    """A request that has begun to arrive, the server it is meant for, and the client that waits.

    Attributes:
        request: What it asks.
        body: What arrives behind its head.
        alive: Whether the connection carries another request afterwards.
    """

    def __init__(
        self,
        request: Request,
        head: Head,
        body: Body,
        client: asyncio.StreamWriter,
        origin: Origin,
        release: asyncio.Event,
        counting: list[Counts],
    ) -> None:
        self.request = request
        self.body = body
        self.alive = (head.get("connection") or "").lower() != "close"
        self._head = head
        self._client = client
        self._origin = origin
        self._release = release
        self._counting = counting

    async def ask(self) -> Message:
        """Let the server answer."""
        return await self._origin.ask(self.request, self._head, await self.body.whole())

    def earlier_lists(self) -> list[Message]:
        """Return how the server answered this very listing before, oldest first."""
        return self._origin.earlier_lists(self.request)

    async def send(self, answer: Message, part: slice = _ALL) -> None:
        """Send an answer to the client; bytes count before they are sent, so that who has them finds them counted."""
        for counts in self._counting:
            counts.bytes_down += len(answer.body)
        self.alive = self.alive and answer.framed
        self._client.write(answer.encoded()[part])
        await self._client.drain()

    async def refuse(self, status: int) -> None:
        """Answer with an error in the store's words."""
        await self.send(error(status, self.request.dialect, self.request.method))

    async def released(self) -> None:
        """Wait for the proxy's `release`."""
        await self._release.wait()

    def drop(self) -> None:
        """Close the client's connection in order (FIN)."""
        self.alive = False

    def reset(self) -> None:
        """Close the client's connection at once (RST)."""
        self.alive = False
        opened: socket.socket = self._client.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.transport.abort()


async def _answer(method: str, reader: asyncio.StreamReader) -> Message:
    """Return the answer to a request that asked for the connection to be closed behind it."""
    head = await read_head(reader)
    if head is None:
        raise ConnectionError("the server closed the connection instead of an answer")
    body = await reader.read()
    version, status, *_ = head.first.split(" ", 2)
    bare = method == "HEAD" or status in _NO_BODY
    whole = body.endswith(b"0\r\n\r\n") if head.chunked else head.get("content-length") == str(len(body))
    framed = bare or whole
    first = head.first.replace(version, "HTTP/1.1", 1) if framed else head.first
    return Message(Head(first, head.without("connection", "keep-alive").lines), body, framed)
