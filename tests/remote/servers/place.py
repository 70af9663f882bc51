"""What a test gets of a server: an empty bucket, the way to it, and a back door."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers.process import ServerProcess


class BackDoor(Protocol):
    """The objects of one bucket, reached without fsspec and without iterlog; keys are inside the bucket."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whether it is there or not."""

    def get(self, key: str) -> bytes | None:
        """Return an object's bytes, or None."""

    def delete(self, key: str) -> None:
        """Remove an object, whether it is there or not."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the keys below a prefix, in order."""


@dataclass(frozen=True)
class Place:
    """An empty bucket on a server.

    Attributes:
        url: Of the bucket, without a slash at its end: ``s3://iterlog-1f3a…``.
        options: What fsspec's file system needs to reach the server; nothing secret.
        environment: Where the cloud's own libraries look for credentials, which are fake.
        back_door: The objects, without fsspec.
        server: Whose bucket it is.
    """

    url: str
    options: Mapping[str, Any]
    environment: Mapping[str, str] = field(repr=False)
    back_door: BackDoor = field(repr=False)
    server: ObjectServer = field(repr=False)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.url.partition("://")[2]

    def through(self, address: str) -> Place:
        """Return the same bucket, reached at another address, as a proxy's; the back door stays where it is."""
        server = self.server
        return Place(self.url, server.options(address), server.environment(address), self.back_door, server)


class ObjectServer(ABC):
    """A running object store that makes buckets.

    Args:
        process: The server, started.
    """

    def __init__(self, process: ServerProcess) -> None:
        self.process = process

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return self.process.address

    def fresh(self) -> Place:
        """Make an empty bucket that nothing else knows."""
        bucket = f"iterlog-{uuid.uuid4().hex}"
        door = self.make_bucket(bucket)
        address = self.address
        return Place(f"{self.scheme}://{bucket}", self.options(address), self.environment(address), door, self)

    @property
    @abstractmethod
    def scheme(self) -> str:
        """How its URLs begin."""

    @abstractmethod
    def options(self, address: str) -> dict[str, Any]:
        """Return the storage options that reach it at an address."""

    @abstractmethod
    def environment(self, address: str) -> dict[str, str]:
        """Return the environment in which it is reached at an address."""

    @abstractmethod
    def make_bucket(self, name: str) -> BackDoor:
        """Make a bucket and return the door to it."""

    def close(self) -> None:
        """End the server and what its doors hold open."""
        self.process.stop()
