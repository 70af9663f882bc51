"""What a spool tells about itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


class SpoolState(enum.StrEnum):
    """How a spool and its store stand to each other."""

    THROUGH = "through"
    """Nothing waits: the store has every record."""
    DRAINING = "draining"
    """Records wait, and nothing is known to be in their way."""
    AWAY = "away"
    """The store cannot be reached; it is tried again and again."""
    STUCK = "stuck"
    """The store refuses what waits, and waiting will not mend it; appends raise that refusal."""


@dataclass(frozen=True)
class SpoolStatus:
    """A spool at one moment.

    Attributes:
        state: How it stands.
        records: How many lines wait for the store.
        bytes: Their size.
        oldest: When the oldest of them was made; None when nothing waits, or it does not say.
        since: Since when this handle has known the state, in UTC.
        error: What the store said when it was tried last; None when nothing was wrong.
        path: The spool's directory.
    """

    state: SpoolState
    records: int
    bytes: int
    oldest: dt.datetime | None
    since: dt.datetime
    error: str | None
    path: str
