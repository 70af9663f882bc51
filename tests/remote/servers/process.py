"""A server in a process of its own: on a free port, ready when `start` returns, and gone when its owner is."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOST = "127.0.0.1"
_READY_WITHIN = 60.0  # seconds; a loaded machine imports slowly
_STOPPED_WITHIN = 5.0


class ServerProcess:
    """One server program; it keeps its port over `kill` and `start`, so that clients find it again.

    Args:
        command: The command line for a port.
        environment: What the server finds in its environment on top of ours.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start it and return once it takes connections.

        Raises:
            RuntimeError: It ended, or took no connection in time; with what it had printed.
        """
        with tempfile.TemporaryFile() as output:
            self._process = subprocess.Popen(
                [*_dying_with_us(), *self._command(self.port)],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            deadline = time.monotonic() + _READY_WITHIN
            while not _listens(self.port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    output.seek(0)
                    raise RuntimeError(f"{self._command(self.port)} does not serve:\n{output.read().decode()}")
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as ``kill -9`` does, in the middle of whatever it was at."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Let it take connections and answer nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, by force if it does not listen."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(_STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def our_modules() -> dict[str, str]:
    """Return the environment in which a program finds this package."""
    return {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _dying_with_us() -> list[str]:
    """Return what to put before a command so that a killed test run leaves no server behind."""
    found = shutil.which("setpriv")  # Linux; elsewhere only a run that ends in order stops its servers
    return [found, "--pdeathsig", "KILL", "--"] if found else []
