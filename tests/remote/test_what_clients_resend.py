"""What s3fs, adlfs and gcsfs do when an answer does not come: what they send again, and what they raise in the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from fault_proxy import Answer, CutAnswer, DropAfter, DropBefore, Hang, always, script
from watched import Watched, asking_once, kind, raised, watched, watched_azure, watched_gcs, watched_s3

if TYPE_CHECKING:
    from fault_proxy import Fault

__all__ = ["watched", "watched_azure", "watched_gcs", "watched_s3"]  # fixtures


@pytest.mark.parametrize("fault", [DropAfter(), CutAnswer(5)], ids=repr)
def test_a_lost_answer_comes_back_as_already_there(watched: Watched, fault: Fault) -> None:
    """The upload was done, the library sends it again by itself, and our own object is what it finds there."""
    watched.fs.pipe_file(watched.path("log/1"), b"ours")
    with watched.proxy.counting() as counts, watched.proxy.failing(script([fault])):
        error = raised(lambda: watched.fs.pipe_file(watched.path("log/2"), b"ours", mode="create"))
    assert (kind(error), counts.by_kind) == ("FileExistsError", {"PUT": 2})
    assert watched.place.back_door.get("log/2") == b"ours"


def test_an_upload_on_a_kept_connection_is_sent_twice_even_when_told_once(watched: Watched) -> None:
    """Aiohttp itself repeats a PUT whose connection was closed; a POST, as gcsfs sends it, it does not."""
    fs = asking_once(watched.place, seconds=20)
    fs.pipe_file(watched.path("log/1"), b"ours")
    with watched.proxy.counting() as counts, watched.proxy.failing(script([DropAfter()])):
        error = raised(lambda: fs.pipe_file(watched.path("log/2"), b"ours", mode="create"))
    if watched.scheme == "gs":
        assert (kind(error), counts.by_kind) == ("ServerDisconnectedError", {"PUT": 1})
    else:
        assert (kind(error), counts.by_kind) == ("FileExistsError", {"PUT": 2})
    assert watched.place.back_door.get("log/2") == b"ours"


REFUSED = {
    "s3": {409: "OSError", 412: "FileExistsError", 429: "OSError", 500: "OSError", 503: "OSError"},
    "az": {
        409: "FileExistsError",
        412: "FileExistsError",
        429: "HttpResponseError",
        500: "HttpResponseError",
        503: "HttpResponseError",
    },
    "gs": {409: "HttpError", 412: "FileExistsError", 429: "HttpError", 500: "HttpError", 503: "HttpError"},
}


@pytest.mark.parametrize("status", [409, 412, 429, 500, 503])
def test_told_to_ask_once_a_refusal_is_one_request(watched: Watched, status: int) -> None:
    """The options of `asking_once` leave repeating to us; Azure's 409 is "already there" whatever it was about."""
    fs = asking_once(watched.place, seconds=20)
    with watched.proxy.counting() as counts, watched.proxy.failing(always(Answer(status))):
        error = raised(lambda: fs.pipe_file(watched.path("log/1"), b"", mode="create"))
    assert (kind(error), counts.by_kind) == (REFUSED[watched.scheme][status], {"PUT": 1})


AWAY = {"s3": "EndpointConnectionError", "az": "ServiceRequestError", "gs": "ClientConnectorError"}


def test_a_server_that_is_away_is_known_at_once(watched: Watched) -> None:
    """Each call raises the library's own error, which is an OSError with gcsfs only."""
    fs = asking_once(watched.place, seconds=20)
    with watched.proxy.away():
        for call in (
            lambda: fs.pipe_file(watched.path("log/1"), b"", mode="create"),
            lambda: fs.cat_file(watched.path("log/1"), start=0),
            lambda: fs.ls(watched.path("log"), detail=True, refresh=True),
        ):
            error = raised(call)
            assert (kind(error), isinstance(error, OSError)) == (AWAY[watched.scheme], watched.scheme == "gs")


SILENT = {"s3": "ReadTimeoutError", "az": "ServiceResponseTimeoutError", "gs": "FSTimeoutError"}


def test_a_server_that_does_not_answer_is_given_up(watched: Watched) -> None:
    """The time to wait holds for each call, and giving up is no second request."""
    fs = asking_once(watched.place, seconds=0.3)
    for call in (
        lambda: fs.pipe_file(watched.path("log/1"), b"", mode="create"),
        lambda: fs.cat_file(watched.path("log/1"), start=0),
        lambda: fs.ls(watched.path("log"), detail=True, refresh=True),
    ):
        with watched.proxy.counting() as counts, watched.proxy.failing(always(Hang())):
            assert kind(raised(call)) == SILENT[watched.scheme]
        assert counts.total == 1


def test_an_upload_given_up_may_still_land(watched: Watched) -> None:
    """After the error the object appears: giving up is not knowing."""
    fs = asking_once(watched.place, seconds=0.3)
    with watched.proxy.failing(always(Hang())):
        assert kind(raised(lambda: fs.pipe_file(watched.path("log/1"), b"late", mode="create"))) != "NoneType"
    assert watched.place.back_door.get("log/1") is None
    watched.proxy.release()
    while watched.place.back_door.get("log/1") is None:
        time.sleep(0.01)
    assert watched.place.back_door.get("log/1") == b"late"


def test_reading_is_repeated_by_the_library(watched: Watched) -> None:
    """A lost connection while reading costs a request, not an error."""
    watched.place.back_door.put("log/1", b"found")
    for call in (
        lambda: watched.fs.cat_file(watched.path("log/1"), start=0),
        lambda: watched.fs.ls(watched.place.bucket, detail=True, refresh=True),
    ):
        raised(call)  # a connection is kept now
        with watched.proxy.counting() as counts, watched.proxy.failing(script([DropBefore()])):
            assert raised(call) is None
        assert counts.total == 2
