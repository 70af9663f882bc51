"""Processes that the fault tests fork: cheap enough to start, and kill, by the hundred."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_NOBODY = 65534


class Child:
    """A forked process that does some work and then exits, without running anything else of its parent's.

    Args:
        work: Called in the child with the end of a pipe to write to; the process exits with 1 when it raises.

    Attributes:
        pid: Its process id.
        pipe: The other end of the pipe.
    """

    def __init__(self, work: Callable[[int], object]) -> None:
        self.pipe, inside = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(inside)
            return
        code = 1
        try:
            os.close(self.pipe)
            work(inside)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may get past this into the parent's test session
            traceback.print_exc()
        finally:
            os._exit(code)

    def kill(self) -> bytes:
        """Kill it with SIGKILL; return what it had written to the pipe."""
        os.kill(self.pid, signal.SIGKILL)
        said = self._rest()
        os.waitpid(self.pid, 0)
        return said

    def finish(self) -> bytes:
        """Wait for its end, which must be a good one; return what it wrote to the pipe."""
        said, status = self.end()
        assert os.waitstatus_to_exitcode(status) == 0
        return said

    def end(self) -> tuple[bytes, int]:
        """Wait for its end; return what it wrote to the pipe, and its status as waitpid gives it."""
        said = self._rest()
        return said, os.waitpid(self.pid, 0)[1]

    def _rest(self) -> bytes:
        with os.fdopen(self.pipe, "rb") as pipe:
            return pipe.read()


def in_child(work: Callable[[], _T]) -> _T:
    """Do some work in a forked process; return its value or raise its exception."""

    def run(pipe: int) -> None:
        try:
            outcome: tuple[bool, object] = True, work()
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            outcome = False, error
        with os.fdopen(pipe, "wb") as stream:
            pickle.dump(outcome, stream)

    done, value = pickle.loads(Child(run).finish())
    if not done:
        raise value
    result: _T = value
    return result


def as_nobody(work: Callable[[], _T]) -> _T:
    """Do some work in a forked process that has no privileges."""

    def run() -> _T:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        return work()

    return in_child(run)
