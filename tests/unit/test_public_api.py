"""What ``import iterlog`` gives: the names that are promised, for next to nothing."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import iterlog
from iterlog import HistoryStore, IterationRecord, ResumePoint

PROMISED = [
    "open_history", "register_backend", "HistoryStore", "HistoryURL", "IterationRecord", "Iteration", "Position",
    "START", "Durability", "OnDamage", "ResumePoint", "VerifyReport", "Fault", "FaultKind", "Dropped", "SupportsClaim",
    "SupportsFence", "SupportsNumbering", "SupportsRotation", "SupportsSegments", "SupportsSpool", "SpoolState",
    "SupportsRequestCounts", "SpoolStatus", "Lag", "MirrorStatus", "FileChange", "Requests", "SegmentFooter",
    "save_iteration_result", "load_previous_feedback", "get_last_iteration_number", "HISTORY_FILE",
    "IterlogError", "ConfigError", "MissingDependencyError", "RecordError", "HistoryNotFoundError",
    "HistoryClosedError", "AccessDeniedError",
    "ConflictError", "UnavailableError", "WriteUncertainError", "CorruptionError", "UnsupportedOperationError",
    "__version__",
]  # fmt: skip


def test_the_names() -> None:
    """Every promised name is there, listed, and found where it lives, and no other; no name is made up."""
    assert sorted(PROMISED) == iterlog.__all__ == dir(iterlog)
    for name in iterlog.__all__:
        assert getattr(iterlog, name) is not None
    for name, home in iterlog._HOMES.items():
        assert getattr(importlib.import_module(f"iterlog.{home}"), name) is getattr(iterlog, name)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = iterlog.no_such_name  # type: ignore[attr-defined]  # that is the point


def test_star_import() -> None:
    """``from iterlog import *`` gives the public names."""
    namespace: dict[str, Any] = {}
    exec("from iterlog import *", namespace)
    assert set(iterlog.__all__) <= set(namespace)


def test_every_public_name_is_documented() -> None:
    """Classes, their public methods, and functions have a docstring."""
    for name in iterlog.__all__:
        value = getattr(iterlog, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name
    for cls in (HistoryStore, IterationRecord, iterlog.Iteration):
        for name, member in inspect.getmembers(cls, inspect.isfunction):
            assert name.startswith("_") or inspect.getdoc(member), f"{cls.__name__}.{name}"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        ("open_history", "url=None, **options"),
        ("save_iteration_result", "iteration, code, metrics, feedback, used_fallback=False, success=True, error=None"),
        ("load_previous_feedback", "successful_only=False"),
        ("get_last_iteration_number", ""),
    ],
)
def test_signatures(function: str, parameters: str) -> None:
    """The parameters are those that were given from the start, in their order."""
    shown = []
    for parameter in inspect.signature(getattr(iterlog, function)).parameters.values():
        default = "" if parameter.default is inspect.Parameter.empty else f"={parameter.default!r}"
        stars = "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
        shown.append(f"{stars}{parameter.name}{default}")
    assert ", ".join(shown) == parameters


def test_fields() -> None:
    """A record's and a resume point's fields, in the order in which they may be given."""
    assert list(inspect.signature(IterationRecord).parameters) == [
        "iteration", "code", "metrics", "feedback", "used_fallback", "success", "error", "timestamp", "id", "run_id",
        "parent_id", "status", "duration_s", "tags", "extra",
    ]  # fmt: skip
    assert list(inspect.signature(ResumePoint).parameters) == ["next_iteration", "feedback", "last", "dropped"]


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a piece of code brings into a fresh interpreter that has none but its own."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    output = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in output.split()} | {name for name in output.split() if "iterlog." in name}


FIND = f"sys.path.insert(0, {str(Path(iterlog.__file__).parents[1])!r})\n"
FIND_MSGSPEC = f"sys.path.append({str(Path(msgspec.__file__ or '').parents[1])!r})\n"


def test_importing_costs_next_to_nothing() -> None:
    """``import iterlog`` imports itself and ``typing``, and nothing that those do not."""
    typing_alone = modules_after("import typing")
    assert modules_after(f"{FIND}import iterlog") - typing_alone == {"iterlog", "__future__"}


HEAVY = {
    "asyncio", "click", "rich", "numpy", "pandas", "fsspec", "s3fs", "zstandard", "pyarrow", "sqlite3", "hypothesis",
    "pytest", "ssl", "http", "multiprocessing", "concurrent", "importlib.metadata",
}  # fmt: skip


def test_a_loop_imports_nothing_heavy(tmp_path: Path) -> None:
    """Opening, appending, reading and resuming need msgspec and the standard library's small modules only."""
    code = f"""{FIND}{FIND_MSGSPEC}
import iterlog
with iterlog.open_history({str(tmp_path / "h.jsonl")!r}) as history:
    history.resume()
    history.save(code="x", metrics={{"a": 1.0}}, feedback="")
    list(history)
iterlog.HISTORY_FILE = {str(tmp_path / "h.jsonl")!r}
iterlog.save_iteration_result(1, "x", {{}}, "")
"""
    imported = modules_after(code)
    assert "msgspec" in imported
    assert imported & HEAVY == set()


def test_an_error_needs_no_encoder() -> None:
    """Catching an error by name imports the errors and no msgspec."""
    imported = modules_after(f"{FIND}from iterlog import UnavailableError")
    assert "iterlog.errors" in imported
    assert imported & {"msgspec", "json", "logging", "dataclasses", "iterlog.loop"} == set()


def test_nothing_is_printed_unasked(tmp_path: Path) -> None:
    """A program that set up no logging hears of damage where it asks, and has none of it on its standard error."""
    path = tmp_path / "h.jsonl"
    path.write_text("no record\n")
    code = f"import iterlog\nwith iterlog.open_history({str(path)!r}) as history: print(len(list(history)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
