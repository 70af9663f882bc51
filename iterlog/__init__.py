"""iterlog: the flight recorder of autonomous learning loops.

A loop appends one record per iteration to a history, anywhere a URL points, and after a crash asks it where to go on::

    with iterlog.open_history("run.jsonl") as history:
        while history.resume().next_iteration < 100:
            with history.iteration() as it:
                it.code = write_candidate(it.feedback)
                it.metrics, it.feedback_for_next = evaluate(it.code)

Names are imported on first use, so that ``import iterlog`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "SupportsClaim": "abilities",
    "SupportsFence": "abilities",
    "SupportsNumbering": "abilities",
    "SupportsRequestCounts": "abilities",
    "SupportsRotation": "abilities",
    "SupportsSegments": "abilities",
    "SupportsSpool": "abilities",
    "AccessDeniedError": "errors",
    "CorruptionError": "errors",
    "ConfigError": "errors",
    "ConflictError": "errors",
    "HistoryClosedError": "errors",
    "HistoryNotFoundError": "errors",
    "IterlogError": "errors",
    "MissingDependencyError": "errors",
    "RecordError": "errors",
    "UnavailableError": "errors",
    "UnsupportedOperationError": "errors",
    "WriteUncertainError": "errors",
    "Iteration": "iteration",
    "get_last_iteration_number": "loop",
    "HISTORY_FILE": "loop",
    "load_previous_feedback": "loop",
    "save_iteration_result": "loop",
    "Durability": "position",
    "Position": "position",
    "START": "position",
    "OnDamage": "reader",
    "IterationRecord": "record",
    "Requests": "reports",
    "open_history": "registry",
    "register_backend": "registry",
    "Dropped": "reports",
    "Fault": "reports",
    "FaultKind": "reports",
    "Lag": "reports",
    "MirrorStatus": "reports",
    "ResumePoint": "reports",
    "SpoolState": "reports",
    "SpoolStatus": "reports",
    "VerifyReport": "reports",
    "FileChange": "reports",
    "SegmentFooter": "segments.footer",
    "HistoryStore": "store",
    "HistoryURL": "url",
}

if TYPE_CHECKING:
    from iterlog.abilities import SupportsClaim as SupportsClaim
    from iterlog.abilities import SupportsFence as SupportsFence
    from iterlog.abilities import SupportsNumbering as SupportsNumbering
    from iterlog.abilities import SupportsRequestCounts as SupportsRequestCounts
    from iterlog.abilities import SupportsRotation as SupportsRotation
    from iterlog.abilities import SupportsSegments as SupportsSegments
    from iterlog.abilities import SupportsSpool as SupportsSpool
    from iterlog.errors import AccessDeniedError as AccessDeniedError
    from iterlog.errors import ConfigError as ConfigError
    from iterlog.errors import ConflictError as ConflictError
    from iterlog.errors import CorruptionError as CorruptionError
    from iterlog.errors import HistoryClosedError as HistoryClosedError
    from iterlog.errors import HistoryNotFoundError as HistoryNotFoundError
    from iterlog.errors import IterlogError as IterlogError
    from iterlog.errors import MissingDependencyError as MissingDependencyError
    from iterlog.errors import RecordError as RecordError
    from iterlog.errors import UnavailableError as UnavailableError
    from iterlog.errors import UnsupportedOperationError as UnsupportedOperationError
    from iterlog.errors import WriteUncertainError as WriteUncertainError
    from iterlog.iteration import Iteration as Iteration
    from iterlog.loop import HISTORY_FILE as HISTORY_FILE
    from iterlog.loop import get_last_iteration_number as get_last_iteration_number
    from iterlog.loop import load_previous_feedback as load_previous_feedback
    from iterlog.loop import save_iteration_result as save_iteration_result
    from iterlog.position import START as START
    from iterlog.position import Durability as Durability
    from iterlog.position import Position as Position
    from iterlog.reader import OnDamage as OnDamage
    from iterlog.record import IterationRecord as IterationRecord
    from iterlog.registry import open_history as open_history
    from iterlog.registry import register_backend as register_backend
    from iterlog.reports import Dropped as Dropped
    from iterlog.reports import Fault as Fault
    from iterlog.reports import FaultKind as FaultKind
    from iterlog.reports import FileChange as FileChange
    from iterlog.reports import Lag as Lag
    from iterlog.reports import MirrorStatus as MirrorStatus
    from iterlog.reports import Requests as Requests
    from iterlog.reports import ResumePoint as ResumePoint
    from iterlog.reports import SpoolState as SpoolState
    from iterlog.reports import SpoolStatus as SpoolStatus
    from iterlog.reports import VerifyReport as VerifyReport
    from iterlog.segments.footer import SegmentFooter as SegmentFooter
    from iterlog.store import HistoryStore as HistoryStore
    from iterlog.url import HistoryURL as HistoryURL

__all__ = sorted({*_HOMES, "__version__"})  # noqa: PLE0605 - the table above is the one list


if not TYPE_CHECKING:  # a type checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module 'iterlog' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - not needed by who imports iterlog and uses nothing yet

        value = getattr(import_module(f"iterlog.{_HOMES[name]}"), name)
        if name != "HISTORY_FILE":  # assignable here, and read by iterlog.loop only once it was assigned
            globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)
