"""Running a test in a process of its own whose system calls fail on demand; see shim.c.

A test decorated with `shimmed` is run by pytest in a fresh Python with the shim loaded. In there, `fault` makes chosen
calls fail for the length of a ``with`` block.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HERE = Path(__file__).parent
_INSIDE = "ITERLOG_TEST_IN_SHIM"
_LOG = "ITERLOG_FAULT_LOG"
_RUN = (
    "import importlib, json, pathlib, sys; module, name, path, given = sys.argv[1:];"
    "getattr(importlib.import_module(module), name)(tmp_path=pathlib.Path(path), **json.loads(given))"
)


def missing(reason: str) -> None:
    """Skip a test for want of something, but not where a run counts: there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run this test: {reason}")
    pytest.skip(reason)


def needs_tool(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed")
    return found or name


@functools.cache
def _library() -> str:
    """Build the shim once per run."""
    compiler = needs_tool("gcc")
    built = Path(tempfile.mkdtemp(prefix="iterlog-shim-")) / "shim.so"
    command = [
        compiler,
        "-Wall",
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        str(built),
        str(_HERE / "shim.c"),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True, timeout=60)
    return str(built)


def shimmed(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a process of its own with the shim loaded; other arguments than ``tmp_path`` go there as JSON."""

    @functools.wraps(test)
    def run(*, tmp_path: Path, **given: Any) -> None:
        if _INSIDE in os.environ:
            test(tmp_path=tmp_path, **given)
            return
        if sys.platform != "linux":
            missing("the shim knows the C library of Linux only")
        command = [sys.executable, "-W", "error", "-c", _RUN, test.__module__, test.__name__, str(tmp_path)]
        own = str(Path(inspect.getfile(test)).parent)
        path = os.pathsep.join([own, str(_HERE), str(_HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {**os.environ, "LD_PRELOAD": _library(), "PYTHONPATH": path, _INSIDE: "1"}
        done = subprocess.run(
            [*command, json.dumps(given)], env=variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr

    return run


@contextlib.contextmanager
def fault(call: str, path: str, *, first: int = 1, count: int = 1_000_000, **action: int) -> Iterator[None]:
    """Make a system call fail while the block runs; in blocks within each other the outer ones go first.

    Args:
        call: write, pwrite, pread, read, fsync, fdatasync, ftruncate, flock, rename or open.
        path: How the path ends on which it fails.
        first: Which of these calls is the first to fail.
        count: How many fail.
        **action: One of shim.c's: ``errno``, ``after``, ``delay``, ``short``, ``kill``, with its number.
    """
    ((verb, value),) = action.items()
    around = os.environ.get("ITERLOG_FAULT", "")
    asked = f"{call}:{path}:{first}:{count}:{verb}={value}"
    os.environ["ITERLOG_FAULT"] = f"{around};{asked}" if around else asked
    try:
        yield
    finally:
        os.environ["ITERLOG_FAULT"] = around


@contextlib.contextmanager
def calls_noted(directory: Path) -> Iterator[list[str]]:
    """Give a list that holds, behind the block, the calls made in it on paths below a directory, as "call name"."""
    log, noted = directory / "calls.log", list[str]()
    os.environ[_LOG] = str(log)
    try:
        yield noted
    finally:
        os.environ[_LOG] = ""
        if log.exists():
            for row in log.read_text().splitlines():
                call, path = row.split(" ", 1)
                noted.append(f"{call} {Path(path).name}")
            log.unlink()
