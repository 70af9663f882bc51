"""Where one stands in a history, and how firmly a record must stand there."""

from __future__ import annotations

import enum
import re
from typing import Self

from iterlog.errors import ConfigError

_TEXT = re.compile(r"\d{1,19}(?:\.\d{1,19}){0,3}", re.ASCII)


class Position(tuple[int, ...]):
    """A point between two records of one history: just behind the record it was given for.

    Opaque to callers: compare positions of one history, store them (``str`` and `parse`), and give them back to
    ``read(start)``; nothing else. They are ordered as the records are and never change. A backend makes them of
    one to four non-negative integers of its own choosing.
    """

    __slots__ = ()

    @classmethod
    def of(cls, *parts: int) -> Self:
        """Make a position of a backend's own numbers."""
        return tuple.__new__(cls, parts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Make a position of what ``str(position)`` gave.

        Raises:
            ConfigError: The text is no position.
        """
        if not isinstance(text, str) or not _TEXT.fullmatch(text):
            raise ConfigError(f"{text!r} is not a position; give one that append() or the command line printed")
        return cls(int(part) for part in text.split("."))

    def __str__(self) -> str:
        return ".".join(map(str, self)) or "0"

    def __repr__(self) -> str:
        return f"Position({str(self)!r})"


START = Position()
"""Before the first record of any history."""


class Durability(enum.Enum):
    """When an append is acknowledged.

    ``SYNC`` (the default): the record survives a power loss. ``FLUSH``: it survives the end of the process, but the
    operating system may still hold it in memory.
    """

    SYNC = "sync"
    FLUSH = "flush"
