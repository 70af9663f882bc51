"""Which request meets which fault."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from fault_proxy.wire import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fault_proxy.faults import Fault

Plan = Callable[[Request], "Fault | None"]
Where = Callable[[Request], bool]


def everywhere(_request: Request) -> bool:
    """Choose every request."""
    return True


def always(fault: Fault, where: Where = everywhere) -> Plan:
    """Plan one fault for every request that is chosen."""
    return lambda request: fault if where(request) else None


def script(faults: Iterable[Fault | None], where: Where = everywhere) -> Plan:
    """Plan the first of these for the first request that is chosen, and so on; nothing after the last."""
    left = iter(faults)
    return lambda request: next(left, None) if where(request) else None


def by_chance(seed: int, faults: Sequence[Fault], rate: float, where: Where = everywhere) -> Plan:
    """Plan any of these for this share of the requests chosen; the same ones for the same order of requests."""
    chance = random.Random(seed)

    def plan(request: Request) -> Fault | None:
        if not where(request):
            return None
        fault = chance.choice(faults)  # drawn either way, so that another rate keeps the order
        return fault if chance.random() < rate else None

    return plan
