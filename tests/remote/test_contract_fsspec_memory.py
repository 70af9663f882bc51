"""The contract on fsspec's own memory: the remote store without a server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import fsspec
import pytest
from bucket_doors import corrupt_commit
from fsspec.implementations.dirfs import DirFileSystem
from own_backends import OwnBackendContract

import iterlog

if TYPE_CHECKING:
    from iterlog.testing.contract.base import Corrupt, Tear


class MemoryBucket:
    """The objects in fsspec's memory."""

    def __init__(self) -> None:
        self._system = fsspec.filesystem("memory")

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin so."""
        return sorted(key[1:] for key in self._system.store if key[1:].startswith(prefix))

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self._system.cat_file(key))

    def write(self, key: str, data: bytes) -> None:
        """Put an object."""
        self._system.pipe_file(key, data)


class TestRemoteHistoryInMemory(OwnBackendContract):
    """A remote history in this process keeps the contract, as far as one process goes."""

    shared_between_processes = False
    machine_examples = 8  # each loses races to its other handle, and pauses a moment after each

    @pytest.fixture
    def url(self) -> str:
        """A bucket nobody used yet."""
        return f"fsspec+memory://bucket-{uuid.uuid4().hex}/runs"

    @pytest.fixture
    def tear(self) -> Tear:
        """Give no back door: an object is there whole or not at all."""
        return None

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of an object."""
        return lambda url, index: corrupt_commit(MemoryBucket(), url.partition("://")[2].partition("?")[0], index)


class TestRemoteHistoryInBatches(TestRemoteHistoryInMemory):
    """Batches that are full at once keep the whole contract; what larger ones keep is tested beside it."""

    machine_examples = 5

    @pytest.fixture
    def url(self) -> str:
        """A bucket nobody used yet, with batches of one record."""
        return f"fsspec+memory://bucket-{uuid.uuid4().hex}/runs?batch_records=1&batch_interval=1h"


class TestRemoteHistoryInAGivenFolder(TestRemoteHistoryInMemory):
    """A file system of the user's own, which puts a folder before every name, keeps the contract."""

    machine_examples = 5

    @pytest.fixture(autouse=True)
    def _given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = DirFileSystem("/given", fsspec.filesystem("memory"))
        opened = iterlog.open_history

        def open_given(url: str, **options: object) -> iterlog.HistoryStore:
            given = {"filesystem": folder} if url.startswith("fsspec+") else {}
            return opened(url, **given, **options)

        monkeypatch.setattr(iterlog, "open_history", open_given)

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of an object in the folder."""
        return lambda url, index: corrupt_commit(MemoryBucket(), f"given/{url.partition('://')[2]}", index)
