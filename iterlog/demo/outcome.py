"""What a run of the demo came to, as looked up in the history at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterlog import IterationRecord, VerifyReport


@dataclass(frozen=True)
class Kill:
    """One SIGKILL, and what it cost.

    Attributes:
        pid: The process that got it.
        in_flight: The iteration it was at, begun and not acknowledged; None between two.
        appending: Whether it had begun to append that iteration's record.
        resumed_at: The number the next worker went on with.
        torn: Pieces of unfinished appends that the next worker found: their size, and the file they are kept in.
    """

    pid: int
    in_flight: int | None
    appending: bool
    resumed_at: int
    torn: tuple[dict[str, Any], ...]

    @property
    def stored_all_the_same(self) -> bool:
        """Whether the record in flight was in the history, though nobody had heard of it yet."""
        return self.in_flight is not None and self.in_flight < self.resumed_at

    @property
    def torn_bytes(self) -> int:
        """The size of what was set aside."""
        return sum(piece["size"] for piece in self.torn)


@dataclass(frozen=True)
class Outcome:
    """A whole run.

    Attributes:
        url: The history, as iterlog names it.
        seed: Of the prices and the candidates.
        first: The run's first iteration number.
        iterations: How many were asked for.
        acknowledged: The ids of records whose append a worker had acknowledged, in that order.
        records: The run's records as the history has them.
        best: The best record on these prices, of this run and those before; None when no candidate ever ran.
        curve: How the best Sharpe ratio rose over all candidates on these prices.
        kill: The kill, None when there was none.
        report: What `HistoryStore.verify` found at the end.
        seconds: How long it took.
    """

    url: str
    seed: int
    first: int
    iterations: int
    acknowledged: tuple[str, ...]
    records: tuple[IterationRecord, ...]
    best: IterationRecord | None
    curve: tuple[float, ...]
    kill: Kill | None
    report: VerifyReport
    seconds: float

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids that were acknowledged and are not in the history."""
        stored = {record.id for record in self.records}
        return tuple(name for name in self.acknowledged if name not in stored)

    @property
    def kept_its_word(self) -> bool:
        """Whether every acknowledged record is there, in order and once, and no number is missing or doubled."""
        acknowledged = set(self.acknowledged)
        in_order = tuple(record.id for record in self.records if record.id in acknowledged)
        numbers = [record.iteration for record in self.records]
        dense = numbers == list(range(self.first, self.first + self.iterations))
        return in_order == self.acknowledged and dense

    def to_dict(self) -> dict[str, Any]:
        """Return the summary that ``--json`` prints."""
        best, kill = self.best, self.kill
        return {
            "url": self.url,
            "seed": self.seed,
            "first_iteration": self.first,
            "next_iteration": self.first + self.iterations,
            "records": len(self.records),
            "acknowledged": len(self.acknowledged),
            "acknowledged_missing": list(self.missing),
            "kept_its_word": self.kept_its_word,
            "used_fallback": sum(record.used_fallback for record in self.records),
            "faults": len(self.report.faults),
            "kill": kill
            and {
                "pid": kill.pid,
                "in_flight": kill.in_flight,
                "appending": kill.appending,
                "stored_all_the_same": kill.stored_all_the_same,
                "resumed_at": kill.resumed_at,
                "torn_bytes": kill.torn_bytes,
                "torn": list(kill.torn),
            },
            "best": best
            and {"iteration": best.iteration, "id": best.id, "code_hash": best.code_hash, "metrics": best.metrics},
            "best_so_far": list(self.curve),
            "seconds": round(self.seconds, 3),
        }
