"""Storage that fails while a whole file is written anew: the old one stays, or the append says that it is uncertain."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from fault_files import beside, numbers, record, records, write_history
from fault_shim import fault, shimmed

from iterlog import UnavailableError, WriteUncertainError, open_history

if TYPE_CHECKING:
    from pathlib import Path

NAME = "history.jsonl"


@pytest.mark.parametrize(
    ("call", "where"),
    [("write", "tmp"), ("fsync", "tmp"), ("rename", NAME), ("open", "tmp")],
)
@shimmed
def test_failing_replacement(tmp_path: Path, call: str, where: str) -> None:
    """With write=replace a failure leaves the old file whole and no temporary file behind."""
    path = tmp_path / NAME
    before = write_history(path, records([0]), write="replace")
    names = beside(path)
    with open_history(path, write="replace") as history:
        history.repair()
        with fault(call, where, errno=errno.ENOSPC), pytest.raises(UnavailableError) as caught:
            history.append(record(1))
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == before
        assert beside(path) == names
        history.append(record(2))
        assert numbers(history) == [0, 2]


@shimmed
def test_replacement_from_a_file_that_reads_short(tmp_path: Path) -> None:
    """With write=replace a file that suddenly reads as empty is not replaced by one that lacks its records."""
    path = tmp_path / NAME
    before = write_history(path, records([0]), records([1]), write="replace")
    with open_history(path, write="replace") as history:
        history.repair()
        with fault("pread", NAME, short=0), pytest.raises(UnavailableError):
            history.append(record(2))
    assert path.read_bytes() == before


@shimmed
def test_replacement_whose_name_is_not_durable(tmp_path: Path) -> None:
    """With write=replace, a failed sync of the directory leaves an uncertain append: the new file is in place."""
    path = tmp_path / NAME
    write_history(path, records([0]), write="replace")
    with open_history(path, write="replace") as history:
        with fault("fsync", tmp_path.name, errno=errno.EIO), pytest.raises(WriteUncertainError):
            history.append(record(1))
        assert numbers(history) == [0, 1]
        history.append(record(2))
        assert numbers(history) == [0, 1, 2]
