"""Long histories, made through the back door: as many objects as the test needs, and no more."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import iterlog
from iterlog.remote.layout import BUCKET, commit_key, segment_key
from iterlog.segments.sealing import seal_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from servers import Place

ROOT = "runs"


def put_commits(place: Place, numbers: Iterable[int]) -> None:
    """Create commits of one record each, whose iteration is the number of the commit."""
    numbers = list(numbers)
    lines = _lines(numbers)
    with ThreadPoolExecutor(8) as pool:
        for number, line in zip(numbers, lines, strict=True):
            pool.submit(place.back_door.put, f"{ROOT}/{commit_key(number)}", line)


def put_segment(place: Place, bucket: int) -> None:
    """Create a segment, as it stands where the commits of its bucket were collected."""
    plain = b"".join(_lines(range(bucket * BUCKET, (bucket + 1) * BUCKET)))
    place.back_door.put(f"{ROOT}/{segment_key(bucket)}", seal_bytes(plain)[0])


def _lines(numbers: Iterable[int]) -> list[bytes]:
    with iterlog.open_history(f"memory://{uuid.uuid4().hex}") as history:
        for number in numbers:
            history.append(iterlog.IterationRecord(number, None, {}, ""))
        return [line + b"\n" for _, line in history.lines()]
