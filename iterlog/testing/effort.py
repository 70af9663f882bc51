"""How much work a call is, counted and not timed, so that a busy machine changes nothing."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


@dataclass(frozen=True)
class Effort:
    """The work of one call.

    Attributes:
        calls: Functions called in this thread, Python's and C's, and turns of generators.
        peak: Bytes that were allocated at once, at most.
    """

    calls: int
    peak: int


def effort_of(action: Callable[[], object]) -> Effort:
    """Run an action and return how much work it was."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    previous = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(previous)
        peak = tracemalloc.get_traced_memory()[1] - before
        if not already:
            tracemalloc.stop()
    return Effort(calls, peak)
