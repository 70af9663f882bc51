"""How much of a set is kept, and which file goes next."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterlog.errors import CorruptionError
from iterlog.reader import logger

if TYPE_CHECKING:
    from iterlog.rotation.layout import Part
    from iterlog.rotation.parts import PartReader


@dataclass(frozen=True)
class Retention:
    """How much of the oldest sealed files is kept; None keeps everything.

    Attributes:
        records: Remove a sealed file while at least so many lines remain without it.
        bytes: Remove the oldest sealed files while all files together take more, as they lie on the disk.
        age: Remove a sealed file when its last record is older.
    """

    records: int | None = None
    bytes: int | None = None
    age: dt.timedelta | None = None

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing is ever removed."""
        return self.records is None and self.bytes is None and self.age is None

    def is_due(self, part: Part, behind: int, total: int, reader: PartReader) -> bool:
        """Whether a file, the oldest one there is, is to be removed.

        Args:
            part: The file, sealed.
            behind: How many lines stand in sealed files behind it.
            total: What all files take on the disk.
            reader: Reads its footer.
        """
        if self.records is not None and behind >= self.records:
            return True
        if self.bytes is not None and total > self.bytes:
            return True
        if self.age is None:
            return False
        try:
            latest = reader.made_footer(part).latest
        except CorruptionError as error:
            logger.warning("%s is kept, the age of its records is not known: %s", part.name, error)
            return False
        return latest is not None and dt.datetime.now(dt.UTC) - latest > self.age
