"""What iterlog's own backends owe the contract beyond what others do: both back doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from iterlog.testing import HistoryStoreContract

if TYPE_CHECKING:
    from iterlog.testing.contract.base import Corrupt, Tear


class OwnBackendContract(HistoryStoreContract):
    """The contract for a backend of this package: no test of damage is skipped."""

    @pytest.fixture
    def tear(self) -> Tear:
        """Leave the beginning of an append at the end of a history: a subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} tests a backend of our own: give it the fixture 'tear'")

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Damage one stored line of a history: a subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} tests a backend of our own: give it the fixture 'corrupt'")
