"""Where a copy stands: what it holds says so, whatever a bookmark says, and whatever became of the source."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from archive_samples import append_to, lines_of, make_source
from sync_places import bookmark_path, every_place, place

import iterlog
from iterlog.copying.overlap import Overlap, overlap_of
from iterlog.jobs.archive import archive
from iterlog.jobs.sync import sync

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plain history with damage and batches."""
    return make_source(tmp_path / "run.jsonl")


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
