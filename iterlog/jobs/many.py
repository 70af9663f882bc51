"""Archiving many histories at once, in several processes; one that fails does not stop the others.

A history's destination is named after its path, by letters that no path can break out of, and does not depend on which
others are archived with it: a later run over more histories finds what an earlier one began.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from iterlog.errors import ConfigError, IterlogError
from iterlog.jobs.archive import archive
from iterlog.url import DEFAULT_HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from iterlog.jobs.archive import Archived

_LONGEST_NAME = 150
_JOINT = "+"  # quoting leaves none in a name's parts


@dataclass(frozen=True)
class Run:
    """One history to archive.

    Attributes:
        source: Its path.
        destination: Where it goes.
    """

    source: str
    destination: str


@dataclass(frozen=True)
class Outcome:
    """What became of one history.

    Attributes:
        run: Which one.
        archived: What was done; None when it failed.
        error: Why it failed; None when it did not.
    """

    run: Run
    archived: Archived | None
    error: IterlogError | None


def is_pattern(source: str) -> bool:
    """Whether a source is a pattern: it has wildcards, and nothing stands at a path of just that name."""
    return "://" not in source and glob.has_magic(source) and not os.path.lexists(source)


def plan(sources: Iterable[str], directory: str) -> list[Run]:
    """Return what goes where, in order.

    Args:
        sources: Paths, and patterns such as ``runs/*/iteration_history.jsonl``; ``**`` stands for any depth.
        directory: Under which each history gets a rotating set of its own.

    Raises:
        ConfigError: A pattern matches nothing, a source is no path, or two would go to the same place.
    """
    runs = {}
    for source in sources:
        if "://" in source:
            raise ConfigError("several histories are archived by path; archive this one alone", url=source)
        for path, shown in _matches(source):
            runs[path] = Run(path, os.path.join(directory, _name_of(shown)))
    times = Counter(run.destination for run in runs.values())
    for run in runs.values():
        if times[run.destination] > 1:
            raise ConfigError(
                f"{run.source!r} and another history would both go to {run.destination!r}; archive them one by one"
            )
    return list(runs.values())


def archive_many(runs: Sequence[Run], *, processes: int = 1, **options: Any) -> Iterator[Outcome]:
    """Archive histories in several processes; yield each outcome as it comes.

    Args:
        runs: As `plan` returns them.
        processes: How many at a time.
        **options: As of `iterlog.jobs.archive.archive`.
    """
    crashed: list[Run] = []
    with _pool(min(processes, len(runs))) as pool:
        futures = {pool.submit(_archive_one, run, options): run for run in runs}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:  # a worker was killed, and nobody knows at which of them
                crashed.append(futures[future])
    for run in crashed:
        with _pool(1) as pool:
            try:
                yield pool.submit(_archive_one, run, options).result()
            except BrokenProcessPool:
                yield Outcome(run, None, IterlogError("the process that archived it was killed", url=run.source))


def _pool(processes: int) -> ProcessPoolExecutor:
    # A fork would copy the locks of the caller's threads in whatever state they are.
    return ProcessPoolExecutor(max(1, processes), mp_context=get_context("spawn"))


def _archive_one(run: Run, options: Mapping[str, Any]) -> Outcome:
    try:
        # Paths, not text: no name that was found may bring options of its own.
        return Outcome(run, archive(Path(run.source), Path(run.destination), **options), None)
    except IterlogError as error:
        return Outcome(run, None, error)


def _matches(source: str) -> Iterator[tuple[str, str]]:
    """Yield each path that a source names, and the end of it that tells it from others."""
    if not is_pattern(source):
        parent = os.path.dirname(os.path.abspath(source))
        yield source, os.path.join(os.path.basename(parent), os.path.basename(source))
        return
    fixed = source
    while glob.has_magic(fixed):
        fixed = os.path.dirname(fixed)
    found = sorted(glob.iglob(source, recursive=True, include_hidden=True))
    if not found:
        raise ConfigError(f"no path matches {source!r}")
    for path in found:
        yield path, os.path.relpath(path, fixed or os.curdir)


def _name_of(path: str) -> str:
    """Return one safe file name for a relative path; another path has another name."""
    parts = [part for part in path.split(os.sep) if part]
    if len(parts) > 1 and parts[-1] == DEFAULT_HISTORY:
        parts.pop()
    else:
        parts[-1] = parts[-1].removesuffix(".jsonl") or parts[-1]
    name = _JOINT.join(quote(os.fsencode(part), safe="") for part in parts)
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if name.endswith(".jsonl"):
        name = f"{name[:-6]}%2Ejsonl"  # a set, not a file
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    return name
