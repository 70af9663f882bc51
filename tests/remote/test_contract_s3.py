"""The contract on a server that speaks S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from remote_contract import RemoteContract

if TYPE_CHECKING:
    from servers import Place


class TestRemoteHistoryOnS3(RemoteContract):
    """A remote history on S3 keeps the contract, processes included."""

    @pytest.fixture
    def place(self, s3: Place) -> Place:
        """A new bucket."""
        return s3
