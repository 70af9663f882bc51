"""No failing storage ends a loop or costs it a record: what a history cannot take is kept and merged in order."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from failing_history import FailingHistory, fail, fail_no_more, kept, numbers, save
from unit_records import line_of, make_record

import iterlog
from iterlog import (
    CorruptionError,
    HistoryURL,
    UnavailableError,
    WriteUncertainError,
    fallback,
    loop,
    register_backend,
    registry,
)
from iterlog.fallback import Fallback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from iterlog import IterationRecord


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a history that can fail, as the default history."""
    monkeypatch.delenv("ITERLOG_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(registry, "_registered", {})
    register_backend("failing", FailingHistory)
    monkeypatch.setattr(FailingHistory, "failure", None)
    name = f"failing://{uuid.uuid4().hex}"
    monkeypatch.setattr(iterlog, "HISTORY_FILE", name)
    monkeypatch.chdir(tmp_path)
    yield name
    FailingHistory.failure = None
    loop._close_all()


FAILURES = {
    "disk full": UnavailableError("full", errno=errno.ENOSPC),
    "uncertain": WriteUncertainError("sync failed", errno=errno.EIO),
    "a bare OSError": OSError(errno.EIO, "input/output error"),
    "corruption": CorruptionError("damaged"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_kept_and_merged(url: str, tmp_path: Path, failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """While the storage fails records are logged and kept; the next success brings them first, in order and once."""
    save(0)
    fail(failure)
    save(1, 2)
    assert numbers(url) == [0]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    (place,) = kept(tmp_path)
    assert numbers(place) == [1, 2]
    fail_no_more()
    save(3)
    assert numbers(url) == [0, 1, 2, 3]
    assert kept(tmp_path) == []
    save(4)
    assert numbers(url) == [0, 1, 2, 3, 4]


def test_kept_records_count(url: str) -> None:
    """Feedback and last number come from what is kept while the history is behind."""
    save(0)
    fail()
    save(1)
    assert (iterlog.load_previous_feedback(), iterlog.get_last_iteration_number()) == ("after 1", 1)
    iterlog.save_iteration_result(2, "x", {}, "after a failure", success=False)
    assert iterlog.load_previous_feedback() == "after a failure"
    assert iterlog.load_previous_feedback(successful_only=True) == "after 1"
    fail_no_more()
    assert iterlog.get_last_iteration_number() == 2
    assert numbers(url) == [0, 1, 2]


def test_an_append_that_came_through_is_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that was stored although the append failed is recognised by its id."""
    monkeypatch.setattr(FailingHistory, "stores_first", True)
    fail(WriteUncertainError("who knows"))
    save(0, 1)
    fail_no_more()
    save(2)
    assert sorted(number or 0 for number in numbers(url)) == [0, 1, 2]


def test_merging_without_looking_for_ids_is_noticed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: a merge that does not look for ids stores the record twice."""
    monkeypatch.setattr(FailingHistory, "stores_first", True)
    monkeypatch.setattr(fallback, "without_known", lambda records, _history: records)
    fail(WriteUncertainError("who knows"))
    save(0)
    fail_no_more()
    save(1)
    assert numbers(url) == [0, 0, 1]


@pytest.mark.parametrize("step", ["extend", "remove"])
def test_a_crash_in_the_middle_of_a_merge(url: str, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between appending and removing, or before, a crash costs nothing and repeats nothing."""
    fail()
    save(0, 1)
    fail_no_more()

    class Crash(BaseException):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(
            "failing_history.FailingHistory._append" if step == "extend" else "iterlog.fallback._remove", crash
        )
        with pytest.raises(Crash):
            save(2)
    loop._histories.clear()
    save(3)
    assert numbers(url) == [0, 1, 3]
    assert kept(tmp_path) == []


def test_all_places_fail(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When no file can be written either, records stay in memory, with a critical log, and count; none is lost."""
    fail()
    with monkeypatch.context() as patch:
        patch.setattr(Fallback, "keep", _refuse)
        save(0, 1)
        assert caplog.records[-1].levelname == "CRITICAL"
        assert "2 records" in caplog.records[-1].getMessage()
        assert iterlog.get_last_iteration_number() == 1
        assert kept(tmp_path) == []
    save(2)
    assert numbers(kept(tmp_path)[0]) == [0, 1, 2]
    fail_no_more()
    save(3)
    assert numbers(url) == [0, 1, 2, 3]


def _refuse(_self: Fallback, _record: IterationRecord) -> Path:
    raise UnavailableError("no place")


def test_memory_goes_to_the_history_that_works_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory only is stored before the next record, and not twice."""
    monkeypatch.setattr(FailingHistory, "stores_first", True)
    monkeypatch.setattr(Fallback, "keep", _refuse)
    fail(WriteUncertainError("who knows"))
    save(0, 1)
    fail_no_more()
    save(2)
    assert sorted(number or 0 for number in numbers(url)) == [0, 1, 2]


@pytest.mark.parametrize("works", ["history", "fallback", "neither"])
def test_memory_when_the_default_history_changes(
    url: str, tmp_path: Path, works: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assigning another HISTORY_FILE, or ending, stores what was in memory; what cannot be stored is not forgotten."""
    fail()
    with monkeypatch.context() as patch:
        patch.setattr(Fallback, "keep", _refuse)
        save(0)
        if works == "neither":
            patch.setattr(iterlog, "HISTORY_FILE", "other.jsonl")
            save(1)
            patch.setattr(iterlog, "HISTORY_FILE", url)
            assert iterlog.get_last_iteration_number() == 0
    if works != "fallback":
        fail_no_more()
    monkeypatch.setattr(iterlog, "HISTORY_FILE", "other.jsonl")
    assert iterlog.get_last_iteration_number() == (1 if works == "neither" else -1)
    assert [numbers(path) for path in kept(tmp_path)] == ([[0]] if works == "fallback" else [])
    assert numbers(url) == ([] if works == "fallback" else [0])


def test_a_forked_child_does_not_store_its_parents_records(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records in memory at a fork are the parent's: the child does not store them as well."""
    fail()
    monkeypatch.setattr(Fallback, "keep", _refuse)
    save(0)
    child = multiprocessing.get_context("fork").Process(target=_check_that_nothing_is_held)
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert iterlog.get_last_iteration_number() == 0
    fail_no_more()
    save(1)
    assert numbers(url) == [0, 1]


def _check_that_nothing_is_held() -> None:
    assert [default.unsaved for default in loop._histories.values()] == [[]]


def test_several_places_merge_in_order(url: str, tmp_path: Path) -> None:
    """Records that went to one place, to another, and back come together as they were saved."""
    fail()
    save(0)
    (first,) = kept(tmp_path)
    first.parent.chmod(0o777)  # so that it is not trusted for a while
    save(1)
    first.parent.chmod(0o700)
    save(2)
    assert [numbers(path) for path in kept(tmp_path)] == [[0, 2], [1]]
    assert iterlog.get_last_iteration_number() == 2
    fail_no_more()
    save(3)
    assert numbers(url) == [0, 1, 2, 3]


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_that_others_can_write_to_is_not_trusted(
    url: str, tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What another user may have put into a shared directory is not merged."""
    fail()
    save(0)
    (place,) = kept(tmp_path)
    place.write_bytes(line_of(make_record(iteration=99)) + b"\n")
    place.parent.chmod(mode)
    loop._close_all()
    fail_no_more()
    save(1)
    assert numbers(url) == [1]
    assert place.exists()
    assert "others could" in caplog.text


@pytest.mark.usefixtures("url")
def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    """A planted link sends no record elsewhere."""
    (tmp_path / "state").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state" / "iterlog").symlink_to(tmp_path / "elsewhere")
    fail()
    save(0)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [path.parent.parent.name for path in kept(tmp_path)] == ["tmp"]


def test_an_unreadable_place_does_not_stop_the_history(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fallback file that cannot be read is logged and left alone; the history goes on."""
    fail()
    save(0)
    fail_no_more()
    (place,) = kept(tmp_path)

    def unreadable(path: str, *args: Any, **kwargs: Any) -> int:
        if str(path) == str(place):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *args, **kwargs)

    real = os.open
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", unreadable)
        save(1)
    assert numbers(url) == [1]
    assert "passed over" in caplog.text
    loop._close_all()
    save(2)
    assert sorted(number or 0 for number in numbers(url)) == [0, 1, 2]


def test_damage_in_a_fallback_file_is_set_aside(url: str, tmp_path: Path) -> None:
    """What can be read is merged; the file itself, which holds more, is kept under another name."""
    fail()
    save(0, 1)
    (place,) = kept(tmp_path)
    place.write_bytes(place.read_bytes() + b"garbage\n")
    content = place.read_bytes()
    fail_no_more()
    save(2)
    assert numbers(url) == [0, 1, 2]
    assert not place.exists()
    (aside,) = place.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content


def test_options_in_the_environment_do_not_reach_the_fallback(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ITERLOG_CREATE=false and the like are meant for the history, not for its last resort."""
    for name, value in (("CREATE", "no"), ("ON_DAMAGE", "raise"), ("DURABILITY", "flush"), ("WRITE", "replace")):
        monkeypatch.setenv(f"ITERLOG_{name}", value)
    monkeypatch.setenv("ITERLOG_CREATE", "no")
    save(0)
    (place,) = kept(tmp_path)
    monkeypatch.delenv("ITERLOG_CREATE")
    assert numbers(place) == [0]
    save(1)
    assert numbers(url) == [0, 1]


def test_neither_home_nor_temporary_directory(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A user without a home on a machine whose disk is full still gets no error but a log."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "expanduser", _raise(RuntimeError("no home")))
    monkeypatch.setattr(tempfile, "gettempdir", _raise(FileNotFoundError(errno.ENOENT, "no usable directory")))
    places = Fallback(HistoryURL.parse(url))._places
    assert [place.path.parent.parent for place in places] == [Path("/tmp")]
    monkeypatch.setattr(Path, "mkdir", _raise(OSError(errno.ENOSPC, "full")))
    fail()
    save(0)
    assert caplog.records[-1].levelno == logging.CRITICAL


def _raise(error: Exception) -> Callable[..., Any]:
    def raising(*_: Any, **__: Any) -> Any:
        raise error

    return raising
