"""Creating only what is not there, with fsspec's memory and with obstore."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from fault_proxy import Answer, AnswerAfter, DropAfter, FaultProxy, script
from fsspec.implementations.memory import MemoryFileSystem
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.fsspec import FsspecStore
from obstore.store import AzureStore, S3Store
from servers.azure import ACCOUNT, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fault_proxy import Fault
    from servers import Place

_CLIENT: Any = {"allow_http": True, "timeout": "20s", "connect_timeout": "5s"}
_ONCE: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=20)}


def test_memory_looks_and_then_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fsspec's ``memory://`` lets two threads create the same object when both look before one writes."""
    fs: Any = MemoryFileSystem()
    looks, both_looked = fs.exists, threading.Barrier(2, timeout=20)

    def exists(path: str) -> bool:
        found = bool(looks(path))
        both_looked.wait()
        return found

    with monkeypatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(fs, "exists", exists)
        done = [pool.submit(fs.pipe_file, "/iterlog-race", data, mode="create") for data in (b"one", b"two")]
        assert [one.exception() for one in done] == [None, None]
    with pytest.raises(FileExistsError):
        fs.pipe_file("/iterlog-race", b"late", mode="create")
    fs.rm("/iterlog-race")


@pytest.fixture(params=["s3", "azure"])
def place(request: pytest.FixtureRequest) -> Place:
    """S3 and Azure; obstore asks Google by another interface than our fake speaks."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy(place: Place) -> Iterator[FaultProxy]:
    """A proxy before the server."""
    with FaultProxy(place.server.address) as started:
        yield started


@pytest.fixture
def store(place: Place, proxy: FaultProxy) -> S3Store | AzureStore:
    """A store of obstore through the proxy, told to ask once."""
    endpoint = f"http://{proxy.address}"
    if place.server.scheme == "s3":
        return S3Store(place.bucket, endpoint=endpoint, client_options=_CLIENT, retry_config=_ONCE)
    account: Any = {"account_name": ACCOUNT, "account_key": KEY, "endpoint": f"{endpoint}/{ACCOUNT}"}
    return AzureStore(place.bucket, client_options=_CLIENT, retry_config=_ONCE, **account)


def test_obstore_creates_once_in_one_request(place: Place, proxy: FaultProxy, store: S3Store | AzureStore) -> None:
    """``put(mode="create")`` raises its own AlreadyExistsError, which is no OSError, and changes nothing."""
    obstore.put(store, "log/1", b"one", mode="create")
    with proxy.counting() as counts, pytest.raises(AlreadyExistsError) as refused:
        obstore.put(store, "log/1", b"two", mode="create")
    assert (counts.by_kind, place.back_door.get("log/1")) == ({"PUT": 1}, b"one")
    assert not isinstance(refused.value, OSError)


@pytest.mark.parametrize("fault", [DropAfter(), AnswerAfter(500)], ids=repr)
def test_obstore_told_to_ask_once_does(
    fault: Fault, place: Place, proxy: FaultProxy, store: S3Store | AzureStore
) -> None:
    """A lost answer is an error of no particular kind, after one request, also on a kept connection."""
    obstore.put(store, "log/1", b"one", mode="create")
    with proxy.counting() as counts, proxy.failing(script([fault])), pytest.raises(GenericError):
        obstore.put(store, "log/2", b"two", mode="create")
    assert (counts.by_kind, place.back_door.get("log/2")) == ({"PUT": 1}, b"two")


@pytest.mark.parametrize("status", [409, 412])
def test_obstore_takes_either_conflict_for_already_there(
    status: int, proxy: FaultProxy, store: S3Store | AzureStore
) -> None:
    """Also a 409 that only says that another request is under way; the object need not be there."""
    with proxy.failing(script([Answer(status)])), pytest.raises(AlreadyExistsError):
        obstore.put(store, "log/1", b"one", mode="create")
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "log/1")


def test_obstore_behind_fsspec_overwrites_when_told_to_create(s3: Place) -> None:
    """Its adapter for fsspec takes ``mode="create"``, ignores it, and cannot read from a start."""
    fs: Any = FsspecStore("s3", client_options=_CLIENT, retry_config=_ONCE, endpoint=s3.options["endpoint_url"])
    for data in (b"one", b"two"):
        fs.pipe_file(f"{s3.bucket}/log/1", data, mode="create")
    assert s3.back_door.get("log/1") == b"two"
    with pytest.raises(NotImplementedError):
        fs.cat_file(f"{s3.bucket}/log/1", start=0)


def test_obstore_lists_a_directory_in_one_request(place: Place, proxy: FaultProxy, store: S3Store | AzureStore) -> None:
    """Also of nothing, and names behind an offset."""
    for key in ("log/0/1", "log/0/2", "log/1/3"):
        place.back_door.put(key, b"")
    with proxy.counting() as counts:
        found = obstore.list_with_delimiter(store, "log")
        nothing = obstore.list_with_delimiter(store, "nothing")
        behind = obstore.list(store, "log/0", offset="log/0/1").collect()
    assert list(found["common_prefixes"]) == ["log/0", "log/1"]
    assert (list(nothing["objects"]), [one["path"] for one in behind]) == ([], ["log/0/2"])
    assert counts.by_kind == {"LIST": 3}
