"""The storage refuses while a set is sealed and compressed: appends go on, and the next keeper finishes."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest
from fault_files import record
from fault_shim import fault, shimmed
from rotation_files import SIZE, entries, listing, names, open_set, write_set

from iterlog import UnavailableError, WriteUncertainError
from iterlog.rotation import reading
from iterlog.rotation.parts import PartReader
from iterlog.rotation.twins import Twins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from iterlog.backends.rotating import RotatingHistory

TEMPORARY = ".zst.tmp"
SECOND = "000000000003.jsonl"


def check_goes_on(history: RotatingHistory, directory: Path, count: int) -> None:
    """Check that all records are there and that appending, sealing and compressing go on."""
    assert [(position[0], found.iteration) for position, found in entries(history)] == [
        (number + 1, number) for number in range(count)
    ]
    assert history.append(record(None))[0] == count + 1
    for _ in range(SIZE):
        history.append(record(None))
    list(history.compress())
    found = entries(history)
    assert [(position[0], record.iteration) for position, record in found] == [
        (number + 1, number) for number in range(count + 1 + SIZE)
    ]
    left = listing(directory)
    assert not left.dead
    assert not left.redundant
    assert all(part.codec for part in left.sealed)
    assert history.verify().ok


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
@shimmed
def test_compressing_fails(tmp_path: Path, call: str, code: int) -> None:
    """When compressing fails the plain file stays, and by hand the error says so; the next time finishes."""
    directory = tmp_path / "set"
    write_set(directory, SIZE + 1)
    with open_set(directory) as history:
        where = ".zst" if call == "rename" else TEMPORARY
        with fault(call, where, errno=code), pytest.raises(UnavailableError) as caught:
            list(history.compress())
        assert caught.value.errno == code
        assert names(directory) == ["000000000000.jsonl", SECOND]
        assert not listing(directory).dead
        check_goes_on(history, directory, SIZE + 1)


@pytest.mark.parametrize("compress", ["inline", "background"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@shimmed
def test_an_append_never_fails_because_compressing_does(tmp_path: Path, compress: str, code: int) -> None:
    """While nothing can be compressed, appends go on as if nothing were the matter."""
    directory = tmp_path / "set"
    with open_set(directory, compress=compress) as history, fault("write", TEMPORARY, errno=code):
        for number in range(4 * SIZE):
            assert history.append(record(None))[0] == number + 1
        deadline = time.monotonic() + 10
        while compress == "background" and history._background._thread is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert all(part.codec is None for part in listing(directory).parts)
    with open_set(directory) as history:
        check_goes_on(history, directory, 4 * SIZE)


@shimmed
def test_what_cannot_be_read_back_is_not_put_in_place(tmp_path: Path) -> None:
    """A disk that loses a part of what is written to it costs nothing: the plain file stays."""
    directory = tmp_path / "set"
    write_set(directory, SIZE + 1)
    with open_set(directory) as history:
        with fault("pread", TEMPORARY, errno=errno.EIO), pytest.raises(UnavailableError):
            list(history.compress())
        assert names(directory) == ["000000000000.jsonl", SECOND]
        check_goes_on(history, directory, SIZE + 1)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(
    ("call", "where"), [("open", SECOND), ("fsync", SECOND), ("fsync", "/set"), ("pwrite", "/lock")]
)
@shimmed
def test_sealing_fails(tmp_path: Path, call: str, where: str, code: int) -> None:
    """An append whose file cannot be sealed is stored all the same, at its position, and a later one seals."""
    directory = tmp_path / "set"
    write_set(directory, 1)
    with open_set(directory) as history:
        assert history.append(record(None))[0] == 2
        with fault(call, where, errno=code):
            assert history.append(record(None))[0] == 3
        with open_set(directory) as other:
            assert [found.iteration for _, found in entries(other)] == [0, 1, 2]
            assert other.append(record(None))[0] == 4
        assert history.append(record(None))[0] == 5
        check_goes_on(history, directory, 5)


@pytest.mark.parametrize("durability", ["sync", "flush"])
@shimmed
def test_sealing_by_hand_fails(tmp_path: Path, durability: str) -> None:
    """A seal that is refused and tried again seals at the same line, and other handles notice."""
    directory = tmp_path / "set"
    with open_set(directory, durability=durability) as history, open_set(directory, durability=durability) as other:
        history.append(record(None))
        other.append(record(None))
        with fault("open", "000000000002.jsonl", errno=errno.ENOSPC), pytest.raises(UnavailableError):
            history.seal()
        other.resume()
        assert history.seal()
        assert other.append(record(None))[0] == 3
        assert [part.first for part in listing(directory).parts] == [0, 2]
        check_goes_on(history, directory, 3)


@pytest.mark.parametrize("durability", ["sync", "flush"])
@shimmed
def test_a_failed_sync_while_sealing_poisons_the_handle(tmp_path: Path, durability: str) -> None:
    """When the disk loses what a seal wants durable, the append or the next one says so, and the handle is done."""
    directory = tmp_path / "set"
    with open_set(directory, durability=durability) as history:
        history.append(record(None))
        history.append(record(None))
        with fault("fdatasync", "000000000000.jsonl", errno=errno.EIO, count=1):
            if durability == "sync":
                with pytest.raises(WriteUncertainError):
                    history.append(record(None))
            else:
                history.append(record(None))
        with pytest.raises(WriteUncertainError):
            history.append(record(None))
        assert names(directory) == ["000000000000.jsonl"]
        with pytest.raises(WriteUncertainError):
            history.close()
    with open_set(directory) as history:
        check_goes_on(history, directory, 3)


@shimmed
def test_another_process_flushed_what_a_seal_makes_durable(tmp_path: Path) -> None:
    """A seal syncs the whole file, also what another handle appended without a sync of its own."""
    directory = tmp_path / "set"
    with open_set(directory, durability="flush") as other:
        history = open_set(directory)
        history.append(record(None))
        other.append(record(None))
        with fault("fdatasync", "000000000000.jsonl", errno=errno.EIO, count=1), pytest.raises(WriteUncertainError):
            history.seal()
        with pytest.raises(WriteUncertainError):
            history.close()
        assert os.listdir(directory).count("000000000002.jsonl") == 0  # noqa: PTH208 - a count of one name


READS: dict[str, Callable[[RotatingHistory], object]] = {
    "forward": list,
    "backward": lambda history: list(reversed(history)),
    "get": lambda history: history.get(1),
    "len": len,
    "footers": lambda history: list(history.footers()),
    "listing": lambda history: history.begins_at,
}


@pytest.mark.parametrize("read", READS)
def test_files_that_are_listed_and_never_there_end_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """A name that goes is looked for again, but not for ever: the storage is what is wrong then."""
    write_set(tmp_path / "set", 2 * SIZE + 1, compressed=True)

    looks = []

    def gone(_self: object, _what: object) -> None:
        looks.append(1)
        assert len(looks) < 100
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(reading, "_MOST_VANISHED", 3)
    with open_set(tmp_path / "set") as history:
        if read == "listing":
            monkeypatch.setattr(Twins, "chosen", gone)
        else:
            monkeypatch.setattr(PartReader, "opened", gone)
        with pytest.raises(UnavailableError):
            READS[read](history)
