"""What the proxy makes of a request: what it counts, and what a plan is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fault_proxy import Answer, script
from plain_origin import GET, LIST, ask, client, origin, proxy

if TYPE_CHECKING:
    import http.client

    from fault_proxy import FaultProxy, Request

__all__ = ["client", "origin", "proxy"]  # fixtures


def test_each_request_and_the_bodies_are_counted(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    """By method and kind, only while somebody counts, also where a fault answers."""
    ask(client)
    with proxy.counting() as counts, proxy.failing(script([Answer(500)])):
        ask(client, body=b"12345")
        with proxy.counting() as inner:
            ask(client, GET)
        ask(client, LIST)
        ask(client, ("HEAD", "/bucket/log/1"))
        ask(client, ("POST", "/bucket?delete"))
    ask(client)
    assert counts.by_method == {
        ("PUT", "PUT"): 1,
        ("GET", "GET"): 1,
        ("GET", "LIST"): 1,
        ("HEAD", "HEAD"): 1,
        ("POST", "DELETE"): 1,
    }
    assert (counts.total, counts.of("LIST"), counts.of("DELETE"), counts.bytes_up) == (5, 1, 1, 5)
    assert (inner.by_kind, inner.bytes_up, inner.bytes_down) == ({"GET": 1}, 0, len(b"answer 2"))


KINDS = {
    ("GET", "/bucket?list-type=2&prefix=a"): ("LIST", "", "s3"),
    ("GET", "/bucket/"): ("LIST", "", "s3"),
    ("GET", "/bucket?location"): ("GET", "", "s3"),
    ("GET", "/bucket/log/a%20b"): ("GET", "log/a b", "s3"),
    ("GET", "/devstoreaccount1/box?restype=container&comp=list&prefix=a"): ("LIST", "", "azure"),
    ("GET", "/devstoreaccount1/box?restype=container"): ("GET", "", "azure"),
    ("PUT", "/devstoreaccount1/box/log/1"): ("PUT", "log/1", "azure"),
    ("POST", "/devstoreaccount1/box?restype=container&comp=batch"): ("DELETE", "", "azure"),
    ("GET", "/storage/v1/b/bucket/o?prefix=a"): ("LIST", "", "gcs"),
    ("GET", "/storage/v1/b/bucket"): ("GET", "", "gcs"),
    ("DELETE", "/storage/v1/b/bucket/o/log%2F1"): ("DELETE", "log/1", "gcs"),
    ("GET", "/download/storage/v1/b/bucket/o/log%2F1?alt=media"): ("GET", "log/1", "gcs"),
    ("POST", "/upload/storage/v1/b/bucket/o?uploadType=media&name=log%2F1"): ("PUT", "log/1", "gcs"),
}


@pytest.mark.parametrize(("method", "path"), KINDS)
def test_a_request_is_told_by_what_it_does(
    method: str, path: str, proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    """Kind, key and dialect are read from the words of each store."""
    seen: list[Request] = []
    with proxy.failing(seen.append):
        ask(client, (method, path))
    assert [(request.kind, request.key, request.dialect) for request in seen] == [KINDS[method, path]]


def test_the_key_of_an_upload_stands_in_its_body(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    """An upload in parts, as gcsfs sends it, is known by the name it carries."""
    with proxy.counting() as counts:
        body = b'--==0==\nContent-Type: application/json\n\n{"name": "log/1"}\n--==0==\n\ndata\n--==0==--'
        ask(client, ("POST", "/upload/storage/v1/b/bucket/o?uploadType=multipart"), body)
    assert [(request.kind, request.key) for request in counts.requests] == [("PUT", "log/1")]
