"""The file beside a history: removed, full of garbage, or from another boot of the machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, numbers_at, record, records, torn_files, write_history
from fault_processes import in_child

from iterlog import ConflictError, open_history
from iterlog.files import logfile
from iterlog.files.machine import boot_id
from iterlog.reports import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog import HistoryStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a history may be written."""
    return tmp_path / "history.jsonl"


def lock_of(path: Path) -> Path:
    """Return the lock file's path."""
    return Path(f"{path}.lock")


def note_of(path: Path) -> dict[str, object]:
    """Return what the last writer noted in the lock file."""
    note: dict[str, object] = json.loads(lock_of(path).read_bytes()[:256])
    return note


def note_another_boot(path: Path, highest: int = -1) -> None:
    """Make the lock file say that the last writer wrote before the machine was booted."""
    note = json.dumps({"format": 1, "boot_id": "00000000-another-boot", "highest": highest}).encode()
    content = lock_of(path).read_bytes()
    lock_of(path).write_bytes(note.ljust(255) + b"\n" + content[256:])


def append_in_child(path: Path) -> None:
    """Append one record in another process."""

    def append() -> None:
        with open_history(path) as history:
            history.append(record(None))

    in_child(append)


def test_lock_file_survives_close(path: Path) -> None:
    """The lock file is never removed, and is created with the umask's permissions."""
    before = os.umask(0o027)
    try:
        with open_history(path) as history:
            history.resume()
            history.append(record(0))
    finally:
        os.umask(before)
    assert lock_of(path).stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mode & 0o777 == 0o640


def test_lock_file_removed_between_handles(path: Path) -> None:
    """Without its lock file a history is appended to as before."""
    write_history(path, records([0]))
    lock_of(path).unlink()
    with open_history(path) as history:
        assert history.resume().next_iteration == 1
        history.append(record(None))
    assert numbers_at(path) == [0, 1]


def test_lock_file_removed_under_handles(path: Path) -> None:
    """Handles that hold a removed lock file meet again over the one that comes after it, and lose nothing."""
    with open_history(path, durability="flush") as one, open_history(path, durability="flush") as two:
        one.append(record(None))
        two.append(record(None))
        for _ in range(5):
            lock_of(path).unlink()
            one.append(record(None))
            append_in_child(path)
            two.append(record(None))
            assert lock_of(path).exists()
        found = numbers(one)
    assert found == list(range(17))
    assert note_of(path)["boot_id"] == boot_id()


def test_highest_number_survives_the_lock_file(path: Path) -> None:
    """A number that the last line hides is known to the next lock file when a handle is open that knows it."""
    with open_history(path) as history:
        history.append(record(50))
        history.append(record(3))
        lock_of(path).unlink()
        history.append(record(None))
        assert numbers(history) == [50, 3, 51]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0" * 512,
        b"\xff" * 512,
        b"x" * 100_000,
        b"[1, 2]".ljust(512),
        b'{"boot_id": 5, "highest": "many"}'.ljust(512),
        b'{"boot_id": "%b", "highest": 99999999999999999999999}'.ljust(512) % boot_id().encode(),
        b'{"boot_id": "%b", "highest": -7}'.ljust(512) % boot_id().encode(),
        b'{"boot_id": "%b", "highest": true}'.ljust(512) % boot_id().encode(),
        b"[" * 256 + b"{" * 256,
    ],
    ids=["empty", "nul", "ff", "long", "list", "types", "huge number", "negative", "bool", "nested"],
)
def test_garbage_in_the_lock_file(path: Path, garbage: bytes) -> None:
    """Whatever stands in the lock file, the history is read, claimed and appended to with its own numbers."""
    write_history(path, records([0]), records([1]))
    lock_of(path).write_bytes(garbage)
    with open_history(path) as history:
        point = history.resume()
        assert (point.next_iteration, point.dropped) == (2, ())
        history.append(record(None))
        with open_history(path) as other, pytest.raises(ConflictError):
            other.resume()
    assert numbers_at(path) == [0, 1, 2]
    assert note_of(path)["boot_id"] == boot_id()


@pytest.mark.parametrize("pid", [2**70, -1, "x\u001b[31m", None, [1], 0])
def test_garbage_in_a_claim_that_is_held(path: Path, pid: object) -> None:
    """Who is told of a running loop is told so whatever its claim says, without control characters."""
    with open_history(path) as history:
        history.resume()
        claim = json.dumps({"pid": pid, "host": "\u001b]0;x\u0007", "since": 3}, ensure_ascii=False).encode()
        content = lock_of(path).read_bytes().ljust(512)
        with lock_of(path).open("r+b") as lock:
            lock.write(content[:256] + claim.ljust(256))
        with open_history(path) as other, pytest.raises(ConflictError) as caught:
            other.resume()
        assert "\x1b" not in str(caught.value)


def check_boot(path: Path) -> None:
    """Damage the middle of a history, as a crash of the machine can, and look at what resume says after the boot."""
    content = write_history(path, *([found] for found in records(range(5))))
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    path.write_bytes(content[: ends[0]] + b"\0" * 40 + content[ends[0] + 40 :])
    with open_history(path) as history:
        assert history.resume().dropped == (), "in the same boot nothing looks at the middle"
    note_another_boot(path)
    with open_history(path) as history:
        point = history.resume()
        assert [(found.kind, found.position[0], found.kept_at) for found in point.dropped] == [
            (FaultKind.NUL, ends[0], None)
        ]
        assert point.next_iteration == 5
    assert path.read_bytes()[ends[0] :][:40] == b"\0" * 40
    with open_history(path) as history:
        assert history.resume().dropped == (), "reported once per boot"
    assert note_of(path)["boot_id"] == boot_id()


def test_another_boot_checks_every_line(path: Path) -> None:
    """After a boot the first resume reports damage anywhere in the file, and leaves it in its place."""
    check_boot(path)


def test_another_boot_without_damage(path: Path) -> None:
    """After a boot an undamaged history has nothing to report, and its torn end is repaired as ever."""
    content = write_history(path, records([0]), records([1]))
    note_another_boot(path)
    path.write_bytes(content[:-9])
    with open_history(path) as history:
        assert [found.kind for found in history.resume().dropped] == [FaultKind.TORN]
        history.append(record(None))
    assert numbers_at(path) == [0, 1]


def test_another_boot_keeps_numbers(path: Path) -> None:
    """After a boot no number is handed out again, be it noted, hidden in the middle or lost in a hole."""
    content = write_history(path, records([7]), records([40]), records([3]))
    note_another_boot(path, highest=-1)  # the note had not reached the disk
    with open_history(path) as history:
        assert history.resume().next_iteration == 41
    path.write_bytes(content)
    note_another_boot(path, highest=90)
    with open_history(path) as history:
        assert history.resume().next_iteration == 91


def test_a_boot_that_changes_under_the_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the machine's boot id that counts, whatever wrote the file."""
    write_history(path, records([0]))
    path.write_bytes(path.read_bytes().replace(b'"code":"', b'"code":"!'))
    monkeypatch.setattr(logfile, "boot_id", lambda: "the next boot")
    with open_history(path) as history:
        assert [found.kind for found in history.resume().dropped] == [FaultKind.CHECKSUM]
    assert note_of(path)["boot_id"] == "the next boot"


@pytest.fixture
def append_only(path: Path) -> Iterator[Path]:
    """A history of two records whose file may only be appended to (chattr +a)."""
    write_history(path, records([0]), records([1]))
    if os.geteuid() != 0 or shutil.which("chattr") is None:
        pytest.skip("making a file append-only takes root and chattr")
    done = subprocess.run(["chattr", "+a", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this file system has no append-only files: {done.stderr.strip()}")
    yield path
    subprocess.run(["chattr", "-a", str(path)], check=True)


def leave(path: Path, torn: bytes) -> None:
    """Append what an interrupted writer left."""
    with path.open("ab") as file:
        file.write(torn)


def check_stub(history: HistoryStore, path: Path, torn: bytes) -> None:
    """Append behind what cannot be cut away, and read around it both ways."""
    before = path.read_bytes() + torn
    leave(path, torn)
    first = len(numbers(history))
    dropped = len(history.repair())
    history.append(record(None))
    history.extend(records([None, None]))
    assert numbers(history) == list(range(first + 3))
    assert [one.iteration for one in reversed(history)] == list(range(first + 3))[::-1]
    assert len(history) == first + 3
    assert path.read_bytes().startswith(before)
    assert len(history.repair()) == dropped, "reported once"
    assert {fault.kind for fault in history.verify().faults} == {FaultKind.UNFINISHED}


def test_append_only_file(append_only: Path, tmp_path: Path) -> None:
    """Where nothing can be cut, a torn record, a torn batch and half a batch are passed over, whatever comes behind."""
    single = write_history(tmp_path / "single.jsonl", records([2]))
    batch = write_history(tmp_path / "batch.jsonl", records([2, 3])).splitlines(keepends=True)
    longer = write_history(tmp_path / "longer.jsonl", records([2, 3, 4])).splitlines(keepends=True)
    with open_history(append_only, on_damage="raise") as history:
        for torn in (
            single[:40],
            batch[0],
            batch[0] + batch[1][:50],
            longer[0] + longer[1],
            longer[0] + longer[1][:-2],
            b"\0" * 300,
        ):
            check_stub(history, append_only, torn)
    assert torn_files(append_only) == []
    with open_history(append_only) as history:
        assert history.resume().dropped == ()


def test_append_only_file_lacking_a_newline(append_only: Path, tmp_path: Path) -> None:
    """A whole record that lacks its newline is kept where nothing can be cut, too."""
    leave(append_only, write_history(tmp_path / "single.jsonl", records([2]))[:-1])
    with open_history(append_only) as history:
        history.append(record(None))
        assert numbers(history) == [0, 1, 2, 3]
        assert history.verify().ok


# The checks above can fail.


def test_not_looking_after_a_boot_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that does not compare boot ids is caught."""
    monkeypatch.setattr(logfile, "check_all_lines", lambda *_arguments: -1)
    with pytest.raises(AssertionError):
        check_boot(path)


def test_a_stub_without_its_mark_is_noticed(append_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When what is left of a batch only gets a newline, the next append completes it, and that is caught."""
    monkeypatch.setattr("iterlog.files.tail._CANCELLED", b"\n")
    batch = write_history(tmp_path / "batch.jsonl", records([2, 3])).splitlines(keepends=True)
    with open_history(append_only) as history, pytest.raises(AssertionError):
        check_stub(history, append_only, batch[0] + batch[1][:50])
