"""A claim that outlives its process for a moment, in a child that was forked and has not called exec yet."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.files import lockfile
from iterlog.files.lockfile import LockFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def claim_of_the_dead(tmp_path: Path) -> Iterator[LockFile]:
    """The claim on a history, held, with the note of a process that has ended."""
    holder = LockFile(str(tmp_path / "history.jsonl.lock"), "memory://holder")
    holder.claim()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    note = {"pid": ended.pid, "host": socket.gethostname()[:100], "since": "a moment ago"}
    lockfile._write_part(holder._claim_descriptor, lockfile._CLAIM_AT, note)
    yield holder
    holder.close()


def test_resume_waits_for_the_claim_of_the_dead(tmp_path: Path, claim_of_the_dead: LockFile) -> None:
    """A loop started right after its predecessor was killed waits until the kernel has freed the claim."""
    with iterlog.open_history(tmp_path / "history.jsonl") as history:
        soon = threading.Timer(0.2, claim_of_the_dead.close)
        soon.start()
        assert history.resume().next_iteration == 0
        soon.join()


@pytest.mark.usefixtures("claim_of_the_dead")
def test_without_the_wait_resume_would_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: taking every holder for alive, the loop is refused although nobody runs."""
    monkeypatch.setattr(lockfile, "_is_gone", lambda _holder: False)
    with iterlog.open_history(tmp_path / "history.jsonl") as history, pytest.raises(iterlog.ConflictError):
        history.resume()


def test_living_holder_is_named_at_once(tmp_path: Path) -> None:
    """A claim whose process lives is a conflict without any wait, and the message names the process."""
    with iterlog.open_history(tmp_path / "history.jsonl") as first, iterlog.open_history(first.url) as second:
        first.resume()
        with pytest.raises(iterlog.ConflictError, match="this one"):
            second.resume()
