"""When two URLs name one history."""

from __future__ import annotations

import os

from iterlog.errors import ConfigError
from iterlog.url import HistoryURL

_LOCAL = {"file", "jsonl", "rotating", "rotating+file"}


def place_of(url: str | os.PathLike[str] | HistoryURL) -> str:
    """Return what tells a history from others: its path without symbolic links, or its URL without options."""
    parsed = url if isinstance(url, HistoryURL) else HistoryURL.parse(url)
    return local_path(parsed) or str(parsed)


def local_path(url: str | os.PathLike[str] | HistoryURL) -> str | None:
    """Return the path of a history on this machine, without symbolic links; None for any other."""
    parsed = url if isinstance(url, HistoryURL) else HistoryURL.parse(url)
    return os.path.realpath(parsed.local_path()) if parsed.scheme in _LOCAL else None


def check_different(source: str | os.PathLike[str] | HistoryURL, copy: str | os.PathLike[str] | HistoryURL) -> None:
    """Refuse a history as its own copy.

    Raises:
        ConfigError: Both are the same.
    """
    place = place_of(source)
    if place == place_of(copy):
        raise ConfigError("source and destination are the same history; name another destination", url=place)
