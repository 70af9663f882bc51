"""The contract on a server that speaks Google's storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from remote_contract import RemoteContract

if TYPE_CHECKING:
    from servers import Place


class TestRemoteHistoryOnGoogle(RemoteContract):
    """A remote history on Google's storage keeps the contract, processes included."""

    @pytest.fixture
    def place(self, gcs: Place) -> Place:
        """A new bucket."""
        return gcs
