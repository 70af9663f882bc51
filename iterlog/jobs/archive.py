"""One history to another: every stored line, proven, and only then, when asked to, removed at its source.

The order: recognise what the destination has · copy the rest · make it durable, seal and compress it · read everything
back and compare it with the source, line by line and by SHA-256 · take the source's append lock · copy and compare what
was appended meanwhile · remove. Killed at any point and started again, it goes on from what is stored.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from iterlog.abilities import SupportsRotation
from iterlog.copying.appending import copy
from iterlog.copying.overlap import Overlap, overlap_of
from iterlog.copying.proof import Proof
from iterlog.errors import ConfigError, HistoryNotFoundError
from iterlog.files.failures import translated
from iterlog.jobs.receipts import Receipt, receipt_at
from iterlog.places import check_different, local_path, place_of
from iterlog.position import START
from iterlog.registry import find_backend, open_history
from iterlog.url import HistoryURL

if TYPE_CHECKING:
    from collections.abc import Callable

    from iterlog.jobs.sources import Removable
    from iterlog.position import Position
    from iterlog.store import HistoryStore


@dataclass(frozen=True)
class Archived:
    """What an archival did.

    Attributes:
        source: The source's URL.
        destination: The destination's URL.
        lines: How many lines of the source the destination holds now, damaged ones included.
        copied: How many of them this run copied; with ``dry_run``, would copy.
        plain_bytes: Their bytes, uncompressed; 0 with ``dry_run``.
        sha256: The SHA-256 of these, read back from the destination; empty with ``dry_run``.
        removed: Whether the source was removed, or lines at its beginning were.
        left: How many lines the source holds now.
        done_before: Whether an earlier run had done all of this, and this one only proved it again.
    """

    source: str
    destination: str
    lines: int
    copied: int
    plain_bytes: int
    sha256: str
    removed: bool
    left: int
    done_before: bool = False


def archive(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    codec: str | None = None,
    level: int | str | None = None,
    keep_last: int | None = None,
    delete_source: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[str, int], None] = lambda _step, _lines: None,
) -> Archived:
    """Copy every stored line of a history to another one, prove the copy, and remove the source when asked to.

    Args:
        source: Path or URL of any history.
        destination: Path or URL of any history: a new one, or one that holds the beginning of this source. A plain
            path that does not end in ``.jsonl`` and where no file stands becomes a rotating set.
        codec: ``zstd`` or ``gzip``, for a rotating set.
        level: How hard to compress, for a rotating set.
        keep_last: Leave at least so many of the last records in the source; whole appends of a plain file, whole files
            of a rotating set. Only with ``delete_source``. Positions in a plain file begin anew.
        delete_source: Remove the source once everything in it is proven to stand in the destination. Its lock file
            stays, and so does what repairs set aside.
        dry_run: Change nothing, and say how many lines would be copied.
        on_progress: Called now and then with ``"copy"`` or ``"verify"`` and a number of lines done since.

    Raises:
        ConfigError: The options contradict each other, or both are the same history.
        HistoryNotFoundError: There is no source, nor was one archived to this destination and removed.
        ConflictError: The destination holds something else, or a loop runs on a history that would be changed.
        CorruptionError: The copy is not what the source holds, or the source has files that cannot be read and was to
            be removed; nothing was removed.
        UnsupportedOperationError: The source cannot be removed; nothing was copied.
    """
    _check_options(keep_last, delete_source=delete_source)
    url = _destination_url(destination)
    check_different(HistoryURL.parse(source), HistoryURL.parse(url))
    try:
        opened_source = _opened_source(source, delete_source=delete_source)
    except HistoryNotFoundError as error:
        return _done_before(source, url, error)
    with opened_source as history:
        if dry_run:
            return _planned(history, url)
        try:
            with contextlib.ExitStack() as opened:
                emptying = None
                if delete_source:
                    emptying = _emptying(source, history)
                    # Claimed: no loop runs on it now, and none begins before this ends.
                    opened.enter_context(open_history(source, create=False, on_damage="skip")).resume()
                copied = opened.enter_context(open_history(url, **_destination_options(url, codec, level)))
                return _Archival(history, copied, place_of(HistoryURL.parse(url)), emptying, on_progress).run(keep_last)
        except OSError as error:
            raise translated(error, history.url) from error


class _Archival:
    def __init__(
        self,
        source: HistoryStore,
        destination: HistoryStore,
        place: str,
        emptying: Removable | None,
        on_progress: Callable[[str, int], None],
    ) -> None:
        self._source = source
        self._destination = destination
        self._place = place
        self._emptying = emptying
        self._on_progress = on_progress

    def run(self, keep_last: int | None) -> Archived:
        self._destination.resume()  # the claim keeps two archivals apart; the repair sets aside what a kill tore
        overlap = overlap_of(self._source, self._destination)
        until, copied = copy(self._source, self._destination, overlap.source_position, self._copied)
        self._put_away()
        proof = Proof(self._source, self._destination, overlap.begins, keep_last or 0)
        proof.go_on(until, self._verified)
        if self._emptying is not None:
            with self._emptying.held():
                until, late = copy(self._source, self._destination, until, self._copied)
                proof.go_on(until, self._verified)
                left = self._remove(self._emptying, proof, overlap.begins, keep_last)
            if late:
                self._put_away()
            copied += late
        else:
            left = proof.lines
        return Archived(
            self._source.url,
            self._destination.url,
            proof.lines,
            copied,
            proof.plain_bytes,
            proof.sha256,
            removed=self._emptying is not None and (keep_last is None or left < proof.lines),
            left=left,
        )

    def _remove(self, emptying: Removable, proof: Proof, begins: Position, keep_last: int | None) -> int:
        """Remove what is proven, as far as it is not to be kept; return how many lines are left."""
        if keep_last is not None:
            emptying.remove_before(proof.kept_from)
            return sum(1 for _ in self._source.lines())
        emptying.leave_receipt(Receipt(self._place, str(begins), proof.lines, proof.plain_bytes, proof.sha256))
        emptying.remove()
        return 0

    def _put_away(self) -> None:
        """Seal and compress, where the destination does that, so that what is proven is what will stand there."""
        if isinstance(self._destination, SupportsRotation):
            self._destination.seal()
            for _ in self._destination.compress():
                pass

    def _copied(self, lines: int) -> None:
        self._on_progress("copy", lines)

    def _verified(self, lines: int) -> None:
        self._on_progress("verify", lines)


def _planned(source: HistoryStore, url: str | os.PathLike[str]) -> Archived:
    lines = sum(1 for _ in source.lines())
    try:
        with open_history(url, create=False) as destination:
            overlap = overlap_of(source, destination)
    except HistoryNotFoundError:
        overlap = Overlap(START)
    shown = str(HistoryURL.parse(url))
    return Archived(source.url, shown, lines, lines - overlap.lines, 0, "", removed=False, left=lines)


def _done_before(
    source: str | os.PathLike[str], url: str | os.PathLike[str], missing: HistoryNotFoundError
) -> Archived:
    """Prove again what an earlier run did to a source that is gone; raise that it is missing when none did."""
    path = local_path(HistoryURL.parse(source))
    receipt = receipt_at(path) if path is not None else None
    if receipt is None:
        raise missing
    if receipt.archived_to != place_of(HistoryURL.parse(url)):
        raise HistoryNotFoundError(
            f"{missing.message}: it was archived to {receipt.archived_to!r} and removed", url=missing.url
        )
    with open_history(url, create=False, on_damage="skip") as destination:
        receipt.check(destination)
    return Archived(
        str(HistoryURL.parse(source)),
        destination.url,
        receipt.lines,
        0,
        receipt.plain_bytes,
        receipt.sha256,
        removed=True,
        left=0,
        done_before=True,
    )


def _emptying(source: str | os.PathLike[str], history: HistoryStore) -> Removable:
    from iterlog.jobs.sources import removable  # noqa: PLC0415 - local files need POSIX, memory does not

    return removable(history, local_path(HistoryURL.parse(source)) or "")


def _opened_source(source: str | os.PathLike[str], *, delete_source: bool) -> HistoryStore:
    options: dict[str, object] = {"create": False}
    if delete_source:
        options["on_damage"] = "raise"  # what cannot be read was not copied
    return open_history(source, **options)


def _destination_url(destination: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return a URL; a plain path that names no JSONL file is that of a rotating set."""
    parsed = HistoryURL.parse(destination)
    if str(parsed) != parsed.path or parsed.path.endswith(".jsonl") or os.path.isfile(parsed.path):
        return destination
    path = quote(os.fsencode(os.path.abspath(parsed.path)))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parsed.query.items())
    return f"rotating://{path}?{query}" if query else f"rotating://{path}"


def _destination_options(url: str | os.PathLike[str], codec: str | None, level: int | str | None) -> dict[str, object]:
    options: dict[str, object] = {"on_damage": "skip"}  # the proof finds what is missing
    if codec is not None:
        options["codec"] = codec
    if level is not None:
        options["level"] = level
    if _is_rotating(url) and "compress" not in HistoryURL.parse(url).query:
        options["compress"] = "inline"  # a thread would leave the disk full of plain files behind a fast copy
    return options


def _is_rotating(url: str | os.PathLike[str]) -> bool:
    return issubclass(find_backend(HistoryURL.parse(url)), SupportsRotation)


def _check_options(keep_last: int | None, *, delete_source: bool) -> None:
    if keep_last is not None and not delete_source:
        raise ConfigError("keep_last says what is left when the source is removed; give delete_source, too")
    if keep_last is not None and keep_last < 1:
        raise ConfigError(f"keep_last takes a number from 1 on, not {keep_last}; leave it out to remove everything")
