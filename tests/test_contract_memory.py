"""The contract on ``memory://``."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from back_doors import corrupt_memory, tear_memory
from own_backends import OwnBackendContract

if TYPE_CHECKING:
    from iterlog.testing.contract.base import Corrupt, Tear


class TestMemoryHistory(OwnBackendContract):
    """A history in memory keeps the contract, as far as one process goes."""

    shared_between_processes = False

    @pytest.fixture
    def url(self) -> str:
        """A name nobody used yet."""
        return f"memory://{uuid.uuid4().hex}"

    @pytest.fixture
    def tear(self) -> Tear:
        """Leave bytes where an append that never ended would."""
        return tear_memory

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte in the shared list."""
        return corrupt_memory
