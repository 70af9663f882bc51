"""The contract on a rotating set: in one file, across many plain ones, and across compressed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from own_backends import OwnBackendContract
from set_back_doors import corrupt_idle_set, corrupt_set, tear_set

if TYPE_CHECKING:
    from pathlib import Path

    from iterlog.testing.contract.base import Corrupt, Tear


class TestRotatingHistory(OwnBackendContract):
    """A set as it opens by default; the contract's histories fit into its first file."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A directory that does not exist yet."""
        return f"rotating://{tmp_path}/set"

    @pytest.fixture
    def tear(self) -> Tear:
        """Write half a line behind the active file's end."""
        return tear_set

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of a line, wherever it stands."""
        return corrupt_set


class TestRotatingHistorySealed(TestRotatingHistory):
    """A set that seals every sixth record and leaves its files plain."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A set with tiny files."""
        return f"rotating://{tmp_path}/set?max_records=6&compress=off"


class TestRotatingHistoryCompressed(TestRotatingHistory):
    """A set that compresses every fifth record before the append returns."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A set with tiny compressed files."""
        return f"rotating+file://{tmp_path}/set?max_records=5&compress=inline&durability=flush"


class TestRotatingHistoryInBackground(TestRotatingHistory):
    """A set that compresses with gzip while the contract goes on."""

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of a line once the keeper has nothing to do: two that write one file at once prove nothing."""
        return corrupt_idle_set

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A set with tiny files and a busy keeper."""
        return f"rotating://{tmp_path}/set?max_records=20&codec=gzip&durability=flush"
