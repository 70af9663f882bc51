"""What went over the wire while somebody counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fault_proxy.wire import Kind, Request


@dataclass
class Counts:
    """Requests that reached the proxy, whatever became of them, and the bytes of the bodies.

    Attributes:
        requests: Each of them, in the order of their arrival.
        bytes_up: Of the bodies that arrived from the client.
        bytes_down: Of the bodies that were sent to it.
    """

    requests: list[Request] = field(default_factory=list)
    bytes_up: int = 0
    bytes_down: int = 0

    @property
    def total(self) -> int:
        """How many requests there were."""
        return len(self.requests)

    @property
    def by_method(self) -> Counter[tuple[str, Kind]]:
        """How many there were of each method and kind."""
        return Counter((request.method, request.kind) for request in self.requests)

    @property
    def by_kind(self) -> dict[str, int]:
        """How many there were of each kind that occurred; compares well with a dictionary in a test."""
        return dict(Counter(request.kind for request in self.requests))

    def of(self, kind: Kind) -> int:
        """Return how many there were of a kind."""
        return self.by_kind.get(kind, 0)
