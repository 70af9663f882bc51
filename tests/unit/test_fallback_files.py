"""Files that refuse for real, and processes that find what another one has kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from failing_history import kept, numbers, save
from unit_records import make_record

import iterlog
from iterlog import HistoryURL, loop
from iterlog.fallback import Fallback

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty directory, and forget the default history afterwards."""
    monkeypatch.delenv("ITERLOG_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    loop._close_all()


def test_a_directory_in_place_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a directory stands where the history should, records wait beside it."""
    monkeypatch.setattr(iterlog, "HISTORY_FILE", "history.jsonl")
    Path("history.jsonl").mkdir()
    save(0, 1)
    assert iterlog.load_previous_feedback() == "after 1"
    assert numbers(tmp_path / "history.jsonl.fallback") == [0, 1]
    Path("history.jsonl").rmdir()
    save(2)
    assert numbers("history.jsonl") == [0, 1, 2]
    assert not Path("history.jsonl.fallback").exists()


def _save_as_nobody(directory: str) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    os.environ["XDG_STATE_HOME"] = f"{directory}/nobody"
    iterlog.HISTORY_FILE = f"{directory}/closed/history.jsonl"
    save(1)
    assert iterlog.get_last_iteration_number() == 1
    assert numbers(kept(Path(directory) / "nobody")[0]) == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who may not write where the history is keeps the record in a place of their own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        root = Path(directory)
        root.chmod(0o755)
        (root / "closed").mkdir(mode=0o755)
        (root / "nobody").mkdir(mode=0o700)
        os.chown(root / "nobody", 65534, 65534)
        monkeypatch.setattr(tempfile, "tempdir", str(root / "nobody"))
        child = multiprocessing.get_context("fork").Process(target=_save_as_nobody, args=(directory,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert list((root / "closed").iterdir()) == []


MERGER = """
import iterlog, sys
iterlog.HISTORY_FILE = sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
print(iterlog.get_last_iteration_number())
"""


def _keep_beside(path: Path, *numbers: int) -> None:
    waiting = Fallback(HistoryURL.parse(path))
    for number in numbers:
        waiting.keep(make_record(iteration=number, id=f"{number:016x}", timestamp=None))


def test_another_process_merges_at_its_start(tmp_path: Path) -> None:
    """What a process that ended has left is merged by the next one, even one that only asks."""
    path = tmp_path / "history.jsonl"
    _keep_beside(path, 0, 1)
    result = subprocess.run(
        [sys.executable, "-c", MERGER, str(path)], input="\n", capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["ready", "1"]
    assert [json.loads(line)["iteration"] for line in path.read_bytes().splitlines()] == [0, 1]
    assert not Path(f"{path}.fallback").exists()


def test_processes_that_merge_at_the_same_time(tmp_path: Path) -> None:
    """Whoever comes first merges; the others find it done."""
    path = tmp_path / "history.jsonl"
    _keep_beside(path, *range(50))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MERGER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert answers == ["49\n"] * 3
    assert numbers(path) == list(range(50))
