"""What s3fs, adlfs and gcsfs answer, and what they ask for it: the facts the remote store is built on.

Each fact is measured against a server, through a proxy that counts. Where the three differ, a table says how. A fact
that changes with a new version of a library fails here first.
"""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from servers.fixtures import reachable
from watched import Watched, asking_once, file_system, kind, raised, watched, watched_azure, watched_gcs, watched_s3

if TYPE_CHECKING:
    from servers import Place

__all__ = ["watched", "watched_azure", "watched_gcs", "watched_s3"]  # fixtures

FOUND = b"0123456789"


@pytest.mark.parametrize("data", [b"other", b""], ids=["bytes", "empty"])
def test_creating_what_is_there_is_refused_in_one_request(watched: Watched, data: bytes) -> None:
    """``pipe_file(mode="create")`` raises FileExistsError on each store, and the object stays as it is."""
    watched.place.back_door.put("log/1", FOUND)
    with watched.proxy.counting() as counts, pytest.raises(FileExistsError) as refused:
        watched.fs.pipe_file(watched.path("log/1"), data, mode="create")
    assert (counts.by_kind, watched.place.back_door.get("log/1")) == ({"PUT": 1}, FOUND)
    assert refused.value.errno is None


def test_creating_sends_the_condition_that_makes_it_safe(watched: Watched) -> None:
    """``If-None-Match: *``, or ``ifGenerationMatch=0``; and not without the mode."""
    created = watched.counted(lambda: watched.fs.pipe_file(watched.path("log/1"), b"", mode="create")).requests
    written = watched.counted(lambda: watched.fs.pipe_file(watched.path("log/1"), b"")).requests
    if watched.scheme == "gs":
        found = ["ifGenerationMatch=0" in one.target for one in (*created, *written)]
    else:
        found = [one.headers.get("if-none-match") == "*" for one in (*created, *written)]
    assert found == [True, False]


def test_two_servers_take_the_condition_and_ignore_it(careless: Place) -> None:
    """The second of two creations succeeds, and its bytes are the ones that stay."""
    fs = file_system(careless)
    fs.pipe_file(f"{careless.bucket}/log/1", b"one", mode="create")
    fs.pipe_file(f"{careless.bucket}/log/1", b"two", mode="create")
    assert careless.back_door.get("log/1") == b"two"


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp, for gcsfs and adlfs above 1 MiB
def test_an_append_of_49_mib_is_one_upload(watched: Watched) -> None:
    """Nothing is split below 50 MiB, so that one condition guards all of it; adlfs reads it in pieces."""
    data = bytes(49 << 20)
    sent = watched.counted(lambda: watched.fs.pipe_file(watched.path("log/1"), data, mode="create"))
    assert (sent.by_kind, sent.bytes_up - len(data) < 1000) == ({"PUT": 1}, True)
    got = watched.counted(lambda: watched.fs.cat_file(watched.path("log/1"), start=0))
    assert got.by_kind == {"GET": {"s3": 1, "az": 6, "gs": 1}[watched.scheme]}
    assert got.bytes_down == len(data)


def test_reading_from_a_start_is_one_request(watched: Watched) -> None:
    """``start=0`` gives all of it; without, s3fs asks for the size first."""
    watched.place.back_door.put("log/1", FOUND)
    path = watched.path("log/1")
    assert [watched.fs.cat_file(path, start=0), watched.fs.cat_file(path, start=7)] == [FOUND, b"789"]
    assert watched.asked(lambda: watched.fs.cat_file(path, start=0)) == {"GET": 1}
    whole = {"GET": 1, "HEAD": 1} if watched.scheme == "s3" else {"GET": 1}
    assert watched.asked(lambda: watched.fs.cat_file(path)) == whole


def test_reading_the_end_is_one_request_where_it_works(watched: Watched) -> None:
    """A negative start is a suffix for s3fs and gcsfs, also a longer one than there is; adlfs cannot."""
    watched.place.back_door.put("seg/1", FOUND)
    path = watched.path("seg/1")
    if watched.scheme == "az":
        assert kind(raised(lambda: watched.fs.cat_file(path, start=-3))) == "ValueError"
    else:
        assert [watched.fs.cat_file(path, start=-3), watched.fs.cat_file(path, start=-99)] == [b"789", FOUND]
        assert watched.asked(lambda: watched.fs.cat_file(path, start=-3)) == {"GET": 1}


UNSATISFIABLE = {"s3": "OSError", "az": "HttpResponseError", "gs": "HttpError"}


@pytest.mark.parametrize(("data", "start"), [(b"", 0), (FOUND, 11)], ids=["empty", "beyond"])
def test_a_range_with_nothing_in_it_is_an_error(watched: Watched, data: bytes, start: int) -> None:
    """From the start of an empty object, and from behind the end: each library has its own error."""
    watched.place.back_door.put("log/1", data)
    error: Any = raised(lambda: watched.fs.cat_file(watched.path("log/1"), start=start))
    assert kind(error) == UNSATISFIABLE[watched.scheme]
    told = {"s3": lambda: error.errno, "az": lambda: error.status_code, "gs": lambda: error.code}
    assert told[watched.scheme]() == (errno.EINVAL if watched.scheme == "s3" else 416)


def test_the_range_from_the_very_end_is_an_error_too_but_on_azurite(watched: Watched) -> None:
    """``start`` equal to the size."""
    watched.place.back_door.put("log/1", FOUND)
    path = watched.path("log/1")
    error = raised(lambda: watched.fs.cat_file(path, start=len(FOUND)))
    assert (kind(error) == UNSATISFIABLE[watched.scheme]) == (watched.scheme != "az")
    assert error is not None or watched.fs.cat_file(path, start=len(FOUND)) == b""


MISSING_KEY = {"s3": ("NoSuchKey", None), "az": ("BlobNotFound", errno.ENOENT), "gs": (None, None)}
MISSING_BUCKET = {"s3": ("NoSuchBucket", None), "az": ("ContainerNotFound", errno.ENOENT), "gs": (None, None)}


def test_a_missing_object_is_not_found_in_one_request(watched: Watched) -> None:
    """FileNotFoundError; why it is, stands in the cause, but not with gcsfs."""
    with watched.proxy.counting() as counts, pytest.raises(FileNotFoundError) as missing:
        watched.fs.cat_file(watched.path("log/1"), start=0)
    assert (counts.by_kind, (_code(missing.value), missing.value.errno)) == ({"GET": 1}, MISSING_KEY[watched.scheme])


def test_a_missing_bucket_is_not_found_but_for_an_append_with_adlfs(watched: Watched) -> None:
    """Reading and writing alike; adlfs lets the error of Azure's library through when writing."""
    reading = raised(lambda: watched.fs.cat_file("iterlog-nowhere/log/1", start=0))
    writing = raised(lambda: watched.fs.pipe_file("iterlog-nowhere/log/1", b"", mode="create"))
    assert kind(reading) == "FileNotFoundError"
    assert (_code(reading), getattr(reading, "errno", None)) == MISSING_BUCKET[watched.scheme]
    assert kind(writing) == ("ResourceNotFoundError" if watched.scheme == "az" else "FileNotFoundError")
    assert _code(writing) == MISSING_BUCKET[watched.scheme][0]
    listing = watched.counted(lambda: watched.fs.ls("iterlog-nowhere/log", detail=True, refresh=True))
    assert listing.by_kind == {"LIST": 1}
    assert kind(raised(lambda: watched.fs.ls("iterlog-nowhere/log", detail=True))) == "FileNotFoundError"


def test_a_listing_is_one_request_or_two(watched: Watched) -> None:
    """Names with their sizes, directories as entries; adlfs looks first whether the prefix is an object."""
    for key in ("_iterlog.json", "log/0/1", "log/0/2", "log/1/3"):
        watched.place.back_door.put(key, FOUND)

    def names(key: str) -> list[tuple[str, str]]:
        found = watched.fs.ls(watched.path(key).rstrip("/"), detail=True, refresh=True)
        return sorted((one["name"].removeprefix(f"{watched.place.bucket}/"), one["type"]) for one in found)

    assert names("log/0") == [("log/0/1", "file"), ("log/0/2", "file")]
    assert names("log") == [("log/0", "directory"), ("log/1", "directory")]
    assert names("") == [("_iterlog.json", "file"), ("log", "directory")]
    assert {one["size"] for one in watched.fs.ls(watched.path("log/0"), detail=True)} == {len(FOUND)}
    assert watched.asked(lambda: names("")) == {"LIST": 1}
    assert watched.asked(lambda: names("log")) == {"LIST": 2 if watched.scheme == "az" else 1}


def test_a_listing_of_nothing_is_not_found_and_asks_more(watched: Watched) -> None:
    """A prefix without names raises FileNotFoundError; an empty bucket has an empty listing."""
    asked = {"s3": {"LIST": 2}, "az": {"LIST": 2, "HEAD": 1}, "gs": {"LIST": 1, "GET": 1}}
    path = watched.path("log")
    assert kind(raised(lambda: watched.fs.ls(path, detail=True, refresh=True))) == "FileNotFoundError"
    assert watched.asked(lambda: watched.fs.ls(path, detail=True, refresh=True)) == asked[watched.scheme]
    assert watched.fs.ls(watched.place.bucket, detail=True, refresh=True) == []


def test_a_long_listing_comes_in_pages(watched: Watched) -> None:
    """Of 1,000 names, with Azure of 5,000; each name once."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: watched.place.back_door.put(f"log/{n:04}", b""), range(1001)))
    with watched.proxy.counting() as counts:
        found = watched.fs.ls(watched.path("log"), detail=True, refresh=True)
    assert sorted(one["name"] for one in found) == [watched.path(f"log/{n:04}") for n in range(1001)]
    assert counts.by_kind == {"LIST": 2}  # adlfs: the look before, and one page


def test_removing_what_is_not_there_tells_or_not(watched: Watched) -> None:
    """``rm_file`` is one request; s3fs does not notice, the others raise FileNotFoundError."""
    watched.place.back_door.put("log/1", FOUND)
    assert watched.asked(lambda: watched.fs.rm_file(watched.path("log/1"))) == {"DELETE": 1}
    assert watched.place.back_door.names() == []
    again = raised(lambda: watched.fs.rm_file(watched.path("log/1")))
    assert kind(again) == ("NoneType" if watched.scheme == "s3" else "FileNotFoundError")


def test_removing_many_asks_once_with_s3_only(watched: Watched) -> None:
    """A list of paths: one bulk request, or one or two for each."""
    for n in range(3):
        watched.place.back_door.put(f"log/{n}", FOUND)
    asked = {"s3": {"DELETE": 1}, "az": {"HEAD": 3, "DELETE": 3}, "gs": {"DELETE": 3}}
    assert watched.asked(lambda: watched.fs.rm([watched.path(f"log/{n}") for n in range(3)])) == asked[watched.scheme]
    assert watched.place.back_door.names() == []


@pytest.mark.parametrize(
    ("name", "code"), [("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId")]
)
def test_s3_tells_a_wrong_secret_from_an_unknown_key(
    rclone_s3: Place, monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    """PermissionError, for each call, with the reason in its cause."""
    monkeypatch.setenv(name, "wrong")
    fs, path = file_system(rclone_s3), f"{rclone_s3.bucket}/log/1"
    for call in (lambda: fs.pipe_file(path, b"", mode="create"), lambda: fs.cat_file(path, start=0)):
        error = raised(call)
        assert (kind(error), _code(error)) == ("PermissionError", code)
    assert kind(raised(lambda: fs.ls(f"{rclone_s3.bucket}/log", detail=True))) == "PermissionError"


def test_s3_without_credentials_is_an_error_of_botocore(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No OSError, and nothing is sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = raised(lambda: file_system(s3).cat_file(f"{s3.bucket}/log/1", start=0))
    assert (kind(error), isinstance(error, OSError)) == ("NoCredentialsError", False)


def test_azure_tells_a_wrong_key_in_its_own_words(azure: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No OSError: the status and the code say it."""
    reachable(azure, monkeypatch)
    [(name, connection)] = azure.environment.items()
    monkeypatch.setenv(name, connection.replace("AccountKey=Eby8", "AccountKey=AAAA"))
    fs = asking_once(azure, seconds=20)
    for call in (
        lambda: fs.pipe_file(f"{azure.bucket}/log/1", b"", mode="create"),
        lambda: fs.cat_file(f"{azure.bucket}/log/1", start=0),
        lambda: fs.ls(f"{azure.bucket}/log", detail=True),
    ):
        error: Any = raised(call)
        assert (kind(error), error.status_code, _code(error)) == ("HttpResponseError", 403, "AuthorizationFailure")


def _code(error: BaseException | None) -> str | None:
    """Return the store's own word for an error, from the error or from its cause."""
    found: Any
    for found in (error, getattr(error, "__cause__", None)):
        if hasattr(found, "error_code"):
            return str(getattr(found.error_code, "value", found.error_code))
        if hasattr(found, "response") and isinstance(found.response, dict):
            return str(found.response["Error"]["Code"])
    return None
