"""What a history tells about itself.

Where to go on, what is damaged, what a crash cost, what keeping changed, what was asked of its store, how far its
copies are, how its spool stands.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import datetime as dt

    from iterlog.position import Position
    from iterlog.record import IterationRecord


class FaultKind(enum.StrEnum):
    """What is wrong with some stored bytes."""

    NUL = "nul"
    """Bytes were replaced by NULs, as a file system may leave them after a machine crash."""
    CHECKSUM = "checksum"
    """The line's CRC-32 does not match: bits changed, or another program rewrote the line."""
    JSON = "json"
    """The line is no JSON in UTF-8."""
    RECORD = "record"
    """The line is JSON, but no iteration record."""
    CODE_HASH = "code_hash"
    """The record is readable, but its stored hash is not that of its code."""
    UNFINISHED = "unfinished"
    """Lines of an append that never came to its end; they were never acknowledged."""
    MISSING = "missing"
    """Records that stood there are gone: a file or an object was removed, or can no longer be read."""
    TORN = "torn"
    """The end of the history is an append that was cut short; the next writer sets it aside."""
    FILE = "file"
    """A file of the history is not read: it is damaged, or not what stands in its place; its records may be."""


ADVICE = {
    FaultKind.NUL: "the record is lost; restore the line from a copy if there is one",
    FaultKind.CHECKSUM: "the record is not trusted; restore the line from a copy if there is one",
    FaultKind.JSON: "the record is lost; restore the line from a copy if there is one",
    FaultKind.RECORD: "another program wrote the line; it is left alone and skipped",
    FaultKind.CODE_HASH: "the record is used, with the hash of the code it holds",
    FaultKind.UNFINISHED: "nothing acknowledged is lost; the lines are skipped",
    FaultKind.MISSING: "restore the file or object from a copy if there is one; the others are used",
    FaultKind.TORN: "nothing acknowledged is lost; repair() or the next append sets it aside",
    FaultKind.FILE: "nothing removes it; look whether it holds anything that is not read elsewhere",
}
"""What can be done about each kind of fault."""


@dataclass(frozen=True)
class Fault:
    """One piece of damage.

    Attributes:
        position: The position after the damage; ``read(position)`` goes on behind it.
        kind: What is wrong.
        detail: The same for people.
    """

    position: Position
    kind: FaultKind
    detail: str

    @classmethod
    def of_unfinished(cls, position: Position, lines: int) -> Self:
        """Return what is said of an append that never came to its end."""
        return cls(position, FaultKind.UNFINISHED, f"{lines} lines of an append that never came to its end")

    @property
    def advice(self) -> str:
        """What can be done."""
        return ADVICE[self.kind]


@dataclass(frozen=True)
class VerifyReport:
    """What a full check of a history found.

    Attributes:
        records: How many records are readable.
        end: The position after the last of them.
        faults: What is damaged, in order of position.
    """

    records: int
    end: Position
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.faults


@dataclass(frozen=True)
class Dropped:
    """What a repair took out of a history, or reports as lost: the cost of a crash.

    Attributes:
        position: Where in the history it stood.
        size: Its bytes.
        kind: What was wrong with it.
        kept_at: Where the bytes were set aside; None when they still stand in the history.
    """

    position: Position
    size: int
    kind: FaultKind
    kept_at: str | None

    def __str__(self) -> str:
        where = f"kept in {self.kept_at}" if self.kept_at else "left in place"
        return f"{self.size} bytes ({self.kind}) at position {self.position}, {where}"


@dataclass(frozen=True)
class ResumePoint:
    """Where a loop goes on.

    Attributes:
        next_iteration: The number of the next iteration; 0 for a new history.
        feedback: The last record's feedback for it, whether that iteration failed or not; ``""`` for a new history.
        last: The last readable record, or None.
        dropped: What crashes cost since this handle was opened; nothing acknowledged is ever among it unless the
            storage itself damaged it.
    """

    next_iteration: int
    feedback: str
    last: IterationRecord | None
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class Lag:
    """How far a copy is behind.

    Attributes:
        records: How many stored lines of the source it does not hold yet.
        seconds: How long ago the oldest of these was made, as its own timestamp says; 0 when there are none.
    """

    records: int
    seconds: float


@dataclass(frozen=True)
class MirrorStatus:
    """How far one copy of a history is.

    Attributes:
        url: The copy's URL.
        position: The position in the history up to which the copy is known to hold everything.
        lag: What stands behind it.
        error: Why the copy cannot be written to now; None while it can.
    """

    url: str
    position: Position
    lag: Lag
    error: Exception | None


@dataclass(frozen=True)
class FileChange:
    """What happened to one file, or to several that became one.

    Attributes:
        name: The file that is there now, or was removed.
        first: The number of its first line.
        end: The number behind its last line.
        before_bytes: What the lines took on the disk before.
        after_bytes: What they take now; 0 when they were removed.
    """

    name: str
    first: int
    end: int
    before_bytes: int
    after_bytes: int


@dataclass(frozen=True)
class Requests:
    """What a handle asked of its store so far.

    Attributes:
        puts: Requests to create an object.
        gets: Requests to read one.
        lists: Requests to list names, one per page.
        deletes: Requests to delete.
        bytes_sent: Bytes of created objects.
        bytes_received: Bytes of objects read.
        objects: Objects created.
    """

    puts: int = 0
    gets: int = 0
    lists: int = 0
    deletes: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    objects: int = 0

    @property
    def requests(self) -> int:
        """All requests."""
        return self.puts + self.gets + self.lists + self.deletes


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
