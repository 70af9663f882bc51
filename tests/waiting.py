"""Waiting for what another thread or process brings about, with an end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_WAIT_S = 60.0


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until something is so, and fail when it never is."""
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)
