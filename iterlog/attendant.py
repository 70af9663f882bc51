"""What goes along with a handle and never stands in its way; a mirror is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from iterlog.reports import MirrorStatus


class Attendant(Protocol):
    """Told by a `iterlog.HistoryStore` what it does; raises nothing."""

    def wake(self) -> None:
        """Something was appended, or a loop begins; return at once, whatever happens."""

    def close(self) -> None:
        """The handle closes; come to an end within a bounded time, whatever happens."""

    def status(self) -> MirrorStatus:
        """Return how far it is."""
