"""A proxy between a client and an object store that counts what goes over the wire and breaks it on purpose.

The client is pointed at the proxy's address instead of the server's::

    with FaultProxy(place.server.address) as proxy:
        near = place.through(proxy.address)
        with proxy.counting() as counts:
            ...
        assert counts.of("PUT") == 1
        with proxy.failing(script([DropAfter()], where=puts)):
            ...

A plan is asked for each request and returns a fault or None. `script`, `always` and `by_chance` make the usual ones.
"""

from __future__ import annotations

from fault_proxy.counts import Counts
from fault_proxy.faults import (
    Answer,
    AnswerAfter,
    CutAnswer,
    DropAfter,
    DropBefore,
    Fault,
    Hang,
    ResetInBody,
    Slow,
    StaleList,
)
from fault_proxy.plans import Plan, always, by_chance, script
from fault_proxy.proxy import FaultProxy
from fault_proxy.wire import Request

__all__ = [
    "Answer",
    "AnswerAfter",
    "Counts",
    "CutAnswer",
    "DropAfter",
    "DropBefore",
    "Fault",
    "FaultProxy",
    "Hang",
    "Plan",
    "Request",
    "ResetInBody",
    "Slow",
    "StaleList",
    "always",
    "by_chance",
    "script",
]
