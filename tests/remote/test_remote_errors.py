"""What goes wrong with a store on the network: each an error of its own that says what to do, soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from fault_proxy import FaultProxy, Hang, always, script
from places import history_url
from refusals import Refusal
from servers.azure import KEY as AZURE_KEY
from servers.fixtures import reachable
from servers.process import HOST, free_port

import iterlog
from iterlog.remote import filesystem

if TYPE_CHECKING:
    from pathlib import Path

    from fault_proxy import Plan
    from servers import Place

Work = Callable[..., object]

SOON_S = 10.0


def written(url: str, **options: object) -> None:
    """Append a record."""
    with iterlog.open_history(url, **options) as history:
        history.save(code="pass", metrics={}, feedback="")


def read(url: str, **options: object) -> list[iterlog.IterationRecord]:
    """Read all records."""
    with iterlog.open_history(url, **options) as history:
        return list(history.read())


def resumed(url: str, **options: object) -> None:
    """Take the history over."""
    with iterlog.open_history(url, **options) as history:
        history.resume()


def test_a_careless_store_is_refused_and_nothing_is_appended(careless: Place) -> None:
    """Where an object is created over another one, two writers would lose records: no append, no resume."""
    url = history_url(careless)
    for work in (written, resumed):
        with pytest.raises(iterlog.UnsupportedOperationError, match="If-None-Match"):
            work(url)
    assert careless.back_door.names("runs/log/") == []
    assert read(url) == []


@pytest.mark.parametrize("work", [written, read, resumed])
def test_a_missing_bucket_is_no_empty_history(work: Work, honest: Place) -> None:
    """A bucket that does not exist is told apart from a history that does not exist yet."""
    url = history_url(honest).replace(honest.bucket, "iterlog-of-nobody")
    with pytest.raises(iterlog.HistoryNotFoundError, match="bucket") as caught:
        work(url)
    assert caught.value.url == url.partition("?")[0]


def test_a_missing_prefix_is_an_error_only_when_asked_for(honest: Place) -> None:
    """``create=false`` wants a history that is there; what stands beside it does not count."""
    written(history_url(honest))
    url = history_url(honest).replace("/runs", "/other")
    with pytest.raises(iterlog.HistoryNotFoundError):
        iterlog.open_history(url, create=False)
    assert read(url) == []


def test_a_wrong_key_and_a_wrong_secret_are_told_apart(rclone_s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which of the two the store did not take."""
    url = history_url(rclone_s3)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(iterlog.AccessDeniedError, match="secret"):
        read(url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    with pytest.raises(iterlog.AccessDeniedError, match="does not know the access key"):
        read(url)


def test_new_credentials_are_used_while_another_handle_is_open(
    rclone_s3: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who mends the environment and opens again is not shown the old answer."""
    url = history_url(rclone_s3)
    with monkeypatch.context() as wrong:
        wrong.setenv("AWS_SECRET_ACCESS_KEY", "another")
        first = iterlog.open_history(url)
        with pytest.raises(iterlog.AccessDeniedError):
            first.last()
    with first:
        assert read(url) == []


def test_a_wrong_account_key_is_denied(azure: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's answer to a signature by another key."""
    name = "AZURE_STORAGE_CONNECTION_STRING"
    monkeypatch.setenv(name, azure.environment[name].replace(AZURE_KEY, AZURE_KEY.swapcase()))
    with pytest.raises(iterlog.AccessDeniedError):
        read(history_url(azure))


def test_no_credentials_are_said_to_be_missing(
    s3: Place, azure: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither environment nor files give any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(iterlog.AccessDeniedError, match="no credentials"):
        read(history_url(s3))
    with pytest.raises(iterlog.AccessDeniedError, match="AZURE_STORAGE_CONNECTION_STRING"):
        read(history_url(azure))


REFUSALS = {
    "s3": [
        (Refusal(400, "ExpiredToken"), "expired"),
        (Refusal(403, "RequestExpired"), "expired"),
        (Refusal(403, "AccessDenied"), "may not do this"),
        (Refusal(403, "InvalidAccessKeyId"), "does not know"),
    ],
    "azure": [
        (Refusal(403, "AuthorizationPermissionMismatch"), "may not do this"),
        (Refusal(403, "AuthenticationFailed"), "secret"),
        (Refusal(401, "NoAuthenticationInformation"), "no credentials"),
    ],
    "gcs": [(Refusal(401, "Invalid Credentials"), "expired"), (Refusal(403, "forbidden"), "may not do this")],
}
CASES = [(store, refusal, words) for store, cases in REFUSALS.items() for refusal, words in cases]


@pytest.mark.parametrize(("store", "refusal", "words"), CASES, ids=lambda value: getattr(value, "code", str(value)))
def test_refusals_are_told_apart_and_asked_for_once(
    store: str, refusal: Refusal, words: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired, denied and unknown credentials: the request is not made again, and nothing counts as written."""
    place: Place = request.getfixturevalue(store)
    with FaultProxy(place.server.address) as proxy:
        near = reachable(place.through(proxy.address), monkeypatch)
        url = history_url(near)
        written(url)
        with proxy.failing(always(refusal)):
            for work in (read, written, resumed):
                with proxy.counting() as counts, pytest.raises(iterlog.AccessDeniedError, match=words):
                    work(url)
                assert counts.total == 1
        with iterlog.open_history(url) as history:
            history.save(code=None, metrics={}, feedback="")
            with proxy.failing(script([refusal])), pytest.raises(iterlog.AccessDeniedError, match=words):
                history.save(code=None, metrics={}, feedback="")
            history.save(code=None, metrics={}, feedback="")
            assert [record.iteration for record in history.read()] == [0, 1, 2]


@pytest.mark.parametrize("work", [written, read])
def test_a_store_that_is_away_is_told_soon(work: Work, honest: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: an error that is safe to retry, within seconds."""
    away = reachable(honest.through(f"{HOST}:{free_port()}"), monkeypatch)
    began = time.monotonic()
    with pytest.raises(iterlog.UnavailableError, match="cannot be reached") as caught:
        work(history_url(away))
    assert time.monotonic() - began < SOON_S
    assert not isinstance(caught.value, iterlog.AccessDeniedError)


def test_a_host_without_an_address_is_told_soon(honest: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody knows is as good as a store that is away."""
    monkeypatch.setattr(filesystem, "_AWAY_PATIENCE_S", 0.1)
    away = reachable(honest.through("store.invalid:80"), monkeypatch)
    began = time.monotonic()
    with pytest.raises(iterlog.UnavailableError, match="cannot be reached"):
        read(history_url(away))
    assert time.monotonic() - began < SOON_S


def test_who_hangs_is_asked_again_after_the_time_that_was_set(honest: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """``read_timeout`` ends each kind of request that gets no answer, on each store, and the next one succeeds."""

    def hanging(kind: str) -> Plan:
        return script([Hang()], where=lambda request: request.kind == kind)

    with FaultProxy(honest.server.address) as proxy:
        near = reachable(honest.through(proxy.address), monkeypatch)
        url = history_url(near, read_timeout="500ms")
        written(url)
        for kind, work in {"LIST": read, "GET": read, "PUT": written}.items():
            with proxy.failing(hanging(kind)):
                work(url)
        assert [request.kind for request, _ in proxy.played] == ["LIST", "GET", "PUT"]
        proxy.release()
    assert [record.iteration for record in read(history_url(reachable(honest, monkeypatch)))] == [0, 1]
