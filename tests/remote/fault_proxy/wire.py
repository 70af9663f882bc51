"""Messages of HTTP/1.1 as they stand on the wire, and what a request asks of which object store."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping

Kind = Literal["PUT", "GET", "HEAD", "LIST", "DELETE", "POST"]
Dialect = Literal["s3", "azure", "gcs"]

_PIECE = 64 * 1024
_PEEK = 4096  # bytes of a body in which an upload of Google's kind names its object
_GCS = re.compile(r"/(?:upload/|download/)?storage/v1/b/(?P<bucket>[^/]+)(?:/o(?:/(?P<key>.+))?)?")
_AZURE = re.compile(r"/devstoreaccount1(?:/(?P<bucket>[^/]+))?(?:/(?P<key>.+))?")
_S3 = re.compile(r"/(?P<bucket>[^/]+)?(?:/(?P<key>.+))?")
_NAME = re.compile(rb'"name": ?"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Request:
    """A request as a plan sees it.

    Attributes:
        number: Of this request at this proxy, from 0.
        method: As sent.
        kind: What it does: an upload by POST is a PUT, a GET of many names is a LIST.
        key: Of the object inside its bucket, or the empty string.
        target: Path and query as sent.
        dialect: Whose words it uses.
        headers: By name in small letters.
    """

    number: int
    method: str
    kind: Kind
    key: str
    target: str
    dialect: Dialect
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def of(cls, number: int, head: Head, beginning: bytes) -> Request:
        """Return what a head and the beginning of its body ask for."""
        method, target, _ = head.first.split(" ", 2)
        headers = {name.lower(): value for name, value in head.lines}
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True)
        dialect, pattern = _dialect(url.path)
        found = pattern.fullmatch(url.path)
        key = unquote(found["key"] or "") if found else ""
        if dialect == "gcs" and url.path.startswith("/upload/"):
            named = _NAME.search(beginning)
            key = query["name"][0] if "name" in query else named[1].decode() if named else ""
            return cls(number, method, "PUT", key, target, dialect, headers)
        lists = method == "GET" and not key and _asks_for_names(url.path, query, dialect)
        return cls(number, method, "LIST" if lists else _kind(method, query), key, target, dialect, headers)


@dataclass(frozen=True)
class Head:
    """The first line of a message and its header lines; names are compared without regard to case."""

    first: str
    lines: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        return next((value for found, value in self.lines if found.lower() == name), None)

    def without(self, *names: str) -> Head:
        """Return it without these headers."""
        return Head(self.first, tuple(line for line in self.lines if line[0].lower() not in names))

    def plus(self, name: str, value: str) -> Head:
        """Return it with one more header."""
        return Head(self.first, (*self.lines, (name, value)))

    def encoded(self) -> bytes:
        """Return it as sent, with the empty line at its end."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.lines)
        return f"{self.first}\r\n{lines}\r\n".encode("latin-1")

    @property
    def asks(self) -> bool:
        """Whether this is a request at all, and not another protocol."""
        return re.fullmatch(r"[A-Z]+ \S+ HTTP/1\.[01]", self.first) is not None

    @property
    def target(self) -> str:
        """Path and query of a request."""
        return self.first.split(" ", 2)[1]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return (self.get("transfer-encoding") or "").lower() == "chunked"


class Body:
    """The body of a request that is still arriving; chunks stay framed as they came.

    Args:
        head: What stands before it.
        reader: Where it arrives.
        count: Told the size of each piece.
    """

    def __init__(self, head: Head, reader: asyncio.StreamReader, count: Callable[[int], None]) -> None:
        self._pieces = _chunks(reader) if head.chunked else _counted(reader, int(head.get("content-length") or 0))
        self._count = count
        self._arrived = bytearray()
        self._names_its_object = head.target.startswith("/upload/")

    async def beginning(self) -> bytes:
        """Return as much as it takes to know what the request is about: nothing, except for Google's uploads."""
        return await self.at_least(_PEEK) if self._names_its_object else b""

    async def at_least(self, size: int) -> bytes:
        """Return what has arrived once it is this many bytes, or all."""
        while len(self._arrived) < size and (piece := await anext(self._pieces, None)) is not None:
            self._count(len(piece))
            self._arrived += piece
        return bytes(self._arrived)

    async def whole(self) -> bytes:
        """Return all of it."""
        return await self.at_least(sys.maxsize)


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Return the next head, or None where the other side has said its last."""
    first = await reader.readline()
    if not first:
        return None
    lines = []
    while (line := (await reader.readline()).decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        lines.append((name.strip(), value.strip()))
    return Head(first.decode("latin-1").rstrip("\r\n"), tuple(lines))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\n")
        yield line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        async for piece in _counted(reader, size + len(b"\r\n")):
            yield piece
    while True:
        line = await reader.readuntil(b"\n")
        yield line
        if not line.strip():
            return


async def _counted(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, _PIECE))
        if not piece:
            raise ConnectionError("the body ends early")
        size -= len(piece)
        yield piece


def _dialect(path: str) -> tuple[Dialect, re.Pattern[str]]:
    if _GCS.fullmatch(path):
        return "gcs", _GCS
    if _AZURE.fullmatch(path):
        return "azure", _AZURE
    return "s3", _S3


def _asks_for_names(path: str, query: dict[str, list[str]], dialect: Dialect) -> bool:
    match dialect:
        case "gcs":
            return path.endswith("/o")
        case "azure":
            return query.get("comp") == ["list"]
        case "s3":
            return "location" not in query


def _kind(method: str, query: dict[str, list[str]]) -> Kind:
    match method:
        case "POST":
            return "DELETE" if "delete" in query or query.get("comp") == ["batch"] else "POST"
        case "PUT" | "GET" | "HEAD" | "DELETE":
            return method
        case _:
            raise ValueError(f"no object store is asked by {method}")
