"""The proxy before a trivial server: each fault does what it says, and nothing is left behind."""

from __future__ import annotations

import gc
import http.client
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_proxy import (
    Answer,
    AnswerAfter,
    CutAnswer,
    DropAfter,
    DropBefore,
    FaultProxy,
    Hang,
    Request,
    ResetInBody,
    Slow,
    StaleList,
    always,
    by_chance,
    script,
)
from plain_origin import GET, LIST, PUT, Origin, ask, client, connected, origin, proxy, received

if TYPE_CHECKING:
    from fault_proxy import Fault

__all__ = ["client", "origin", "proxy"]  # fixtures


def test_without_a_plan_requests_pass_as_they_are(origin: Origin, client: http.client.HTTPConnection) -> None:
    """Method, path, body, host and answer reach the other side unchanged."""
    assert ask(client, ("PUT", "/bucket/a%20b?x=1%2F2"), b"body") == (200, b"answer 1")
    assert origin.seen == [("PUT", "/bucket/a%20b?x=1%2F2", b"body")]
    assert origin.headers[0]["host"] == f"{client.host}:{client.port}"


def test_one_connection_carries_many_requests(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    """Keep-alive holds over requests of each kind, also when the proxy answers itself."""
    ask(client)
    first = client.sock
    with proxy.failing(script([None, Answer(503)])):
        for request in (GET, PUT, LIST, ("HEAD", "/bucket/log/1"), ("DELETE", "/bucket/log/1"), ("GET", "/b/chunked")):
            ask(client, request)
    assert client.sock is first


def test_bodies_pass_with_a_length_and_in_chunks(origin: Origin, client: http.client.HTTPConnection) -> None:
    """A body of megabytes arrives whole, however it is framed; a chunked answer too."""
    body = os.urandom(3_000_000)
    ask(client, body=body)
    client.request("PUT", "/bucket/chunked", body=iter([body[:10], body[10:]]), encode_chunked=True)
    with client.getresponse() as answer:
        assert answer.read() == b"answer 2"
    assert [seen[2] for seen in origin.seen] == [body, body]


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(origin: Origin, proxy: FaultProxy) -> None:
    """A body announced by ``Expect`` is asked for, and the server sees it without."""
    with connected(proxy) as raw:
        raw.sendall(b"PUT /bucket/key HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"body")
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
    assert origin.seen == [("PUT", "/bucket/key", b"body")]
    assert "expect" not in origin.headers[0]


@pytest.mark.parametrize(
    ("fault", "reached"),
    [(DropBefore(), 0), (ResetInBody(), 0), (DropAfter(), 1), (CutAnswer(5), 1), (CutAnswer(-1), 1)],
    ids=repr,
)
def test_a_connection_lost_leaves_the_client_without_an_answer(
    fault: Fault, reached: int, origin: Origin, proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    """The client sees an error, the server was asked or not as the fault says, and the next request is served."""
    with proxy.failing(script([fault])):
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(client, body=b"body")
        client.close()
        assert len(origin.seen) == reached
        assert [played for _, played in proxy.played] == [fault]
        assert ask(client)[0] == 200


def test_a_reset_comes_in_the_middle_of_a_body(origin: Origin, proxy: FaultProxy) -> None:
    """The client still sends when the connection is reset, not closed in order."""
    with connected(proxy) as raw, proxy.failing(always(ResetInBody(after=1000))):
        raw.sendall(b"PUT /bucket/key HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n" + bytes(2000))
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
    assert origin.seen == []


def test_a_drop_is_a_close_in_order(proxy: FaultProxy) -> None:
    """A dropped connection ends without a reset."""
    with connected(proxy) as raw, proxy.failing(always(DropBefore())):
        raw.sendall(b"PUT /bucket/key HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
        assert raw.recv(1) == b""


def test_an_answer_is_cut_where_asked(proxy: FaultProxy) -> None:
    """Exactly so many bytes of the answer arrive."""
    with connected(proxy) as raw, proxy.failing(always(CutAnswer(13))):
        raw.sendall(b"GET /bucket/key HTTP/1.1\r\n\r\n")
        assert received(raw) == b"HTTP/1.1 200 "


@pytest.mark.parametrize("status", [409, 412, 429, 500, 503])
@pytest.mark.parametrize(
    ("path", "code"),
    [("/bucket/key", b"<Code>"), ("/devstoreaccount1/box/key", b"<Code>"), ("/storage/v1/b/bucket/o/key", b'"code"')],
)
def test_an_error_comes_in_the_words_of_the_store(
    status: int, path: str, code: bytes, origin: Origin, proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    """The proxy answers itself and the server hears nothing."""
    with proxy.failing(always(Answer(status))):
        found, body = ask(client, ("PUT", path), b"body")
    assert (found, code in body, origin.seen) == (status, True, [])


def test_an_error_may_come_after_the_deed(
    origin: Origin, proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    """The server has done what the client is told has failed."""
    with proxy.failing(always(AnswerAfter(500))):
        assert ask(client, body=b"body")[0] == 500
    assert origin.seen == [("PUT", "/bucket/log/1", b"body")]


@pytest.mark.parametrize("fault", [Slow(before=0.2), Slow(after=0.2)], ids=repr)
def test_a_slow_answer_is_the_same_answer(
    fault: Slow, origin: Origin, proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    """It comes no earlier than was asked, and the server was asked before or behind the pause."""
    begun = time.monotonic()
    with proxy.failing(always(fault)), ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, client)
        while not origin.seen:
            time.sleep(0.001)
        if fault.before:
            assert time.monotonic() - begun >= fault.before
        assert answer.result() == (200, b"answer 1")
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("asked", [False, True])
def test_a_hanging_request_is_answered_when_released(
    asked: bool, origin: Origin, proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    """Nothing comes until then; the server was asked before or is asked then."""
    with proxy.failing(always(Hang(asked=asked))), ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, client)
        while not (proxy.played and len(origin.seen) == asked):
            time.sleep(0.001)
        time.sleep(0.05)
        assert (answer.done(), len(origin.seen)) == (False, asked)
        proxy.release()
        assert answer.result(10) == (200, b"answer 1")


def test_a_stale_listing_is_an_earlier_answer(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    """A listing of the same names repeats an earlier one; without one it is the truth, and other names are others."""
    with proxy.failing(always(StaleList(), where=lambda request: request.kind == "LIST")):
        assert ask(client, LIST)[1] == b"answer 1"
        assert ask(client)[1] == b"answer 2"
        assert ask(client, LIST)[1] == b"answer 1"
        assert ask(client, (LIST[0], LIST[1] + "x"))[1] == b"answer 3"
    assert ask(client, LIST)[1] == b"answer 4"
    with proxy.failing(script([StaleList(back=2), StaleList(back=1)])):
        assert (ask(client, LIST)[1], ask(client, LIST)[1]) == (b"answer 1", b"answer 4")


def test_while_away_nobody_answers(origin: Origin, proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    """Connections there were are closed, new ones are refused, and afterwards the same address serves again."""
    ask(client)
    with proxy.away():
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(client)
        client.close()
        with pytest.raises(ConnectionRefusedError):
            ask(client)
        client.close()
    assert ask(client)[1] == b"answer 2"
    assert len(origin.seen) == 2


def test_a_server_that_is_away_is_a_lost_connection() -> None:
    """A proxy before nothing closes each connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with FaultProxy(f"127.0.0.1:{taken.getsockname()[1]}") as proxy, connected(proxy) as raw:
            raw.sendall(b"GET /bucket/key HTTP/1.1\r\n\r\n")
            assert received(raw) == b""


def test_a_plan_by_chance_is_the_same_for_the_same_seed(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    """A share of the requests chosen meets faults, and a run can be repeated."""

    def run(seed: int, rate: float) -> list[int]:
        with proxy.failing(by_chance(seed, [Answer(500), Answer(503)], rate, where=lambda one: one.kind == "PUT")):
            return [ask(client, request)[0] for _ in range(40) for request in (PUT, GET)]

    once = run(1, 0.5)
    assert once == run(1, 0.5) != run(2, 0.5)
    assert set(once) == {200, 500, 503}
    assert set(once[1::2]) == {200}
    assert set(run(1, 0.0)) == {200}


def test_nothing_is_left_when_it_ends() -> None:
    """No thread, no socket and no waiting request outlives the proxy, even with clients that hang."""
    gc.collect()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    with Origin().running() as origin:
        faults = [Hang(), Hang(asked=True), Slow(before=60)]
        with FaultProxy(origin.address) as proxy, proxy.failing(script(faults)):
            clients = [connected(proxy) for _ in range(4)]
            for client in clients:
                client.sendall(b"GET /bucket/key HTTP/1.1\r\n\r\n")
            while len(proxy.played) < 3:
                time.sleep(0.001)
        for client in clients:
            assert client.recv(1) in (b"", b"H")  # closed; one had no fault and its answer
            client.close()
    assert set(threading.enumerate()) <= threads
    assert _descriptors() <= descriptors  # fewer, where a library was still closing what an earlier test used


def test_a_client_that_reads_no_answer_holds_nobody_up(origin: Origin) -> None:
    """The proxy ends while most of an answer still waits to be read."""
    with FaultProxy(origin.address) as proxy, proxy.counting() as counts:
        raw = connected(proxy)
        raw.sendall(b"GET /bucket/large HTTP/1.1\r\n\r\n")
        while counts.bytes_down == 0:
            time.sleep(0.001)
    raw.close()


def test_a_connection_to_the_server_ends_with_its_answer(client: http.client.HTTPConnection) -> None:
    """Many requests later no more is open than after the first."""
    ask(client)
    before = _descriptors()
    for _ in range(20):
        ask(client)
    deadline = time.monotonic() + 10
    while _descriptors() > before + 4:  # the server may still be closing its side of some
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_no_http_is_a_closed_connection(origin: Origin, proxy: FaultProxy) -> None:
    """A client that speaks TLS or HTTP/2 is hung up on, and counts as nothing."""
    with connected(proxy) as raw, proxy.counting() as counts:
        raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert received(raw) == b""
    assert (counts.total, origin.seen) == (0, [])


def test_a_fault_of_the_proxy_itself_is_told(origin: Origin) -> None:
    """A plan that breaks fails the test it stands in, rather than look like a lost connection."""

    def broken(_request: Request) -> Fault | None:
        raise ZeroDivisionError

    def run() -> None:
        with FaultProxy(origin.address) as proxy, proxy.failing(broken), connected(proxy) as raw:
            raw.sendall(b"GET /bucket/key HTTP/1.1\r\n\r\n")
            assert received(raw) == b""

    with pytest.raises(ZeroDivisionError):
        run()


def _descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))
