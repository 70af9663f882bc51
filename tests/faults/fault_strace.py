"""Killing a process at a chosen system call, with strace."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

from fault_processes import Child
from fault_shim import missing, needs_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS = (
    "openat,close,write,pwrite64,ftruncate,fsync,fdatasync,flock,fcntl,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,fchmod,fchown"
)
"""The system calls that change something outside the process; between two of them the moment of death is all one."""

_PR_SET_PTRACER = 0x59616D61
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")


def count_calls(work: Callable[[int], object], log: Path) -> Counter[str]:
    """Return how often some work does each of the system calls."""
    child, strace = _traced(work, ["-o", str(log)])
    child.finish()
    strace.communicate()
    rows = log.read_text(errors="replace").splitlines()
    return Counter(found[1] for row in rows if (found := _CALL.match(row)))


def kill_at(work: Callable[[int], object], call: str, number: int) -> tuple[bytes, bool]:
    """Do some work in a forked process that dies at the n-th call of a name.

    Returns:
        What the process wrote to its pipe, and whether it was killed (else it had come to its end before).
    """
    child, strace = _traced(work, ["-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}"])
    said, status = child.end()
    strace.communicate()
    return said, os.WIFSIGNALED(status)


def _traced(work: Callable[[int], object], options: list[str]) -> tuple[Child, subprocess.Popen[str]]:
    """Start some work that begins when strace is watching."""
    program = needs_tool("strace")
    if sys.platform != "linux":
        missing("strace is for Linux")
    gate, opener = os.pipe()

    def wait_and_work(pipe: int) -> None:
        os.close(opener)
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1 & (2**64 - 1)), 0, 0, 0)
        os.write(pipe, b"?")
        os.read(gate, 1)
        work(pipe)

    child = Child(wait_and_work)
    os.close(gate)
    os.read(child.pipe, 1)
    strace = subprocess.Popen(
        [program, "-p", str(child.pid), "-e", f"trace={CALLS}", *options], stderr=subprocess.PIPE, text=True
    )
    said = strace.stderr.readline() if strace.stderr else ""
    if "attached" not in said:
        os.close(opener)
        child.kill()
        strace.communicate()
        missing(f"strace cannot watch a process here: {said.strip()}")
    os.write(opener, b"!")
    os.close(opener)
    return child, strace
