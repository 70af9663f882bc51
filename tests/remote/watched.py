"""A file system of fsspec whose requests go through a proxy: what a test of the libraries' habits looks at."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from fault_proxy import Counts, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Place

# The classes themselves: under fsspec's own name gcsfs has one that asks Google about the bucket first.
_CLASSES = {"s3": "s3fs.core:S3FileSystem", "az": "adlfs.spec:AzureBlobFileSystem", "gs": "gcsfs.core:GCSFileSystem"}


@dataclass(frozen=True)
class Watched:
    """An empty bucket, a proxy before its server, and a file system that goes through it."""

    place: Place
    proxy: FaultProxy
    fs: Any

    @property
    def scheme(self) -> str:
        """Which of the stores it is."""
        return self.place.server.scheme

    def path(self, key: str) -> str:
        """Return what fsspec calls an object of the bucket."""
        return f"{self.place.bucket}/{key}"

    def asked(self, call: Callable[[], object]) -> dict[str, int]:
        """Return how many requests of each kind a call makes."""
        return self.counted(call).by_kind

    def counted(self, call: Callable[[], object]) -> Counts:
        """Return what a call makes of requests; an error of the call is its own affair."""
        with self.proxy.counting() as counts:
            raised(call)
        return counts


@pytest.fixture
def watched_s3(s3: Place) -> Iterator[Watched]:
    """S3 on moto, through s3fs."""
    yield from _watching(s3)


@pytest.fixture
def watched_azure(azure: Place) -> Iterator[Watched]:
    """Azure on azurite, through adlfs."""
    yield from _watching(azure)


@pytest.fixture
def watched_gcs(gcs: Place) -> Iterator[Watched]:
    """Google's storage on the strict fake, through gcsfs."""
    yield from _watching(gcs)


@pytest.fixture(params=["watched_s3", "watched_azure", "watched_gcs"])
def watched(request: pytest.FixtureRequest) -> Watched:
    """Each of the three."""
    found: Watched = request.getfixturevalue(request.param)
    return found


def file_system(place: Place, **options: Any) -> Any:
    """Return a new file system for a place, without the listings that fsspec keeps."""
    module, _, name = _CLASSES[place.server.scheme].partition(":")
    make = getattr(importlib.import_module(module), name)
    return make(skip_instance_cache=True, use_listings_cache=False, **{**place.options, **options})


def asking_once(place: Place, seconds: float) -> Any:
    """Return a file system that sends each request once and waits no longer than this for anything."""
    match place.server.scheme:
        case "s3":
            once = {"connect_timeout": seconds, "read_timeout": seconds, "retries": {"total_max_attempts": 1}}
            fs = file_system(place, config_kwargs=once)
            fs.retries = 1
        case "az":
            fs = file_system(place)
            pipeline = fs.service_client._pipeline
            next(policy for policy in pipeline._impl_policies if hasattr(policy, "total_retries")).total_retries = 0
            pipeline._transport.connection_config.timeout = seconds
            pipeline._transport.connection_config.read_timeout = seconds
        case _:
            from aiohttp import ClientTimeout  # noqa: PLC0415  # with gcsfs or not at all

            fs = file_system(place, requests_timeout=ClientTimeout(sock_connect=seconds, sock_read=seconds))
            fs._request = functools.partial(type(fs)._request.__wrapped__, fs)
    return fs


def raised(call: Callable[[], object]) -> BaseException | None:
    """Return what a call raises, or None."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # any kind is a finding
        return error
    return None


def kind(error: BaseException | None) -> str:
    """Return the class of an error by its name, which needs no import of the library that has it."""
    return type(error).__name__


def _watching(place: Place) -> Iterator[Watched]:
    with FaultProxy(place.server.address) as proxy:
        through = place.through(proxy.address)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in through.environment.items():
                patch.setenv(name, value)
            yield Watched(through, proxy, file_system(through))
