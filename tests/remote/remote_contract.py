"""The contract as the remote backend keeps it on every store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from own_backends import OwnBackendContract
from places import corrupt_at, history_url

import iterlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Place

    from iterlog.testing.contract.base import Corrupt, Tear


class RemoteContract(OwnBackendContract):
    """The contract in a bucket on a server; a subclass gives the bucket."""

    machine_examples = 2  # some hundred requests each

    @pytest.fixture
    def place(self) -> Place:
        """Where the history of a test stands: a subclass gives it."""
        raise NotImplementedError

    @pytest.fixture
    def url(self, place: Place, keep_client: contextlib.ExitStack) -> str:
        """A prefix in a new bucket."""
        url = self.url_in(place)
        keep_client.enter_context(iterlog.open_history(url))
        return url

    @pytest.fixture
    def tear(self) -> Tear:
        """Give no back door: an object is there whole or not at all."""
        return None

    @pytest.fixture
    def corrupt(self, place: Place) -> Corrupt:
        """Change a byte of an object."""
        return lambda url, index: corrupt_at(place, url, index)

    @pytest.fixture(scope="class")
    @classmethod
    def keep_client(cls) -> Iterator[contextlib.ExitStack]:
        """Keep a handle of each test: the client that all of them share takes longer to make than most tests."""
        with contextlib.ExitStack() as handles:
            yield handles

    def url_in(self, place: Place) -> str:
        """Return the URL of a history."""
        return history_url(place)
