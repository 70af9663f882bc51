"""What an archival leaves where a history was removed: where all of it stands now, and how to know it again there.

The receipt stands in the source's lock file, which stays, and is durable before anything is removed; so an archival
that is started again after its end, or after a kill between the removal and its last word, can tell that it is done.
A new history at the same place clears it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from iterlog.errors import ConfigError, CorruptionError
from iterlog.position import Position

if TYPE_CHECKING:
    from iterlog.store import HistoryStore


@dataclass(frozen=True)
class Receipt:
    """Where a removed history went.

    Attributes:
        archived_to: The destination: its path without symbolic links, or its URL.
        begins: The position in the destination before the first line, as text.
        lines: How many lines.
        plain_bytes: Their bytes, newlines included.
        sha256: Of these, in hex.
    """

    archived_to: str
    begins: str
    lines: int
    plain_bytes: int
    sha256: str

    def fields(self) -> dict[str, Any]:
        """Return it as `receipt_at` reads it."""
        return asdict(self)

    def check(self, destination: HistoryStore) -> None:
        """Read the lines back.

        Raises:
            CorruptionError: The destination does not hold them any more.
        """
        digest, count = hashlib.sha256(), 0
        try:
            for _, line in islice(destination.lines(Position.parse(self.begins)), self.lines):
                digest.update(b"%b\n" % line)
                count += 1
        except ConfigError:
            count = -1  # it is another kind of history by now, whose positions are others
        if (count, digest.hexdigest()) != (self.lines, self.sha256):
            raise CorruptionError(
                f"the source was archived here and removed, but its {self.lines:,} lines do not stand here any more; "
                "restore them from a copy",
                url=destination.url,
            )


def receipt_at(path: str) -> Receipt | None:
    """Return where the history went that once stood at a path; None when that is not known.

    Args:
        path: Of a plain file or of the directory of a set, without symbolic links.
    """
    from iterlog.files.lockfile import LockFile  # noqa: PLC0415 - local files need POSIX, memory does not
    from iterlog.rotation.layout import LOCK_NAME  # noqa: PLC0415 - as above

    beside = os.path.join(path, LOCK_NAME) if os.path.isdir(path) else f"{path}.lock"
    if not os.path.isfile(beside):
        return None
    lock = LockFile(beside, path)
    try:
        lock.acquire()
        return msgspec.convert(lock.read_receipt(), Receipt)
    except msgspec.ValidationError:
        return None
    finally:
        lock.release()
        lock.close()
