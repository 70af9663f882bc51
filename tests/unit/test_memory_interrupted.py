"""What Ctrl-C in the middle of an append leaves of a history in memory."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

from iterlog import HistoryStore, open_history
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_APPEND = MemoryHistory._append_numbered.__code__


def append_interrupted_at(history: HistoryStore, wanted: int) -> bool:
    """Append two records with Ctrl-C before a line of the store's append; whether that line was reached."""
    reached: set[int] = set()

    def in_append(frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
        if event == "line" and frame.f_lineno not in reached:
            reached.add(frame.f_lineno)
            if len(reached) == wanted:
                raise KeyboardInterrupt
        return in_append

    tracing = sys.gettrace()
    sys.settrace(lambda frame, _event, _arg: in_append if frame.f_code is _APPEND else None)
    try:
        history.extend([{"code": None, "metrics": {}, "feedback": ""}] * 2)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(tracing)
    return False


def test_ctrl_c_anywhere_hands_no_number_out_twice() -> None:
    """Before whatever line of an append an interruption comes, each record that is there has a number of its own."""
    with open_history(f"memory://{uuid.uuid4()}") as history:
        lines = 0
        while append_interrupted_at(history, lines + 1):
            lines += 1
        assert lines > 1
        assert not append_interrupted_at(history, lines + 1)
        numbers = [record.iteration for record in history]
    assert len(numbers) == len(set(numbers))
