"""The contract on one JSONL file, in each of the ways it can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from back_doors import corrupt_file, tear_file
from own_backends import OwnBackendContract

if TYPE_CHECKING:
    from pathlib import Path

    from iterlog.testing.contract.base import Corrupt, Tear


class TestJsonlHistory(OwnBackendContract):
    """A plain path, appended to and synced: the default."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A path in an empty directory."""
        return str(tmp_path / "history.jsonl")

    @pytest.fixture
    def tear(self) -> Tear:
        """Write half a line behind the file's end."""
        return tear_file

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of the file."""
        return corrupt_file


class TestJsonlHistoryFlushed(TestJsonlHistory):
    """A URL with ``durability=flush``: no sync before an append returns."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A URL whose name has a space and an option."""
        return f"jsonl://{tmp_path}/my%20history.jsonl?durability=flush"


class TestJsonlHistoryReplaced(TestJsonlHistory):
    """A path with ``write=replace``: the whole file is written anew each time."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A path with an option."""
        return f"{tmp_path / 'history.jsonl'}?write=replace"
