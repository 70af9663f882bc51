"""`iterlog archive` and `iterlog rotate`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_helpers import RAW_CONTROLS, call, make_history, run, run_on_terminal

import iterlog
from iterlog.cli.exits import ExitCode
from iterlog.jobs import many
from iterlog.jobs.many import Run, archive_many, plan


def _lines(url: Path | str) -> list[bytes]:
    with iterlog.open_history(url, create=False) as history:
        return [line for _, line in history.lines()]


def _runs(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        (root / "runs" / name).mkdir(parents=True)
        make_history(root / "runs" / name / "iteration_history.jsonl", 3 + i)
    return root / "runs"


def test_archive_one(tmp_path: Path) -> None:
    """A file goes into a compressed set; the figures come as JSON; again copies nothing."""
    path = tmp_path / "run.jsonl"
    with iterlog.open_history(path) as history:
        for i in range(20):
            history.save(code=f"x = {i}", metrics={"a": i}, feedback="")
    before = _lines(path)
    done = json.loads(call("archive", "--json", "--codec", "gzip", path, tmp_path / "archive").stdout)
    assert (done["lines"], done["copied"], done["removed"], len(done["sha256"])) == (20, 20, False, 64)
    assert done["plain_bytes"] == path.stat().st_size
    assert [each.suffix for each in sorted((tmp_path / "archive").glob("0*"))] == [".gz", ".jsonl"]
    assert json.loads(call("archive", "--json", path, tmp_path / "archive").stdout)["copied"] == 0
    result = call("archive", "--delete-source", "--keep-last", "2", path, tmp_path / "archive")
    assert (result.exit_code, result.stdout) == (0, "")
    assert _lines(path) == before[-2:]
    assert _lines(tmp_path / "archive") == before
    done = json.loads(
        call("archive", "--json", "--delete-source", "--keep-last", "2", path, tmp_path / "archive").stdout
    )
    assert (done["removed"], done["left"]) == (False, 2)


def test_archive_says_what_it_would_do(tmp_path: Path) -> None:
    """A dry run leaves everything as it is."""
    path = make_history(tmp_path / "run.jsonl", 20)
    done = json.loads(call("archive", "--json", "--dry-run", "--delete-source", path, tmp_path / "archive").stdout)
    assert (done["copied"], done["sha256"], done["removed"]) == (20, None, False)
    assert path.exists()
    assert not (tmp_path / "archive").exists()


def test_archive_errors_are_one_line(tmp_path: Path) -> None:
    """Each kind of refusal has its exit code, and one line on stderr."""
    path = make_history(tmp_path / "run.jsonl", 3)
    other = make_history(tmp_path / "other.jsonl", 2, status="other")
    wrong: list[tuple[list[object], ExitCode]] = [
        ([tmp_path / "missing.jsonl", tmp_path / "a"], ExitCode.NOT_FOUND),
        ([path, other], ExitCode.ERROR),
        ([path, path], ExitCode.USAGE),
        (["--keep-last", "3", path, tmp_path / "a"], ExitCode.USAGE),
        (["--codec", "lzma", path, tmp_path / "a"], ExitCode.USAGE),
        ([tmp_path / "no*.jsonl", tmp_path / "a"], ExitCode.USAGE),
        ([path, other, "memory://a"], ExitCode.USAGE),
    ]
    for words, code in wrong:
        done = run("archive", *words)
        assert done.returncode == code, done.stderr
        assert done.stderr.count(b"\n") == 1
        assert done.stdout == b""


SET_NAMES = [
    "000000000000.jsonl",
    "000000000000-000000000002.jsonl.zst",
    ".000000000000-000000000009.jsonl.gz.tmp",
    "lock",
]


@pytest.mark.parametrize("name", SET_NAMES)
def test_a_directory_named_like_a_file_of_a_set(tmp_path: Path, name: str) -> None:
    """Reading it, archiving to or from it, and rotating is wrong usage, told in one line; nothing is written."""
    path = make_history(tmp_path / "run.jsonl", 3)
    (tmp_path / "set" / name).mkdir(parents=True)
    wrong: list[list[object]] = [
        ["archive", path, tmp_path / "set"],
        ["archive", "--delete-source", f"rotating://{tmp_path}/set", tmp_path / "out"],
        ["show", f"rotating://{tmp_path}/set"],
        ["rotate", tmp_path / "set"],
    ]
    for words in wrong:
        done = run(*words)
        assert done.returncode == ExitCode.USAGE, done.stderr
        assert done.stderr.count(b"\n") == 1
        assert name.encode() in done.stderr or words[0] == "rotate"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run.jsonl", "run.jsonl.lock", "set"]
    assert [each.name for each in (tmp_path / "set").iterdir()] == [name]


def test_a_finished_job_says_so(tmp_path: Path) -> None:
    """Run again after its end, the command says that it was done before and succeeds; a person is told in words."""
    path = make_history(tmp_path / "run.jsonl", 20)
    words = ("archive", "--delete-source", path, tmp_path / "archive")
    assert json.loads(call(*words, "--json").stdout)["done_before"] is False
    assert json.loads(call(*words, "--json").stdout)["done_before"] is True
    assert "done before" in run_on_terminal(*words)[1]
    batch = make_history(tmp_path / "batch.jsonl", 20)
    code, text = run_on_terminal("archive", "--delete-source", "--keep-last", 2, batch, tmp_path / "kept")
    assert (code, "nothing was removed" in text) == (0, True)


def test_archive_many(tmp_path: Path) -> None:
    """A pattern's histories each get a set named after the run; the table sums them up; again copies nothing."""
    runs = _runs(tmp_path, "a", "b", "c")
    pattern = f"{runs}/*/iteration_history.jsonl"
    done = run("archive", "--jobs", 2, pattern, f"{tmp_path}/out/")
    assert done.returncode == 0, done.stderr
    table = done.stdout.decode().splitlines()
    assert table[0].split() == ["state", "lines", "copied", "bytes", "source", "destination"]
    assert [line.split()[:3] for line in table[1:]] == [["done", "3", "3"], ["done", "4", "4"], ["done", "5", "5"]]
    for name in "abc":
        assert _lines(tmp_path / "out" / name) == _lines(runs / name / "iteration_history.jsonl")
    expanded = sorted(runs.glob("*/iteration_history.jsonl"))
    again = run("archive", "--json", *expanded, tmp_path / "out")
    assert [json.loads(line)["copied"] for line in again.stdout.splitlines()] == [0, 0, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "c"]


def test_one_that_fails_does_not_stop_the_rest(tmp_path: Path) -> None:
    """The others are archived and removed, the failing one is named with its reason, and the exit code is 1."""
    runs = _runs(tmp_path, "a", "b", "c")
    held = runs / "b" / "iteration_history.jsonl"
    with iterlog.open_history(held) as history:
        history.resume()
        done = run("archive", "--json", "--delete-source", f"{runs}/*/*.jsonl", tmp_path / "out")
    assert done.returncode == ExitCode.ERROR
    found = {json.loads(line)["source"]: json.loads(line) for line in done.stdout.splitlines()}
    assert [found[source]["ok"] for source in sorted(found)] == [True, False, True]
    assert "process" in found[str(held)]["error"]
    assert b"process" in done.stderr
    assert [path.exists() for path in sorted(runs.glob("*/iteration_history.jsonl"))] == [True]


def test_a_killed_worker_does_not_stop_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the operating system kills one worker, the others' histories are archived all the same."""
    runs = _runs(tmp_path, "a", "b", "c")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(many, "_archive_one", killing_b)
    outcomes = list(archive_many(plan([f"{runs}/*/*.jsonl"], str(tmp_path / "out")), processes=2))
    assert {Path(outcome.run.source).parent.name: outcome.error is None for outcome in outcomes} == {
        "a": True,
        "b": False,
        "c": True,
    }


_real = many._archive_one


def killing_b(run: Run, options: dict[str, object]) -> many.Outcome:
    """Archive a run in a worker, unless it is b's."""
    if "/b/" in run.source:
        os.kill(os.getpid(), 9)
    return _real(run, options)


HOSTILE = [
    "..%2f..%2fx",
    "a+b",
    "-rf",
    "x?durability=flush",
    "\x1b]0;evil\x07",
    "line\nfeed",
    "$(touch evil)",
    "ü" * 60,
]


def test_hostile_names(tmp_path: Path) -> None:
    """Whatever a run is called, its archive stands under the directory, and no terminal obeys the name."""
    runs = _runs(tmp_path, *HOSTILE)
    (runs / os.fsdecode(b"\xff\xfe")).mkdir()
    make_history(runs / os.fsdecode(b"\xff\xfe") / "iteration_history.jsonl")
    done = run("archive", "--jobs", 2, f"{runs}/*/iteration_history.jsonl", tmp_path / "deep" / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not RAW_CONTROLS.search(done.stdout.decode())
    made = list((tmp_path / "deep" / "out").iterdir())
    assert len(made) == len(HOSTILE) + 1
    assert all(path.name.isascii() and not set(path.name) & set("\n\x1b/?$ ") for path in made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "runs"]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]
    total = sum(len(_lines(path)) for path in made)
    assert total == 3 + sum(3 + i for i in range(len(HOSTILE)))


@pytest.mark.parametrize("name", ["..", "../..", ".hidden", ".jsonl", "x.jsonl/y.jsonl", "a" * 300])
def test_names_stay_in_the_directory(name: str) -> None:
    """No path gives a name that leads elsewhere, hides, or is too long for a file system."""
    made = many._name_of(name)
    assert made not in {"", ".", ".."}
    assert "/" not in made
    assert not made.startswith(".")
    assert not made.endswith(".jsonl")
    assert len(made) <= 170


def test_two_for_one_place_are_refused(tmp_path: Path) -> None:
    """Two runs whose archives would have one name are told apart by the user, not by chance."""
    for root in ("one", "two"):
        (tmp_path / root / "run").mkdir(parents=True)
        make_history(tmp_path / root / "run" / "iteration_history.jsonl")
    paths = sorted(tmp_path.glob("*/run/*.jsonl"))
    result = call("archive", *paths, tmp_path / "out")
    assert result.exit_code == ExitCode.USAGE
    assert not (tmp_path / "out").exists()
    assert call("archive", f"{tmp_path}/*/run/*.jsonl", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one+run", "two+run"]


def test_progress_is_for_terminals(tmp_path: Path) -> None:
    """On a terminal a person is told what was done; elsewhere nothing but data is written."""
    path = make_history(tmp_path / "run.jsonl", 20)
    code, text = run_on_terminal("archive", path, tmp_path / "archive")
    assert code == 0
    assert "20 lines stand in" in text
    done = run("archive", path, tmp_path / "archive")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_rotate(tmp_path: Path) -> None:
    """A file becomes a set behind the same path; a dry run and a second call change nothing."""
    path = make_history(tmp_path / "run.jsonl", 5)
    before = _lines(path)
    would = json.loads(call("rotate", "--json", "--dry-run", path).stdout)
    assert (would["turned"], path.is_symlink()) == (False, False)
    done = json.loads(call("rotate", "--json", path).stdout)
    assert done == {"path": str(path), "directory": str(tmp_path / "run"), "lines": 5, "turned": True}
    assert not json.loads(call("rotate", "--json", path).stdout)["turned"]
    assert _lines(path) == before
    assert call("seal", path).exit_code == 0
    assert call("compress", path).exit_code == 0
    assert _lines(path) == before
    assert call("rotate", tmp_path / "missing.jsonl").exit_code == ExitCode.NOT_FOUND
    assert run("rotate", make_history(tmp_path / "bare")).returncode == ExitCode.USAGE
