"""The parent of the loop: starts a worker, kills it at a moment nobody can foresee, starts the next one, and checks.

The blow is SIGKILL, which no process can catch or put off. It falls some random time after an iteration began, or after
the append of its record did. Whatever a worker had acknowledged through its pipe by then must be in the history at the
end, in order and once; that is read there, by this process, which wrote none of it.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from iterlog import ConfigError, HistoryURL, IterlogError, open_history
from iterlog.demo.loop import DEMO_TAG, candidates, find_best, score
from iterlog.demo.market import Market
from iterlog.demo.outcome import Kill, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CHANCE = random.SystemRandom()  # the blow must not follow from the seed
_LATEST_S = {"begun": 0.05, "appending": 0.001}  # a candidate runs some 40 ms, an append takes less than one


def run_demo(
    url: str | None = None,
    *,
    seed: int,
    iterations: int,
    kill: bool = True,
    watch: Callable[[Mapping[str, Any]], None] = lambda _event: None,
) -> Outcome:
    """Run the demo on a history, going on behind what it holds.

    Args:
        url: A path or URL; None for ``$ITERLOG_URL``, else ``iteration_history.jsonl``.
        seed: Makes the prices and the candidates.
        iterations: How many to run.
        kill: Whether to kill the first worker half-way.
        watch: Told each event of a worker, and ``killed``.

    Raises:
        ConfigError: The URL is wrong, in memory, or another loop's history.
        ConflictError: Another loop runs on this history.
        IterlogError: A worker ended before its time.
    """
    began_at = time.monotonic()
    first = _begin(url)
    run_id = f"demo-{uuid.uuid4().hex[:12]}"
    crew = _Crew({"url": url, "seed": seed, "until": first + iterations, "run_id": run_id}, watch)
    if kill:
        crew.work(_Blow.somewhere_in(first, iterations))
    crew.work()
    with open_history(url, create=False) as history:
        market = Market.from_seed(seed)
        return Outcome(
            url=history.url,
            seed=seed,
            first=first,
            iterations=iterations,
            acknowledged=tuple(crew.acknowledged),
            records=tuple(record for record in history if record.run_id == run_id),
            best=find_best(history, market),
            curve=tuple(accumulate((score(record.metrics) for record in candidates(history, market)), max)),
            kill=crew.kill,
            report=history.verify(),
            seconds=time.monotonic() - began_at,
        )


def _begin(url: str | None) -> int:
    """Return the first number of this run, having refused histories the demo has no business in."""
    if HistoryURL.parse(url).scheme == "memory":
        raise ConfigError(
            "a history in memory belongs to one process and the demo needs several; name a file: demo.jsonl"
        )
    with open_history(url) as history:
        last = history.last()
        if last is not None and DEMO_TAG not in last.tags:
            raise ConfigError(
                "this history holds another loop's records, which the demo would append to; give it a file: demo.jsonl",
                url=history.url,
            )
        return history.resume().next_iteration


@dataclass(frozen=True)
class _Blow:
    """When a worker is to be killed: so long after an event of an iteration."""

    number: int
    event: str
    after_s: float

    @classmethod
    def somewhere_in(cls, first: int, iterations: int) -> _Blow:
        """Choose one in the middle third of a run."""
        third = iterations // 3
        event = _CHANCE.choice(sorted(_LATEST_S))
        number = first + third + _CHANCE.randrange(iterations - 2 * third)
        return cls(number, event, _CHANCE.uniform(0, _LATEST_S[event]))

    def is_due(self, event: Mapping[str, Any]) -> bool:
        """Whether this is the event to strike after."""
        return event["event"] == self.event and event.get("number") == self.number


class _Crew:
    """The workers of one run, one after another, and what they said.

    Attributes:
        acknowledged: Ids of acknowledged records.
        kill: The kill, once the worker behind it has resumed.
    """

    def __init__(self, job: Mapping[str, Any], watch: Callable[[Mapping[str, Any]], None]) -> None:
        self.acknowledged: list[str] = []
        self.kill: Kill | None = None
        self._job = job
        self._watch = watch
        self._killed: dict[str, Any] | None = None
        self._in_flight: int | None = None
        self._appending = False

    def work(self, blow: _Blow | None = None) -> None:
        """Run a worker to its end, or until a blow ends it.

        Raises:
            IterlogError: It ended otherwise.
        """
        with subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "iterlog.demo.worker", json.dumps(self._job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        ) as process:
            try:
                last, struck = self._listen(process, blow)
            except BaseException:
                process.kill()  # Ctrl-C, or nobody reads what we print: the worker need not go on
                raise
        if struck and process.returncode == -signal.SIGKILL:
            self._killed = {"pid": process.pid, "in_flight": self._in_flight, "appending": self._appending}
            self._watch({"event": "killed", **self._killed})
        elif last.get("event") != "done":
            why = last.get("message", f"exit status {process.returncode}")
            raise IterlogError(
                f"the worker ended early: {why}; nothing acknowledged is lost, run the demo again to go on"
            )

    def _listen(self, process: subprocess.Popen[bytes], blow: _Blow | None) -> tuple[Mapping[str, Any], bool]:
        """Take in what a worker says until its end; return the last of it, and whether the blow was struck."""
        last: Mapping[str, Any] = {}
        struck = False
        for last in _events(process):
            self._take_in(last)
            if blow is not None and blow.is_due(last):
                time.sleep(blow.after_s)
                process.kill()  # what it had said by now is still in the pipe, and counts
                struck = True
        return last, struck

    def _take_in(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "begun":
                self._in_flight, self._appending = event["number"], False
            case "appending":
                self._appending = True
            case "acknowledged":
                self.acknowledged.append(event["id"])
                self._in_flight, self._appending = None, False
            case "resumed" if self._killed:
                self.kill = Kill(**self._killed, resumed_at=event["number"], torn=tuple(event["dropped"]))
                self._in_flight, self._appending = None, False
        self._watch(event)


def _events(process: subprocess.Popen[bytes]) -> Iterator[Mapping[str, Any]]:
    for line in process.stdout or ():
        if line.endswith(b"\n"):  # the last one may be cut by the blow
            yield json.loads(line)
