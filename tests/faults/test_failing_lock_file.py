"""Storage that fails under the lock file: nothing is appended without the lock and the note that belong to it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers_at, record
from fault_shim import fault, shimmed

from iterlog import UnavailableError, open_history

if TYPE_CHECKING:
    from pathlib import Path

NAME = "history.jsonl"


@pytest.mark.parametrize("call", ["flock", "pwrite", "open", "fsync"])
@shimmed
def test_failing_lock_file(tmp_path: Path, call: str) -> None:
    """A lock that cannot be had, created or noted in means nothing written, and no harm to the next append."""
    path = tmp_path / NAME
    with open_history(path) as history:
        with fault(call, f"{NAME}.lock", errno=errno.ENOLCK), pytest.raises(UnavailableError) as caught:
            history.append(record(0))
        assert caught.value.errno == errno.ENOLCK
        assert numbers_at(path) == []
        history.append(record(1))
        history.resume()
    assert numbers_at(path) == [1]


@shimmed
def test_lock_note_written_in_part(tmp_path: Path) -> None:
    """A note that did not reach the lock file whole is no note, and nothing was appended on the strength of it."""
    path = tmp_path / NAME
    with open_history(path) as history:
        with fault("pwrite", f"{NAME}.lock", short=9), pytest.raises(UnavailableError):
            history.append(record(0))
        history.append(record(0))
    assert numbers_at(path) == [0]
