"""A fake of Google's storage, run as a program: the part of its JSON interface that gcsfs uses, with its conditions.

Objects live in memory and in a journal, so that a kill costs none that was acknowledged. What makes it strict:
``ifGenerationMatch=0`` creates or answers 412, under one lock; what it does not know it answers with 400 or 501 rather
than let pass. ``GET /_requests`` tells what it was asked.

    python -m servers.strict_gcs HOST PORT JOURNAL
"""

from __future__ import annotations

import json
import re
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from servers.journal import Journal

_PAGE = 1000
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<key>[^/]+)")
_LISTING = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/o")
_UPLOAD = re.compile(r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o")
_BUCKET = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)")
_KNOWN = {
    "LIST": {"prefix", "delimiter", "maxResults", "pageToken"},
    "GET": {"alt"},
    "DELETE": set[str](),
    "UPLOAD": {"uploadType", "name", "ifGenerationMatch"},
}


class _Refused(Exception):  # noqa: N818  # an answer, not a failure of this program
    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Answer(NamedTuple):
    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Stored:
    data: bytes
    generation: int


class _Storage:
    """Buckets of objects; each method is one step for all others."""

    def __init__(self, journal: Journal) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, _Stored]] = {}
        self._generation = 1_700_000_000_000_000
        self._journal = journal
        self.requests: list[dict[str, str]] = []
        for bucket, key, stored in journal.entries():
            self._keep(bucket, key, stored)

    def make(self, bucket: str) -> None:
        with self._lock:
            if bucket in self._buckets:
                raise _Refused(HTTPStatus.CONFLICT, "this bucket is there")
            self._change(bucket, "", None)

    def put(self, bucket: str, key: str, data: bytes, condition: str | None) -> _Stored:
        with self._lock:
            objects = self._objects(bucket)
            there = objects[key].generation if key in objects else 0
            if condition is not None and condition != str(there):
                raise _Refused(HTTPStatus.PRECONDITION_FAILED, "At least one of the pre-conditions did not hold.")
            stored = _Stored(data, self._generation + 1)
            self._change(bucket, key, stored)
            return stored

    def get(self, bucket: str, key: str) -> _Stored:
        with self._lock:
            return self._object(bucket, key)

    def delete(self, bucket: str, key: str) -> None:
        with self._lock:
            self._object(bucket, key)
            self._change(bucket, key, None)

    def names(self, bucket: str) -> list[tuple[str, _Stored]]:
        with self._lock:
            return sorted(self._objects(bucket).items())

    def _change(self, bucket: str, key: str, stored: _Stored | None) -> None:
        self._journal.add((bucket, key, stored))
        self._keep(bucket, key, stored)

    def _keep(self, bucket: str, key: str, stored: _Stored | None) -> None:
        """Make a bucket (no key), keep an object, or forget it (nothing stored)."""
        objects = self._buckets.setdefault(bucket, {})
        if stored is not None:
            objects[key] = stored
            self._generation = stored.generation
        elif key:
            del objects[key]

    def _object(self, bucket: str, key: str) -> _Stored:
        try:
            return self._objects(bucket)[key]
        except KeyError:
            raise _Refused(HTTPStatus.NOT_FOUND, f"No such object: {bucket}/{key}") from None

    def _objects(self, bucket: str) -> dict[str, _Stored]:
        try:
            return self._buckets[bucket]
        except KeyError:
            raise _Refused(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.") from None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    storage: _Storage

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815  # names of the library's choice

    def log_message(self, *args: Any) -> None:
        """Keep quiet: what was asked is told at ``/_requests``."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            answer = self._route(url.path, query, body)
        except _Refused as refused:
            told = {"error": {"code": refused.status.value, "message": str(refused)}}
            answer = _Answer(json.dumps(told).encode(), refused.status)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _route(self, path: str, query: dict[str, str], body: bytes) -> _Answer:
        if path == "/_requests":
            return _Answer(json.dumps(self.storage.requests).encode())
        self.storage.requests.append({"method": self.command, "path": path, **query})
        if (found := _OBJECT.fullmatch(path)) and self.command in ("GET", "DELETE"):
            return self._object(found["bucket"], unquote(found["key"]), query)
        if (found := _LISTING.fullmatch(path)) and self.command == "GET":
            return _Answer(json.dumps(_page(self.storage.names(found["bucket"]), _only("LIST", query))).encode())
        if (found := _UPLOAD.fullmatch(path)) and self.command == "POST":
            return self._upload(found["bucket"], _only("UPLOAD", query), body)
        if (found := _BUCKET.fullmatch(path)) and self.command == "GET":
            self.storage.names(found["bucket"])
            return _Answer(json.dumps({"kind": "storage#bucket", "name": found["bucket"]}).encode())
        if path == "/storage/v1/b" and self.command == "POST":
            self.storage.make(json.loads(body)["name"])
            return _Answer(body)
        raise _Refused(HTTPStatus.NOT_IMPLEMENTED, f"this fake knows no {self.command} {path}")

    def _object(self, bucket: str, key: str, query: dict[str, str]) -> _Answer:
        _only(self.command, query)
        if self.command == "DELETE":
            self.storage.delete(bucket, key)
            return _Answer(b"", HTTPStatus.NO_CONTENT)
        stored = self.storage.get(bucket, key)
        if query.get("alt") != "media":
            return _Answer(json.dumps(_resource(key, stored)).encode())
        return _ranged(stored.data, self.headers.get("Range"))

    def _upload(self, bucket: str, query: dict[str, str], body: bytes) -> _Answer:
        if query.get("uploadType") == "multipart":
            key, body = _parts(body, self.headers["Content-Type"])
        elif query.get("uploadType") == "media":
            key = query["name"]
        else:
            raise _Refused(HTTPStatus.NOT_IMPLEMENTED, "this fake knows uploads of one request only")
        stored = self.storage.put(bucket, key, body, query.get("ifGenerationMatch"))
        return _Answer(json.dumps(_resource(key, stored)).encode())


def _only(kind: str, query: dict[str, str]) -> dict[str, str]:
    """Return the query, or refuse one that asks for what is not done here."""
    if unknown := query.keys() - _KNOWN[kind]:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"this fake knows no {sorted(unknown)}")
    return query


def _page(found: list[tuple[str, _Stored]], query: dict[str, str]) -> dict[str, Any]:
    """Return one page of a listing: names and common prefixes count alike."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    entries: dict[str, _Stored | None] = {}
    for name, stored in found:
        if name.startswith(prefix):
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            entries[prefix + head + cut if cut else name] = None if cut else stored
    left = [(name, entry) for name, entry in entries.items() if name > query.get("pageToken", "")]
    shown = left[: min(_PAGE, int(query.get("maxResults", _PAGE)))]
    page: dict[str, Any] = {"kind": "storage#objects"}
    if items := [_resource(name, entry) for name, entry in shown if entry]:
        page["items"] = items
    if prefixes := [name for name, entry in shown if entry is None]:
        page["prefixes"] = prefixes
    if len(left) > len(shown):
        page["nextPageToken"] = shown[-1][0]
    return page


def _resource(name: str, stored: _Stored) -> dict[str, str]:
    return {
        "kind": "storage#object",
        "name": name,
        "size": str(len(stored.data)),
        "generation": str(stored.generation),
        "metageneration": "1",
    }


def _ranged(data: bytes, wanted: str | None) -> _Answer:
    kind = "application/octet-stream"
    if wanted is None:
        return _Answer(data, kind=kind)
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    if found is None or found[1] == found[2] == "":
        raise _Refused(HTTPStatus.BAD_REQUEST, f"no such range: {wanted}")
    start = int(found[1]) if found[1] else max(0, len(data) - int(found[2]))
    end = min(len(data), int(found[2]) + 1) if found[1] and found[2] else len(data)
    if start >= end:
        return _Answer(
            b"The requested range cannot be satisfied.",
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "text/html; charset=UTF-8",
            (("Content-Range", f"bytes */{len(data)}"),),
        )
    where = ("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
    return _Answer(data[start:end], HTTPStatus.PARTIAL_CONTENT, kind, (where,))


def _parts(body: bytes, kind: str) -> tuple[str, bytes]:
    """Return the key and the bytes of a ``multipart/related`` upload: its description, then its data."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    try:
        _, described, rest = body.split(b"--" + boundary, 2)
        data, _ = rest.rsplit(b"--" + boundary + b"--", 1)
        key = json.loads(re.split(rb"\r?\n\r?\n", described, maxsplit=1)[1])["name"]
        content = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[1]
    except (ValueError, IndexError, KeyError):
        raise _Refused(HTTPStatus.BAD_REQUEST, "this is no multipart upload") from None
    return key, content.removesuffix(b"\n").removesuffix(b"\r")


if __name__ == "__main__":
    _Handler.storage = _Storage(Journal(sys.argv[3]))
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), _Handler).serve_forever()
