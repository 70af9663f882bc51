"""A request that is given up because its client is closed in another thread: fsspec returns as if it had been done."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from appended import commits, opened, record
from fault_proxy import FaultProxy, Hang
from servers.fixtures import reachable

from iterlog import IterlogError, UnavailableError
from iterlog.remote import sharing

if TYPE_CHECKING:
    from collections.abc import Callable

    from fault_proxy import Fault, Request
    from servers import Place

JOINED_S = 60.0


class FirstHangs:
    """A plan: the first request that is chosen is not answered."""

    def __init__(self, where: Callable[[Request], bool]) -> None:
        self._where = where
        self.reached = threading.Event()

    def __call__(self, request: Request) -> Fault | None:
        """Return what happens to a request."""
        if self.reached.is_set() or not self._where(request):
            return None
        self.reached.set()
        return Hang()


def in_a_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Begin some work in a thread; return it, and the list that gets what comes of the work."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except IterlogError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


@pytest.mark.parametrize("at_the_end", [False, True], ids=["by close", "at the interpreter's end"])
def test_an_append_whose_request_is_given_up_is_acknowledged_only_when_it_stands(
    honest: Place, monkeypatch: pytest.MonkeyPatch, at_the_end: bool
) -> None:
    """It is sent again, or refused; before, the caller was told that it stands, and a spool would have dropped it."""
    with FaultProxy(honest.server.address) as proxy:
        history = opened(reachable(honest.through(proxy.address), monkeypatch), read_timeout="30s")
        history._committer._deadline_s = 2.0
        history.append(record("one"))
        hanging = FirstHangs(commits)
        with proxy.failing(hanging):
            thread, outcome = in_a_thread(lambda: history.append(record("two")))
            assert hanging.reached.wait(JOINED_S)
            if at_the_end:
                sharing._close_all()
            else:
                history.close()
            thread.join(JOINED_S)
            assert not thread.is_alive()
    sharing._close_all()
    reachable(honest, monkeypatch)
    with opened(honest) as again:
        kept = [each.feedback for each in again]
    assert kept == (["one"] if isinstance(outcome[0], IterlogError) else ["one", "two"])


def test_a_read_whose_request_is_given_up_is_an_error_that_may_pass(
    honest: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage options are not to blame, and a spool does not take it for a refusal."""
    with FaultProxy(honest.server.address) as proxy:
        history = opened(reachable(honest.through(proxy.address), monkeypatch), read_timeout="30s")
        hanging = FirstHangs(lambda request: request.kind in {"GET", "LIST"})
        with proxy.failing(hanging):
            thread, outcome = in_a_thread(history.last)
            assert hanging.reached.wait(JOINED_S)
            sharing._close_all()
            thread.join(JOINED_S)
            assert not thread.is_alive()
    assert isinstance(outcome[0], UnavailableError)


def test_closing_waits_for_an_append_under_way(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's append is carried out on the connections it began with, and nothing is left of the handle."""
    with FaultProxy(s3.server.address) as proxy:
        history = opened(reachable(s3.through(proxy.address), monkeypatch))
        history.append(record("one"))
        hanging = FirstHangs(commits)
        with proxy.failing(hanging), proxy.counting() as counts:
            thread, outcome = in_a_thread(lambda: history.append(record("two")))
            assert hanging.reached.wait(JOINED_S)
            closing, _ = in_a_thread(history.close)
            time.sleep(0.2)  # long enough to close, where nobody waits
            proxy.release()
            for each in (thread, closing):
                each.join(JOINED_S)
                assert not each.is_alive()
        assert not isinstance(outcome[0], IterlogError)
        assert counts.by_kind == {"PUT": 1}
    assert not [each.name for each in threading.enumerate() if each.name == "iterlog-io"]
