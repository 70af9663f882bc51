"""The names of the objects of a history, below its root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BUCKET = 1000
"""Commits in a bucket: as many as one page of a listing shows."""

LAST_COMMIT = 10**10 * BUCKET - 1
"""The highest number whose bucket has a name."""

MARKER = "_iterlog.json"
PROBE = "_probe"
LOG = "log"
SEGMENTS = "seg"
BOUNDARIES = "gc"

_BUCKET_NAME = re.compile(r"\d{10}", re.ASCII)
_COMMIT_NAME = re.compile(r"(\d{16})\.jsonl", re.ASCII)
_SEGMENT_NAME = re.compile(r"(\d{10})\.jsonl\.zst", re.ASCII)


def bucket_of(number: int) -> int:
    """Return the bucket of a commit."""
    return number // BUCKET


def log_of(bucket: int) -> str:
    """Return the name under which a bucket's commits stand."""
    return f"{LOG}/{bucket:010d}"


def commit_key(number: int) -> str:
    """Return the name of a commit."""
    return f"{log_of(bucket_of(number))}/{number:016d}.jsonl"


def segment_key(bucket: int) -> str:
    """Return the name of a bucket's segment."""
    return f"{SEGMENTS}/{bucket:010d}.jsonl.zst"


def boundary_key(bucket: int) -> str:
    """Return the name of the mark that says that commits up to a bucket are collected."""
    return f"{BOUNDARIES}/{bucket:010d}"


def buckets_in(names: Iterable[str]) -> list[int]:
    """Return the buckets that names below `LOG` or `BOUNDARIES` stand for, rising; other names are not ours."""
    return sorted(int(name) for name in names if _BUCKET_NAME.fullmatch(name))


def number_in(name: str) -> int | None:
    """Return the number of a commit's name, None for any other name."""
    match = _COMMIT_NAME.fullmatch(name)
    return int(match[1]) if match else None


def segment_in(name: str) -> int | None:
    """Return the bucket of a segment's name, None for any other name."""
    match = _SEGMENT_NAME.fullmatch(name)
    return int(match[1]) if match else None
