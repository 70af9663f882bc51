"""What another process does to a history: run as a script by the contract, which passes everything as arguments."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys

import iterlog


def start(task: str, url: str, module: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that performs a task of this module on a history.

    Args:
        task: The name of one of the functions below.
        url: The history.
        module: A module the process imports first, ``""`` for none.
        *arguments: What the task takes besides, as text.
    """
    # The environment carries sys.path, so that the process finds what a test put there; -P keeps this directory off it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", __file__, task, url, module, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own script


def finish(process: subprocess.Popen[str], *, killed: bool = False) -> None:
    """Wait for a process to end as it should; else fail with what it said."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if killed else 0), said


def append_numbered(url: str, count: str) -> None:
    """Append records, their numbers handed out by the store."""
    with iterlog.open_history(url) as history:
        for i in range(int(count)):
            history.save(code=f"{os.getpid()}: {i}", metrics={"i": i}, feedback="")


def append_given(url: str, count: str, first: str) -> None:
    """Append records with numbers of their own."""
    with iterlog.open_history(url) as history:
        for i in range(int(first), int(first) + int(count)):
            history.append(iterlog.IterationRecord(i, f"{os.getpid()}: {i}", {}, ""))


def append_and_die(url: str, durability: str, iteration: str) -> None:
    """Append one record and be killed as soon as append returns."""
    history = iterlog.open_history(url)
    history.append(iterlog.IterationRecord(int(iteration), "pass", {}, ""), durability=iterlog.Durability(durability))
    os.kill(os.getpid(), signal.SIGKILL)


def claim_and_die(url: str) -> None:
    """Claim the history and be killed with the claim in hand."""
    iterlog.open_history(url).resume()
    os.kill(os.getpid(), signal.SIGKILL)


TASKS = {task.__name__: task for task in (append_numbered, append_given, append_and_die, claim_and_die)}

if __name__ == "__main__":
    _, _task, _url, _module, *_arguments = sys.argv
    if _module:
        importlib.import_module(_module)
    TASKS[_task](_url, *_arguments)
