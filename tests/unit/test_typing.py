"""Type checkers see the public API as it is: uses pass, mistakes are found."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

import pytest
import typed_use
from mypy import api

import iterlog
from iterlog import loop

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


def check(path: Path, cache: Path) -> tuple[str, int]:
    """Return what mypy, strict, says about a file that imports iterlog."""
    out, errors, status = api.run(
        ["--strict", "--config-file", str(PROJECT / "pyproject.toml"), "--follow-imports=silent", "--cache-dir",
         str(cache), str(path)]
    )  # fmt: skip
    assert errors == ""
    return out, status


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for mypy's cache, shared by the tests here."""
    return tmp_path_factory.mktemp("mypy")


def test_uses_pass(cache: Path) -> None:
    """Every call has the type that `typed_use` asserts."""
    out, status = check(HERE / "typed_use.py", cache)
    assert status == 0, out


def test_mistakes_are_found(tmp_path: Path, cache: Path) -> None:
    """Each marked line is refused for the marked reason, and no other line is."""
    source = (HERE / "typed_misuse.py").read_text("utf-8")
    copy = tmp_path / "misuse.py"
    copy.write_text(source.replace("# mypy: ignore-errors", ""))
    out, _ = check(copy, cache)
    lines = copy.read_text().splitlines()
    marked = {i: line.split("# error: ")[1] for i, line in enumerate(lines, 1) if "# error: " in line}
    found = {int(match[1]): match[2] for match in re.finditer(r":(\d+): error: .*\[([\w-]+)\]$", out, re.MULTILINE)}
    assert found == marked


def test_the_uses_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked also runs."""
    monkeypatch.setattr(iterlog, "HISTORY_FILE", "unused")
    typed_use.use_a_store(tmp_path / "a.jsonl")
    typed_use.use_the_three_functions(tmp_path / "b.jsonl")
    typed_use.use_positions("1.2")
    with iterlog.open_history(f"memory://{uuid.uuid4().hex}") as history:
        typed_use.use_a_record(history.save(code=None, metrics={}, feedback=""))
        asyncio.run(typed_use.use_asynchronously(history))
    loop._close_all()


def test_the_package_says_that_it_is_typed() -> None:
    """The marker of PEP 561 is there."""
    assert (Path(iterlog.__file__).parent / "py.typed").exists()
