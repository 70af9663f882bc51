"""Turning a plain history into a rotating set, in use or not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from archive_samples import append_to, lines_of, make_source

import iterlog
from iterlog.backends.rotating import RotatingHistory
from iterlog.jobs.archive import archive
from iterlog.jobs.rotate import rotate


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plain history with damage and batches."""
    return make_source(tmp_path / "run.jsonl", 60)


def test_the_old_path_opens_the_set(source: Path, tmp_path: Path) -> None:
    """Every line is there under both names, appends go on behind them, and the file's bytes were not copied."""
    before, inode = lines_of(source), source.stat().st_ino
    done = rotate(source)
    assert (done.directory, done.lines, done.turned) == (str(tmp_path / "run"), len(before), True)
    assert lines_of(source) == lines_of(tmp_path / "run") == before
    assert (tmp_path / "run" / "000000000000.jsonl").stat().st_ino == inode
    with iterlog.open_history(source, max_records=10) as history:
        assert isinstance(history, RotatingHistory)
        assert history.resume().next_iteration == 62
        assert history.save(code=None, metrics={}, feedback="").iteration == 62
        assert history.seal() is False  # the first append sealed the full file already
        list(history.compress())
    assert lines_of(source)[:-1] == before


def test_again_is_fine(source: Path, tmp_path: Path) -> None:
    """A second call finds a set and leaves it alone; another directory for it is refused."""
    rotate(source)
    append_to(source, 1)
    assert not rotate(source).turned
    assert not rotate(source, tmp_path / "run").turned
    with pytest.raises(iterlog.ConfigError):
        rotate(source, tmp_path / "other")


def test_a_torn_end_is_set_aside_first(source: Path) -> None:
    """What a crash tore is kept beside the file, as a repair keeps it, and never sealed."""
    before = lines_of(source)
    with source.open("ab") as file:
        file.write(b'{"iteration":60,"ti')
    rotate(source)
    assert lines_of(source) == before
    assert [path.read_bytes() for path in source.parent.glob("run.jsonl.torn-*")] == [b'{"iteration":60,"ti']


def test_numbers_go_on_from_the_highest(source: Path) -> None:
    """A number higher than the last line's is not handed out again in the set."""
    with iterlog.open_history(source) as history:
        history.append({"iteration": 500, "code": None, "metrics": {}, "feedback": ""})
        history.append({"iteration": 61, "code": None, "metrics": {}, "feedback": ""})
    rotate(source)
    with iterlog.open_history(source) as history:
        assert history.save(code=None, metrics={}, feedback="").iteration == 501


def test_an_open_handle_is_refused_clearly(source: Path) -> None:
    """Appending, resuming and reading through the old handle say what happened; nothing is written to either name."""
    with iterlog.open_history(source) as history, iterlog.open_history(source) as idle:
        history.save(code=None, metrics={}, feedback="")
        before = lines_of(source)
        rotate(source)
        for refused in (
            lambda: history.save(code=None, metrics={}, feedback=""),
            lambda: idle.save(code=None, metrics={}, feedback=""),
            history.repair,
            lambda: list(history),
        ):
            with pytest.raises(iterlog.ConflictError, match="open the history again"):
                refused()
    assert lines_of(source) == before


def test_the_path_goes_on_working_when_the_set_was_archived(source: Path, tmp_path: Path) -> None:
    """A set whose records were all archived and removed is an empty one: the old path begins a new history there."""
    rotate(source)
    archive(source, tmp_path / "archive", delete_source=True)
    with pytest.raises(iterlog.HistoryNotFoundError):
        iterlog.open_history(source, create=False)
    with iterlog.open_history(source) as history:
        assert len(history) == 0
        history.save(code="anew", metrics={}, feedback="")
    assert len(lines_of(tmp_path / "run")) == 1


@pytest.mark.parametrize("content", ["notes.txt", "000000000000.jsonl", "000000000007.jsonl"])
def test_a_directory_with_something_else_is_refused(source: Path, tmp_path: Path, content: str) -> None:
    """Nothing is put beside foreign files or another set's; the file stays what it was."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / content).write_text("mine\n")
    with pytest.raises(iterlog.ConfigError, match="something else"):
        rotate(source)
    assert not source.is_symlink()
    assert (tmp_path / "run" / content).read_text() == "mine\n"


def test_what_is_no_plain_history_is_refused(tmp_path: Path) -> None:
    """A missing file, a directory, a set's URL, a file without a suffix and without a directory's name."""
    with pytest.raises(iterlog.HistoryNotFoundError):
        rotate(tmp_path / "missing.jsonl")
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(iterlog.ConfigError):
        rotate(tmp_path / "d.jsonl")
    with pytest.raises(iterlog.ConfigError):
        rotate(f"rotating://{tmp_path}/set")
    make_source(tmp_path / "bare", 30)
    with pytest.raises(iterlog.ConfigError, match="name the directory"):
        rotate(tmp_path / "bare")
    assert rotate(tmp_path / "bare", tmp_path / "bare.d").turned


def test_a_wrong_option_is_refused(source: Path) -> None:
    """An option in the URL that nobody knows is told, although nothing is opened with it."""
    before = source.read_bytes()
    with pytest.raises(iterlog.ConfigError, match="durability"):
        rotate(f"{source}?durabilty=flush")
    assert (source.read_bytes(), source.is_symlink()) == (before, False)


def test_a_dry_run_changes_nothing(source: Path, tmp_path: Path) -> None:
    """It names the directory and counts the lines."""
    before = sorted(tmp_path.iterdir())
    done = rotate(source, dry_run=True)
    assert (done.directory, done.lines, done.turned) == (str(tmp_path / "run"), len(lines_of(source)), False)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "step", ["put_file_in_order", "make_directories", "os.link", "os.symlink", "os.replace", "sync_directory"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_and_started_again(source: Path, step: str, when: str) -> None:
    """A kill right before or behind any step leaves the history readable, and a second run finishes it."""
    before = lines_of(source)
    script = f"""
        import os, signal, sys
        from iterlog.jobs import rotate as room
        holder, name = (os, {step.removeprefix("os.")!r}) if {step!r}.startswith("os.") else (room, {step!r})
        real = getattr(holder, name)
        def killing(*args, **keywords):
            if {when!r} == "after":
                real(*args, **keywords)
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(holder, name, killing)
        room.rotate(sys.argv[1])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(source)], check=False)
    assert done.returncode == -9
    assert lines_of(source) == before
    append_to(source, 1)
    rotate(source)
    assert source.is_symlink()
    assert not list(source.parent.glob(".*.tmp"))
    assert lines_of(source)[:-1] == before


_WRITER = """
    import sys, iterlog
    path, how = sys.argv[1:]
    print("ready", flush=True)
    number = 1000
    if how == "handle":
        with iterlog.open_history(path, durability="flush") as history:
            while True:
                try:
                    history.save(code="c", metrics={}, feedback="", iteration=number)
                except iterlog.ConflictError as error:
                    print("refused", error.message, flush=True)
                    break
                print(number, flush=True)
                number += 1
    else:
        iterlog.HISTORY_FILE = path
        while number < 1000 + int(how):
            iterlog.save_iteration_result(number, "c", {}, "")
            print(number, flush=True)
            number += 1
        print("done", flush=True)
"""


def _start(source: Path, how: str) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITER), str(source), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ITERLOG_DURABILITY": "flush"},
    )
    assert writer.stdout
    for line in writer.stdout:
        if line.strip().isdigit() and int(line) >= 1010:
            break
    return writer


def _end_of(writer: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what else a writer says until it ends; not `communicate`, which forgets what was read ahead."""
    assert writer.stdout
    assert writer.stderr
    with writer:
        return writer.stdout.read(), writer.stderr.read()


def _late_numbers(source: Path) -> list[int]:
    with iterlog.open_history(source) as history:
        return [record.iteration for record in history if record.iteration is not None and record.iteration >= 1000]


@pytest.mark.parametrize("round_number", range(5))
def test_a_writer_that_never_stops_loses_nothing(source: Path, round_number: int) -> None:
    """Every append that was acknowledged during the turn is in the set, once and in order; the next one is refused."""
    assert round_number >= 0
    writer = _start(source, "handle")
    rotate(source)
    rest, errors = _end_of(writer)
    assert "refused" in rest, errors
    assert writer.returncode == 0, errors
    acknowledged = [int(line) for line in rest.splitlines() if line.isdigit()]
    assert _late_numbers(source) == list(range(1000, max([*acknowledged, 1010]) + 1))


def test_the_three_functions_go_on_in_the_set(source: Path) -> None:
    """A loop without a handle notices nothing: what was refused is kept and merged, in order and once."""
    writer = _start(source, "400")
    rotate(source)
    rest, errors = _end_of(writer)
    assert "done" in rest, errors
    assert _late_numbers(source) == list(range(1000, 1400))
    assert not list(source.parent.glob("*.fallback"))


def test_what_was_kept_under_the_old_name_is_merged_by_a_new_process(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that ended right after it was refused left its record beside the file; the next one finds it."""
    kept = Path(f"{source}.fallback")
    with iterlog.open_history(kept) as fallback:
        fallback.save(code="kept", metrics={}, feedback="", iteration=1000)
    rotate(source)
    monkeypatch.setattr(iterlog, "HISTORY_FILE", str(source))
    iterlog.save_iteration_result(1001, "c", {}, "")
    assert _late_numbers(source) == [1000, 1001]
    assert not kept.exists()


def test_a_refused_link_leaves_the_file_alone(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no second name can be given, as across file systems, the error says what to do instead."""

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(iterlog.UnsupportedOperationError, match="archive"):
        rotate(source)
    assert not source.is_symlink()
    append_to(source, 1)


def test_again_says_the_same(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call, by whichever name of the path, names the same path, directory and lines, and does nothing."""
    first = rotate(source)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    assert {rotate(source.name), rotate(source), rotate(f"link/{source.name}")} == {replace(first, turned=False)}
    with iterlog.open_history(source) as history:
        assert isinstance(history, iterlog.SupportsRotation)
        history.seal()
        list(history.compress())
    append_to(source, 1)
    assert rotate(source).lines == first.lines + 1
