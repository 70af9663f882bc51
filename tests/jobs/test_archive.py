"""Archiving one history: every line, proven, and only then removed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from archive_samples import append_to, lines_of, make_source

import iterlog
from iterlog.backends.jsonl import JsonlHistory
from iterlog.backends.rotating import RotatingHistory
from iterlog.copying.proof import Proof
from iterlog.jobs.archive import archive
from iterlog.rotation.layout import read_listing
from iterlog.segments.packing import Codec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plain history with damage and batches."""
    return make_source(tmp_path / "run.jsonl")


KINDS = ["archive", "archive.jsonl", "rotating://{}/set?max_records=30", "memory://{}/archive"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_arrives(source: Path, tmp_path: Path, kind: str) -> None:
    """Damaged lines, batches and other programs' lines stand in the copy byte for byte, whatever it is."""
    destination = kind.format(tmp_path) if "://" in kind else str(tmp_path / kind)
    before = lines_of(source)
    done = archive(source, destination)
    assert lines_of(destination) == before == lines_of(source)
    assert (done.lines, done.copied, done.removed) == (len(before), len(before), False)
    plain = b"".join(line + b"\n" for line in before)
    assert (done.plain_bytes, done.sha256) == (len(plain), hashlib.sha256(plain).hexdigest())


def test_a_plain_path_becomes_a_compressed_set(source: Path, tmp_path: Path) -> None:
    """A destination that is no JSONL file is sealed and compressed with the codec asked for."""
    archive(source, tmp_path / "archive", codec="gzip", level=9)
    listing = read_listing(str(tmp_path / "archive"))
    assert [part.codec for part in listing.parts] == [Codec.GZIP, None]
    assert not (tmp_path / "archive" / listing.parts[1].name).stat().st_size


def test_from_a_set_back_to_a_file(source: Path, tmp_path: Path) -> None:
    """A set's lines give the file that they came from."""
    archive(source, f"rotating://{tmp_path}/set?max_records=40")
    archive(tmp_path / "set", tmp_path / "back.jsonl")
    assert lines_of(tmp_path / "back.jsonl") == lines_of(source)
    assert (tmp_path / "back.jsonl").read_bytes() == source.read_bytes()


def test_again_copies_only_what_is_new(source: Path, tmp_path: Path) -> None:
    """A second run copies nothing, a third what was appended since; nothing stands there twice."""
    archive(source, tmp_path / "archive")
    assert archive(source, tmp_path / "archive").copied == 0
    append_to(source, 3)
    assert archive(source, tmp_path / "archive").copied == 3
    assert lines_of(tmp_path / "archive") == lines_of(source)


def test_another_history_at_the_destination_is_refused(source: Path, tmp_path: Path) -> None:
    """A destination that holds anything else than the source's beginning is left as it is."""
    other = make_source(tmp_path / "other.jsonl", 20)
    before = other.read_bytes()
    with pytest.raises(iterlog.ConflictError):
        archive(source, other, delete_source=True)
    longer = tmp_path / "longer.jsonl"
    longer.write_bytes(source.read_bytes() + before)
    with pytest.raises(iterlog.ConflictError):
        archive(source, longer, delete_source=True)
    assert other.read_bytes() == before
    assert source.exists()


def test_delete_source(source: Path, tmp_path: Path) -> None:
    """The source goes, its lock file stays, and a new history can begin in its place."""
    before = lines_of(source)
    assert archive(source, tmp_path / "archive", delete_source=True).removed
    assert lines_of(tmp_path / "archive") == before
    assert not source.exists()
    assert (tmp_path / "run.jsonl.lock").exists()
    with iterlog.open_history(source) as history:
        assert history.resume().next_iteration == 0


def test_delete_a_set(source: Path, tmp_path: Path) -> None:
    """All files of a set go once they are proven to stand elsewhere; foreign files stay."""
    archive(source, f"rotating://{tmp_path}/set?max_records=40")
    (tmp_path / "set" / "notes.txt").write_text("mine")
    archive(tmp_path / "set", tmp_path / "archive", delete_source=True)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["lock", "notes.txt"]
    assert lines_of(tmp_path / "archive") == lines_of(source)


@pytest.mark.parametrize("keep", [1, 7, 60, 10_000])
def test_keep_last_leaves_the_end(source: Path, tmp_path: Path, keep: int) -> None:
    """At least the last N records stay, whole appends only, with the numbers going on; again changes nothing."""
    with iterlog.open_history(source) as history:
        history.extend({"iteration": 900 + k, "code": "b", "metrics": {}, "feedback": ""} for k in range(3))
        records = len(history)
        last = [record.iteration for record in history.tail(keep)]
    before = lines_of(source)
    source.chmod(0o640)
    archive(source, tmp_path / "archive", delete_source=True, keep_last=keep)
    left = lines_of(source)
    assert lines_of(tmp_path / "archive") == before == before[: -len(left)] + left
    with iterlog.open_history(source) as history:
        assert [record.iteration for record in history.tail(keep)] == last
        assert min(keep, records) <= len(history) <= min(keep + 4, records)
        assert history.resume().next_iteration == 903
    assert source.stat().st_mode & 0o777 == 0o640
    archive(source, tmp_path / "archive", delete_source=True, keep_last=keep)
    append_to(source, 2)
    assert archive(source, tmp_path / "archive", delete_source=True, keep_last=keep).copied == 2
    assert len(lines_of(tmp_path / "archive")) == len(before) + 2


def test_keep_last_of_a_set_removes_whole_files(source: Path, tmp_path: Path) -> None:
    """Old files of a set go, the positions of the rest stay, and a later run goes on where this one ended."""
    archive(source, f"rotating://{tmp_path}/set?max_records=40")
    before = lines_of(tmp_path / "set")
    archive(tmp_path / "set", tmp_path / "archive", delete_source=True, keep_last=50)
    with iterlog.open_history(tmp_path / "set") as history:
        assert isinstance(history, iterlog.SupportsRotation)
        begins = history.begins_at[0]
        assert 50 <= len(history) < 100
    assert lines_of(tmp_path / "set") == before[begins:]
    append_to(tmp_path / "set", 5)
    assert archive(tmp_path / "set", tmp_path / "archive", delete_source=True, keep_last=50).copied == 5
    assert lines_of(tmp_path / "archive")[: len(before)] == before


def test_a_running_loop_keeps_its_history(source: Path, tmp_path: Path) -> None:
    """A claimed source is refused before anything is copied; without removing it, it can be copied all the same."""
    with iterlog.open_history(source) as history:
        history.resume()
        with pytest.raises(iterlog.ConflictError, match="process"):
            archive(source, tmp_path / "archive", delete_source=True)
        assert not (tmp_path / "archive").exists()
        archive(source, tmp_path / "archive")
    assert lines_of(tmp_path / "archive") == lines_of(source)


@pytest.mark.parametrize("keep_last", [None, 10])
def test_what_is_appended_meanwhile_is_archived_first(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_last: int | None
) -> None:
    """Records appended after the copy was proven are copied and proven before the source goes."""
    real = Proof.go_on
    calls = []

    def go_on(self: Proof, *args: Any) -> None:
        real(self, *args)
        calls.append(1)
        if len(calls) == 1:
            append_to(source, 4)

    monkeypatch.setattr(Proof, "go_on", go_on)
    done = archive(source, tmp_path / "archive", delete_source=True, keep_last=keep_last)
    assert len(calls) == 2
    assert done.lines == len(lines_of(tmp_path / "archive"))
    assert b'"iteration":1003' in lines_of(tmp_path / "archive")[-1]


def _dropping(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _doubling(lines: list[bytes]) -> list[bytes]:
    return [lines[0], *lines]


def _swapping(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


def _bending(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"feedback", b"feedbacc"), *lines[1:]]


def _cutting(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


@pytest.mark.parametrize("backend", [JsonlHistory, RotatingHistory])
@pytest.mark.parametrize("broken", [_dropping, _doubling, _swapping, _bending, _cutting])
def test_a_broken_copier_is_caught(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[list[bytes]], list[bytes]],
    backend: type[iterlog.HistoryStore],
) -> None:
    """A copy with a line lost, doubled, moved or changed is an error, and the source stays."""
    real = backend._append
    chunks = []

    def append(self: iterlog.HistoryStore, lines: Sequence[bytes], durability: iterlog.Durability) -> iterlog.Position:
        chunks.append(lines)
        return real(self, broken(list(lines)) if len(chunks) == 2 else lines, durability)

    monkeypatch.setattr(backend, "_append", append)
    before = source.read_bytes()
    with pytest.raises(iterlog.CorruptionError, match="nothing was removed"):
        archive(source, tmp_path / ("a.jsonl" if backend is JsonlHistory else "a"), delete_source=True)
    assert source.read_bytes() == before


def test_an_unreadable_file_of_a_set_keeps_it_from_being_removed(source: Path, tmp_path: Path) -> None:
    """What cannot be read was not copied: a set with a damaged file is not removed."""
    archive(source, f"rotating://{tmp_path}/set?max_records=40")
    victim = tmp_path / "set" / read_listing(str(tmp_path / "set")).sealed[2].name
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 0xFF
    victim.write_bytes(data)
    with pytest.raises(iterlog.CorruptionError):
        archive(tmp_path / "set", tmp_path / "archive", delete_source=True)
    assert victim.read_bytes() == data


@pytest.mark.parametrize("keep_last", [None, 10])
@pytest.mark.parametrize(("unread", "compress"), [("000000000015.jsonl", "inline"), ("000000000010.jsonl", "off")])
def test_what_no_reader_is_shown_keeps_a_set_from_being_removed(
    tmp_path: Path, unread: str, compress: str, keep_last: int | None
) -> None:
    """A file between others, or bytes behind a sealed file's end, were not copied: nothing is removed before."""
    directory, victim = tmp_path / "set", tmp_path / "set" / unread
    with iterlog.open_history(f"rotating://{directory}?max_records=10&compress={compress}") as history:
        for i in range(35):
            history.save(code="x", metrics={}, feedback="", iteration=i)
    before = {path.name: path.read_bytes() for path in directory.glob("0*")}
    with victim.open("ab") as file:
        file.write(b'{"iteration":777,"code":"found nowhere else"}' + b"\n" * (unread not in before))
    with pytest.raises(iterlog.CorruptionError, match=unread):
        archive(directory, tmp_path / "archive", delete_source=True, keep_last=keep_last)
    assert set(directory.glob("0*")) == {victim, *(directory / name for name in before)}
    if unread in before:
        victim.write_bytes(before[unread])
    else:
        victim.unlink()
    assert archive(directory, tmp_path / "archive", delete_source=True, keep_last=keep_last).removed
    assert len(lines_of(tmp_path / "archive")) == 35


def test_a_dry_run_changes_nothing(source: Path, tmp_path: Path) -> None:
    """It tells how much would be copied, now and when a part is there already, and creates no file."""
    count = len(lines_of(source))
    before = sorted(tmp_path.iterdir())
    assert archive(source, tmp_path / "archive", dry_run=True, delete_source=True).copied == count
    assert sorted(tmp_path.iterdir()) == before
    archive(source, tmp_path / "archive")
    append_to(source, 2)
    assert archive(source, tmp_path / "archive", dry_run=True).copied == 2


def test_impossible_wishes_are_refused(source: Path, tmp_path: Path) -> None:
    """Keeping without deleting, keeping nothing, a codec for a file, the source itself, a source in memory."""
    with pytest.raises(iterlog.ConfigError, match="delete_source"):
        archive(source, tmp_path / "archive", keep_last=3)
    with pytest.raises(iterlog.ConfigError, match="keep_last"):
        archive(source, tmp_path / "archive", keep_last=0, delete_source=True)
    with pytest.raises(iterlog.ConfigError, match="codec"):
        archive(source, tmp_path / "a.jsonl", codec="zstd")
    with pytest.raises(iterlog.ConfigError, match="same"):
        archive(source, tmp_path / "x" / ".." / "run.jsonl")
    with iterlog.open_history(f"memory://{tmp_path}/m") as history:
        history.save(code=None, metrics={}, feedback="")
        with pytest.raises(iterlog.UnsupportedOperationError):
            archive(f"memory://{tmp_path}/m", tmp_path / "archive", delete_source=True)
    with pytest.raises(iterlog.HistoryNotFoundError):
        archive(tmp_path / "missing.jsonl", tmp_path / "archive")
    assert not (tmp_path / "archive").exists()


def test_an_empty_history_is_archived_as_one(tmp_path: Path) -> None:
    """No record is no error, and the empty file can be removed."""
    (tmp_path / "run.jsonl").touch()
    done = archive(tmp_path / "run.jsonl", tmp_path / "archive", delete_source=True)
    assert (done.lines, done.removed) == (0, True)


@pytest.mark.parametrize("kind", ["file", "set"])
def test_what_cannot_be_cut_is_not_called_removed(tmp_path: Path, kind: str) -> None:
    """When the kept records stand in one append, or one file of a set, with all others, nothing is said to be gone."""
    path = tmp_path / "run.jsonl"
    with iterlog.open_history(path) as history:
        history.extend({"code": "x", "metrics": {}, "feedback": ""} for _ in range(20))
    source: object = path
    if kind == "set":
        archive(path, f"rotating://{tmp_path}/set?max_records=1000")
        with iterlog.open_history(tmp_path / "set") as history:
            history.save(code="x", metrics={}, feedback="")
        source = tmp_path / "set"
    before = lines_of(source)
    done = archive(source, tmp_path / "archive", delete_source=True, keep_last=2)  # type: ignore[arg-type]  # a path
    assert (done.removed, done.left, lines_of(source)) == (False, len(before), before)
    append_to(source, 3)
    done = archive(source, tmp_path / "archive", delete_source=True, keep_last=3)  # type: ignore[arg-type]  # a path
    assert (done.removed, done.left) == ((True, 3) if kind == "file" else (True, 4))
    assert len(lines_of(source)) == done.left


@pytest.mark.parametrize("kind", ["archive", "archive.jsonl"])
@pytest.mark.parametrize("source_kind", ["file", "set"])
def test_a_finished_job_is_known_again(source: Path, tmp_path: Path, kind: str, source_kind: str) -> None:
    """Started again after its end it says so, having proven the copy again, and changes nothing."""
    where = source
    if source_kind == "set":
        archive(source, tmp_path / "set")
        where = tmp_path / "set"
    first = archive(where, tmp_path / kind, delete_source=True)
    for dry_run in (False, True):
        again = archive(where, tmp_path / "x" / ".." / kind, delete_source=True, dry_run=dry_run)
        assert (again.done_before, again.copied, again.removed, again.left) == (True, 0, True, 0)
        assert (again.lines, again.plain_bytes, again.sha256) == (first.lines, first.plain_bytes, first.sha256)
    with pytest.raises(iterlog.HistoryNotFoundError, match="archived to"):
        archive(where, tmp_path / "elsewhere", delete_source=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_finished_job_whose_copy_is_gone(source: Path, tmp_path: Path) -> None:
    """A copy that was removed, cut or changed since is no finished job."""
    archive(source, tmp_path / "a.jsonl", delete_source=True)
    whole = (tmp_path / "a.jsonl").read_bytes()
    for broken in (whole[: whole.rindex(b"\n", 0, -1) + 1], whole.replace(b"f11", b"f12"), b""):
        (tmp_path / "a.jsonl").write_bytes(broken)
        with pytest.raises(iterlog.CorruptionError):
            archive(source, tmp_path / "a.jsonl", delete_source=True)
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(iterlog.HistoryNotFoundError):
        archive(source, tmp_path / "a.jsonl", delete_source=True)


def test_a_new_history_in_the_old_place_is_another_one(source: Path, tmp_path: Path) -> None:
    """Once something was appended in the archived file's place, a finished job is no longer spoken of."""
    archive(source, tmp_path / "archive", delete_source=True)
    with iterlog.open_history(source) as history:
        history.save(code=None, metrics={}, feedback="")
    with pytest.raises(iterlog.ConflictError):
        archive(source, tmp_path / "archive", delete_source=True)
    source.unlink()
    with pytest.raises(iterlog.HistoryNotFoundError):
        archive(source, tmp_path / "archive", delete_source=True)


@pytest.mark.parametrize("kind", ["file", "set"])
def test_an_idle_handle_is_told_that_its_history_went(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Its next append begins a new history, loses nothing, and says so once."""
    where: object = source
    if kind == "set":
        archive(source, tmp_path / "set")
        where = tmp_path / "set"
    before = lines_of(where)
    with iterlog.open_history(where) as idle:  # type: ignore[arg-type]  # a path
        idle.save(code="idle", metrics={}, feedback="", iteration=5000)
        archive(where, tmp_path / "archive", delete_source=True)  # type: ignore[arg-type]  # a path
        caplog.clear()
        idle.save(code="idle", metrics={}, feedback="", iteration=5001)
        idle.save(code="idle", metrics={}, feedback="", iteration=5002)
        assert [record.getMessage().count("removed while") for record in caplog.records] == [1]
        assert [record.iteration for record in idle] == [5001, 5002]
    assert len(lines_of(tmp_path / "archive")) == len(before) + 1


def test_a_destination_whose_name_is_no_text(source: Path, tmp_path: Path) -> None:
    """A path with bytes that are no UTF-8 is a place like any other, also for a job that is known again."""
    target = Path(os.fsdecode(os.fsencode(tmp_path) + b"/arch\xff"))
    assert archive(source, target, delete_source=True).removed
    assert archive(source, target, delete_source=True).done_before


@pytest.mark.parametrize("left", ["notes.txt", "torn-000000000000-7-20260101T000000.000000Z"])
def test_a_set_that_was_removed_is_still_one(source: Path, tmp_path: Path, left: str) -> None:
    """Whatever stays in a set's directory when its records were archived, its path still names a set."""
    directory = tmp_path / "set"
    archive(source, f"rotating://{directory}")
    (directory / left).write_text("mine")
    assert archive(directory, tmp_path / "archive", delete_source=True).removed
    assert archive(directory, tmp_path / "archive", delete_source=True).done_before
    with iterlog.open_history(directory) as history:
        history.save(code="anew", metrics={}, feedback="")
    assert len(lines_of(directory)) == 1
    assert (directory / left).read_text() == "mine"
