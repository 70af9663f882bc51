"""The contract on spooled histories: a spool changes nothing that the contract asks for."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from back_doors import BEGINNING, corrupt_file, corrupt_memory
from bucket_doors import corrupt_commit
from own_backends import OwnBackendContract
from set_back_doors import corrupt_set
from test_contract_fsspec_memory import MemoryBucket

import iterlog
from iterlog.spool.places import spool_directory
from iterlog.url import HistoryURL

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.testing.contract.base import Corrupt, Tear


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the spools of a test apart from those of every other."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def tear_spool(url: str) -> None:
    """Write the beginning of a line behind the last newline of the backlog, as a loop that was killed does."""
    given, plain = HistoryURL.parse(url).without({"spool"})
    directory = Path(spool_directory(given["spool"], plain) or "") / "backlog"
    directory.mkdir(parents=True, exist_ok=True)
    files = sorted(directory.glob("*.jsonl")) or [directory / "000000000000.jsonl"]
    with files[-1].open("ab") as file:
        file.write(BEGINNING)


def in_the_store(corrupt: Callable[[str, int], None]) -> Callable[[str, int], None]:
    """Damage a line once it is in the store."""

    def drain_and_corrupt(url: str, index: int) -> None:
        with iterlog.open_history(url) as history:
            assert isinstance(history, iterlog.SupportsSpool)
            history.drain()
        corrupt(url, index)

    return drain_and_corrupt


class TestSpooledJsonlHistory(OwnBackendContract):
    """A spooled file."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A path in an empty directory, with the option."""
        return f"{tmp_path / 'history.jsonl'}?spool=true"

    @pytest.fixture
    def tear(self) -> Tear:
        """Write half a line behind the backlog's end."""
        return tear_spool

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of the file."""
        return in_the_store(corrupt_file)


class TestSpooledRotatingHistory(TestSpooledJsonlHistory):
    """A spooled set of small files."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A directory that does not exist yet."""
        return f"rotating://{tmp_path}/set?max_records=6&compress=off&spool=true"

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of a line, wherever it stands."""
        return in_the_store(corrupt_set)


class TestSpooledMemoryHistory(TestSpooledJsonlHistory):
    """A spooled history in memory."""

    shared_between_processes = False

    @pytest.fixture
    def url(self) -> str:
        """A name nobody used yet."""
        return f"memory://{uuid.uuid4().hex}?spool=yes"

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte in the shared list."""
        return in_the_store(corrupt_memory)


class TestSpooledRemoteHistory(TestSpooledMemoryHistory):
    """A spooled remote history, on objects in fsspec's memory: one that is taken over and not claimed."""

    @pytest.fixture
    def url(self) -> str:
        """A bucket nobody used yet."""
        return f"fsspec+memory://bucket-{uuid.uuid4().hex}/runs?spool=on"

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte of an object."""
        return in_the_store(
            lambda url, index: corrupt_commit(MemoryBucket(), url.partition("://")[2].partition("?")[0], index)
        )
