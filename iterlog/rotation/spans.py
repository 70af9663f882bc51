"""Which iteration numbers the sealed files hold, remembered, so that the second search reads no footer in vain."""

from __future__ import annotations

import os

_NONE = (0, -1)


class NumberSpans:
    """The lowest and highest number of each compressed file whose footer was read; 200 bytes for each.

    Args:
        directory: The set's.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._known: dict[str, tuple[tuple[int, int, int], tuple[int, int]]] = {}

    def seen(self, name: str, lowest: int | None, highest: int | None) -> None:
        """Remember what a file says of itself: its lowest and highest number, None where it has no record."""
        span = _NONE if lowest is None or highest is None else (lowest, highest)
        self._known[name] = (self._state_of(name), span)

    def cannot_hold(self, name: str, iteration: int) -> bool:
        """Whether a file is known to hold no record with a number, and is still the same file.

        Raises:
            OSError: It is gone.
        """
        if name not in self._known:
            return False
        state, (lowest, highest) = self._known[name]
        return not lowest <= iteration <= highest and state == self._state_of(name)

    def _state_of(self, name: str) -> tuple[int, int, int]:
        status = os.stat(os.path.join(self._directory, name))
        return status.st_ino, status.st_size, status.st_mtime_ns
