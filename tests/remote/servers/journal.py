"""What a server has done, in a file that survives its sudden end."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Journal:
    """Entries of any kind, in order; one that was cut short by a kill was not acknowledged and is passed over.

    Args:
        path: Of the file, made when it is not there.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._file = self._path.open("ab", buffering=0)

    def add(self, entry: Any) -> None:
        """Append one; the system has it when this returns."""
        with self._lock:
            self._file.write(pickle.dumps(entry))

    def entries(self) -> Iterator[Any]:
        """Yield what is there, oldest first, and end the file behind the last whole one."""
        with self._path.open("r+b") as file:
            whole = 0
            while True:
                try:
                    entry = pickle.load(file)
                except (EOFError, pickle.UnpicklingError):
                    file.truncate(whole)
                    return
                whole = file.tell()
                yield entry
