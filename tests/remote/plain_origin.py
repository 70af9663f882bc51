"""A trivial server behind the proxy, and plain ways to talk to them."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

PUT, GET = ("PUT", "/bucket/log/1"), ("GET", "/bucket/log/1")
LIST = ("GET", "/bucket?list-type=2&prefix=log%2F")

LARGE = 50_000_000  # bytes; more than sockets hold on the way


class Origin:
    """A server that remembers what reached it and tells how many requests it has had."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(size)
                origin.seen.append((self.command, self.path, body))
                origin.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = b"answer %d" % len(origin.seen) if "large" not in self.path else bytes(LARGE)
                self.send_response(200)
                if "chunked" in self.path:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer))
                else:
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(b"" if self.command == "HEAD" else answer)

            do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815  # names of the library's choice

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_args: object) -> None:
                """Keep quiet."""

            def handle(self) -> None:
                with suppress(ConnectionError):  # what the proxy does to a connection is the point
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that its end waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Origin]:
        """Serve during the ``with`` block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A trivial server."""
    with Origin().running() as running:
        yield running


@pytest.fixture
def proxy(origin: Origin) -> Iterator[FaultProxy]:
    """A proxy before the trivial server."""
    with FaultProxy(origin.address) as started:
        yield started


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    """A connection to the proxy."""
    connection = http.client.HTTPConnection(proxy.address, timeout=10)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection, request: tuple[str, str] = PUT, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request and return the answer's status and body."""
    client.request(*request, body=body)
    with client.getresponse() as answer:
        return answer.status, answer.read()


def connected(proxy: FaultProxy) -> socket.socket:
    """Return a socket to the proxy."""
    host, _, port = proxy.address.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def received(raw: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    everything = b""
    while piece := raw.recv(1000):
        everything += piece
    return everything
