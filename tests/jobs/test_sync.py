"""Syncing one history to another: every line once, whatever stood there before, and none where it does not belong."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from archive_samples import append_to, lines_of, make_source
from sync_places import every_pair, every_place, place

import iterlog
from iterlog.copying.bookmarks import BookmarkFile
from iterlog.copying.overlap import Overlap, overlap_of
from iterlog.jobs.archive import archive
from iterlog.jobs.sync import sync
from iterlog.lines import lines_to_follow
from iterlog.places import place_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plain history with damage and batches."""
    return make_source(tmp_path / "run.jsonl")


def bookmark_path(source: object, destination: object) -> Path:
    """Return where it is noted how far a copy is."""
    places = [place_of(iterlog.HistoryURL.parse(each)) for each in (source, destination)]  # type: ignore[arg-type]  # any
    path = BookmarkFile(*places)._path
    assert path is not None
    return path


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


@pytest.mark.parametrize("make", [_other, _longer, _changed, _forked])
@pytest.mark.parametrize("known", [False, True])
def test_a_copy_that_differs_is_left_alone(source: Path, tmp_path: Path, make: Any, *, known: bool) -> None:
    """What the source does not hold is never written behind; the message says what can be done."""
    copy = tmp_path / "copy.jsonl"
    if known:
        sync(source, copy)
    if known and make is _changed:
        return  # a change before the bookmark is what --verify is for
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


# where it stands


def test_a_bookmark_spares_reading_everything(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it nothing is compared from the beginning; without it, everything."""
    sync(source, tmp_path / "copy.jsonl")
    compared = []

    def counted(one: iterlog.HistoryStore, other: iterlog.HistoryStore) -> Overlap:
        compared.append(1)
        return overlap_of(one, other)

    monkeypatch.setattr("iterlog.copying.follower.overlap_of", counted)
    append_to(source, 2)
    assert sync(source, tmp_path / "copy.jsonl").copied == 2
    assert compared == []
    bookmark_path(source, tmp_path / "copy.jsonl").unlink()
    append_to(source, 2)
    assert sync(source, tmp_path / "copy.jsonl").copied == 2
    assert compared == [1]


FIELDS = ["source_before", "source_at", "source_sha256", "copy_before", "copy_at", "copy_sha256"]
WRONG: list[Any] = ["", "0", "7", "999999999", "1.2.3", "no position", "x" * 64, 7]


@pytest.mark.parametrize("field", FIELDS)
@every_place
def test_a_wrong_bookmark_costs_time_only(source: Path, tmp_path: Path, kind: str, field: str) -> None:
    """Whatever stands in it, nothing is lost and nothing stands there twice."""
    one, other = place(kind, tmp_path, "one"), place(kind, tmp_path, "other")
    sync(source, one)
    sync(one, other)
    path = bookmark_path(one, other)
    for i, value in enumerate(WRONG):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), field: value}))
        append_to(one, 2, first=1000 + 2 * i)
        assert sync(one, other).copied == 2
        assert lines_of(other) == lines_of(one)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"{}", None])
def test_a_bookmark_that_cannot_be_read(source: Path, tmp_path: Path, content: bytes | None) -> None:
    """Nonsense, or a directory in its place, is none."""
    sync(source, tmp_path / "copy.jsonl")
    path = bookmark_path(source, tmp_path / "copy.jsonl")
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    append_to(source, 2)
    assert sync(source, tmp_path / "copy.jsonl").copied == 2
    assert lines_of(tmp_path / "copy.jsonl") == lines_of(source)


@every_place
@pytest.mark.parametrize("stale", ["older", "newer"])
def test_a_bookmark_of_another_time(source: Path, tmp_path: Path, kind: str, stale: str) -> None:
    """One from before the last sync, or one for a copy that was set back since: all lines, each once."""
    copy, spare = place(kind, tmp_path, "copy"), place(kind, tmp_path, "spare")
    sync(source, copy)
    sync(source, spare)
    path = bookmark_path(source, copy)
    before = path.read_bytes()
    append_to(source, 5)
    sync(source, copy)
    if stale == "older":
        path.write_bytes(before)
        append_to(source, 2, first=2000)
        assert sync(source, copy).copied == 2
    else:
        bookmark_path(source, spare).write_bytes(path.read_bytes())
        assert sync(source, spare).copied == 5
        copy = spare
    assert lines_of(copy) == lines_of(source)


def test_equal_lines_are_told_apart_by_their_place(tmp_path: Path) -> None:
    """A program that writes the same line again and again loses none and gets none twice."""
    line = b'{"iteration": 1, "code": null, "metrics": {}, "feedback": ""}\n'
    source, copy = tmp_path / "run.jsonl", tmp_path / "copy.jsonl"
    for count in (3, 250, 251, 400):
        source.write_bytes(line * count)
        sync(source, copy)
        assert copy.read_bytes() == line * count
        bookmark_path(source, copy).unlink()
        assert sync(source, copy).copied == 0


def test_a_source_that_was_shortened_since(source: Path, tmp_path: Path) -> None:
    """What an archival left of the source goes on behind the older lines in the copy."""
    copy = tmp_path / "copy.jsonl"
    sync(source, copy)
    before = lines_of(source)
    archive(source, tmp_path / "archive", delete_source=True, keep_last=10)
    append_to(source, 3)
    assert sync(source, copy, verify=True).copied == 3
    assert lines_of(copy)[: len(before)] == before
    assert lines_of(copy) == lines_of(tmp_path / "archive") + lines_of(source)[-3:]


def _pruned(path: Path, keep: int) -> None:
    with iterlog.open_history(f"rotating://{path}?keep_records={keep}") as history:
        assert isinstance(history, iterlog.SupportsRotation)
        assert list(history.prune())


def test_a_source_that_was_pruned_since(source: Path, tmp_path: Path) -> None:
    """Retention that removed only what the copy holds changes nothing, with a bookmark or without."""
    sync(source, f"rotating://{tmp_path}/set?max_records=20")
    copy = tmp_path / "copy.jsonl"
    sync(tmp_path / "set", copy)
    before = lines_of(copy)
    append_to(f"rotating://{tmp_path}/set?max_records=20", 5)
    _pruned(tmp_path / "set", 50)
    assert sync(tmp_path / "set", copy).copied == 5
    bookmark_path(tmp_path / "set", copy).unlink()
    append_to(tmp_path / "set", 2, first=2000)
    done = sync(tmp_path / "set", copy, verify=True)
    assert (done.copied, done.missing_before) == (2, None)
    assert lines_of(copy)[: len(before)] == before
    assert len(lines_of(copy)) == len(before) + 7


def test_a_source_that_was_pruned_too_early(source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What retention removed before it was copied is missing: that is said, and the rest follows."""
    url = f"rotating://{tmp_path}/set?max_records=20"
    sync(source, url)
    copy = tmp_path / "copy.jsonl"
    sync(url, copy)
    before = lines_of(copy)
    append_to(url, 100)
    _pruned(tmp_path / "set", 30)
    left = lines_of(url)
    assert len(left) < 60
    done = sync(url, copy)
    with iterlog.open_history(url) as history:
        assert isinstance(history, iterlog.SupportsRotation)
        assert done.missing_before == history.begins_at
    assert done.copied == len(left)
    assert lines_of(copy) == before + left
    assert sum("before they were copied" in record.getMessage() for record in caplog.records) == 1
    append_to(url, 1, first=2000)
    assert (sync(url, copy).missing_before, sync(url, copy).copied) == (None, 0)


def test_a_source_without_its_first_lines_and_a_bookmark(source: Path, tmp_path: Path) -> None:
    """Nobody can tell then that the two belong together: refused, nothing written."""
    url = f"rotating://{tmp_path}/set?max_records=20"
    sync(source, url)
    sync(url, tmp_path / "copy.jsonl")
    before = lines_of(tmp_path / "copy.jsonl")
    append_to(url, 100)
    _pruned(tmp_path / "set", 30)
    bookmark_path(url, tmp_path / "copy.jsonl").unlink()
    with pytest.raises(iterlog.ConflictError):
        sync(url, tmp_path / "copy.jsonl")
    assert lines_of(tmp_path / "copy.jsonl") == before


def test_a_torn_end_of_the_copy(source: Path, tmp_path: Path) -> None:
    """What a killed sync tore is set aside, and the line is copied whole."""
    copy = tmp_path / "copy.jsonl"
    sync(source, copy)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-30])
    sync(source, copy, verify=True)
    assert copy.read_bytes() == whole
    assert list(tmp_path.glob("copy.jsonl.torn-*"))


def test_nothing_is_kept_where_nothing_can_be(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a state directory to write to, syncing works all the same."""
    (tmp_path / "state").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for _ in range(2):
        sync(source, tmp_path / "copy.jsonl", verify=True)
    assert lines_of(tmp_path / "copy.jsonl") == lines_of(source)
    assert list(islice(tmp_path.glob("state/*"), 1)) == []
