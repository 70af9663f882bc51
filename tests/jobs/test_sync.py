"""Syncing one history to another: every line once, whatever stood there before, and none where it does not belong."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from archive_samples import append_to, lines_of, make_source
from sync_places import every_pair, every_place, place

import iterlog
from iterlog.jobs.sync import sync
from iterlog.lines import lines_to_follow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plain history with damage and batches."""
    return make_source(tmp_path / "run.jsonl")


@every_pair
def test_every_line_arrives_once(source: Path, tmp_path: Path, from_kind: str, to_kind: str) -> None:
    """From any place to any other the stored bytes are the same; again copies nothing, later what is new."""
    one, other = place(from_kind, tmp_path, "one"), place(to_kind, tmp_path, "other")
    before = lines_of(source)
    assert sync(source, one).copied == len(before)
    done = sync(one, other, verify=True)
    assert lines_of(other) == before
    assert (done.copied, done.lag.records, done.lag.seconds, done.missing_before) == (len(before), 0, 0.0, None)
    plain = b"".join(line + b"\n" for line in before)
    assert done.verified is not None
    assert done.verified.sha256 == hashlib.sha256(plain).hexdigest()
    assert (done.verified.lines, done.verified.plain_bytes) == (len(before), len(plain))
    assert sync(one, other).copied == 0
    append_to(one, 3)
    assert sync(one, other).copied == 3
    assert lines_of(other) == lines_of(one)


def test_round_the_houses(source: Path, tmp_path: Path) -> None:
    """A file through every kind of place and back is the same file, byte by byte."""
    at: object = source
    for kind in ("set", "memory", "compressed set", "file"):
        to = place(kind, tmp_path, kind.replace(" ", "-"))
        sync(at, to, verify=True)  # type: ignore[arg-type]  # paths and URLs alike
        at = to
    assert (tmp_path / "file.jsonl").read_bytes() == source.read_bytes()


@every_place
def test_restoring_is_the_other_way_round(source: Path, tmp_path: Path, kind: str) -> None:
    """A source that is gone comes back from its copy, and the loop goes on with the next number."""
    copy = place(kind, tmp_path, "copy")
    sync(source, copy)
    before = source.read_bytes()
    with iterlog.open_history(source) as history:
        resumed = history.resume()
    source.unlink()
    sync(copy, source, verify=True)
    assert source.read_bytes() == before
    with iterlog.open_history(source) as history:
        assert history.resume().next_iteration == resumed.next_iteration
        history.save(code=None, metrics={}, feedback="")
    assert sync(source, copy, verify=True).copied == 1


def test_appends_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No append of the copy ends between two lines of an append of the source."""
    with iterlog.open_history(tmp_path / "run.jsonl") as history:
        for size in (1, 150, 70, 40, 1, 260):
            history.extend({"code": "x", "metrics": {}, "feedback": ""} for _ in range(size))
    appended = []
    real = iterlog.backends.memory.MemoryHistory._append  # type: ignore[attr-defined]  # imported on first use

    def append(self: Any, lines: Any, durability: Any) -> Any:
        appended.append(list(lines))
        return real(self, lines, durability)

    monkeypatch.setattr(iterlog.backends.memory.MemoryHistory, "_append", append)  # type: ignore[attr-defined]  # as above
    sync(tmp_path / "run.jsonl", f"memory://{tmp_path}/copy")
    assert [lines_to_follow(lines[-1]) for lines in appended] == [0] * len(appended)
    assert sum(map(len, appended)) == 522


def test_damaged_lines_are_copied_and_counted(source: Path, tmp_path: Path) -> None:
    """They stand in the copy as they are, are told of once, and do not stop the next round."""
    assert sync(source, tmp_path / "copy.jsonl").damaged == 2
    append_to(source, 1)
    assert sync(source, tmp_path / "copy.jsonl").damaged == 0
    assert lines_of(tmp_path / "copy.jsonl") == lines_of(source)


# what must not be there


def _other(path: Path, source: Path) -> None:
    path.unlink(missing_ok=True)
    make_source(path, 20)
    path.write_bytes(path.read_bytes() + source.read_bytes()[: source.stat().st_size // 2] + path.read_bytes())


def _longer(path: Path, source: Path) -> None:
    path.write_bytes(source.read_bytes())
    append_to(path, 2)


def _changed(path: Path, source: Path) -> None:
    path.write_bytes(source.read_bytes().replace(b"f11", b"f12"))


def _forked(path: Path, source: Path) -> None:
    path.write_bytes(source.read_bytes())
    append_to(path, 2)
    append_to(source, 3, first=2000)


@pytest.mark.parametrize(
    ("make", "known"),
    # A change before the bookmark is what verify is for.
    [(_changed, False), *((make, known) for make in (_other, _longer, _forked) for known in (False, True))],
)
def test_a_copy_that_differs_is_left_alone(source: Path, tmp_path: Path, make: Any, *, known: bool) -> None:
    """What the source does not hold is never written behind; the message says what can be done."""
    copy = tmp_path / "copy.jsonl"
    if known:
        sync(source, copy)
    make(copy, source)
    before = copy.read_bytes()
    for dry_run in (False, True):
        with pytest.raises(iterlog.ConflictError, match=r"direction|put the source aside"):
            sync(source, copy, dry_run=dry_run)
        with pytest.raises(iterlog.CorruptionError):
            sync(source, copy, dry_run=dry_run, verify=True)
    assert copy.read_bytes() == before


def test_an_empty_source_says_how_to_restore_it(source: Path, tmp_path: Path) -> None:
    """A primary on a new disk never leads to records behind those of its copy."""
    sync(source, tmp_path / "copy.jsonl")
    before = (tmp_path / "copy.jsonl").read_bytes()
    source.write_bytes(b"")
    with pytest.raises(iterlog.ConflictError, match="restore"):
        sync(source, tmp_path / "copy.jsonl")
    assert (tmp_path / "copy.jsonl").read_bytes() == before


@pytest.mark.parametrize("where", ["first", "middle", "last", "cut", "doubled", "dropped", "swapped"])
def test_verify_compares_everything(source: Path, tmp_path: Path, where: str) -> None:
    """A line changed, lost, doubled or moved in the copy is found, also behind a bookmark that does not see it."""
    copy = tmp_path / "copy.jsonl"
    sync(source, copy)
    lines = copy.read_bytes().splitlines(keepends=True)
    index = {"first": 0, "last": -1}.get(where, 60)
    if where == "cut":
        lines = [*lines[:60], lines[60][:-9] + b"\n", *lines[61:]]
    elif where == "doubled":
        lines.insert(60, lines[60])
    elif where == "dropped":
        del lines[60]
    elif where == "swapped":
        lines[60], lines[61] = lines[61], lines[60]
    else:
        lines[index] = lines[index].replace(b"feedback", b"feedbacc")
    copy.write_bytes(b"".join(lines))
    before = copy.read_bytes()
    with pytest.raises(iterlog.CorruptionError):
        sync(source, copy, verify=True)
    assert copy.read_bytes() == before


def test_a_copy_is_written_to_by_one_at_a_time(source: Path, tmp_path: Path) -> None:
    """While another sync, or a loop, holds the copy, nothing is written."""
    sync(source, tmp_path / "copy.jsonl")
    append_to(source, 1)
    with iterlog.open_history(tmp_path / "copy.jsonl") as held:
        held.resume()
        with pytest.raises(iterlog.ConflictError, match="process"):
            sync(source, tmp_path / "copy.jsonl")
        assert len(lines_of(tmp_path / "copy.jsonl")) == len(lines_of(source)) - 1
    assert sync(source, tmp_path / "copy.jsonl").copied == 1


def test_a_history_is_not_its_own_copy(source: Path, tmp_path: Path) -> None:
    """By whatever name; nor is a source that is not there an empty one."""
    (tmp_path / "link.jsonl").symlink_to(source)
    for name in (source, tmp_path / "link.jsonl", f"jsonl://{source}?durability=flush"):
        with pytest.raises(iterlog.ConfigError, match="same"):
            sync(source, name)
    with pytest.raises(iterlog.HistoryNotFoundError):
        sync(tmp_path / "missing.jsonl", tmp_path / "copy.jsonl")
    assert not (tmp_path / "copy.jsonl").exists()


def test_a_dry_run_changes_nothing(source: Path, tmp_path: Path) -> None:
    """It says how many lines would be copied and how old the oldest is, and creates no file."""
    count = len(lines_of(source))
    before = sorted(tmp_path.iterdir())
    assert sync(source, tmp_path / "copy.jsonl", dry_run=True).copied == count
    assert sorted(tmp_path.iterdir()) == before
    sync(source, tmp_path / "copy.jsonl")
    with iterlog.open_history(source) as history:
        history.append({"code": None, "metrics": {}, "feedback": "", "timestamp": "2025-01-01T00:00:00+00:00"})
        history.append({"code": None, "metrics": {}, "feedback": ""})
    done = sync(source, tmp_path / "copy.jsonl", dry_run=True)
    assert (done.copied, done.lag.records) == (2, 2)
    assert done.lag.seconds > 86_400 * 30
    assert len(lines_of(tmp_path / "copy.jsonl")) == count
