"""The contract on histories with a copy: a mirror changes nothing of what is promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_contract_jsonl import TestJsonlHistory as _Jsonl
from test_contract_rotating import TestRotatingHistory as _Rotating

from iterlog.mirror import Mirror

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _alone_while_memory_is_counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no copy follow where memory is counted: that is done for all threads, and only the caller's is meant."""
    if request.node.originalname == "test_resume_costs_the_same_at_any_length":
        monkeypatch.setattr(Mirror, "_start", lambda _self: None)


class TestMirroredFile(_Jsonl):
    """A file with a set as its copy."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A path in an empty directory, with a copy beside it."""
        return f"{tmp_path}/history.jsonl?mirror=rotating%3A%2F%2F{tmp_path}%2Fcopy"


class TestMirroredSet(_Rotating):
    """A set of tiny files with a copy in memory."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A set that leaves its files plain, so that the tests may change them."""
        return f"rotating://{tmp_path}/set?max_records=6&compress=off&mirror=memory://{tmp_path}/copy"


del _Jsonl, _Rotating  # collected where they are at home
