"""An object store in memory whose answers are scripted, a clock that only sleeping moves, and other writers."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from iterlog.errors import UnavailableError
from iterlog.remote.client import (
    Counter,
    Entry,
    MissingObjectError,
    ObjectExistsError,
    RefusedError,
    UndecidedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Deed(enum.Enum):
    """What a store does with a request to create."""

    DONE = "it is carried out"
    LATE = "it is carried out some requests later"
    NOT = "it is never carried out"


class Word(enum.Enum):
    """What a client is told."""

    TRUTH = "what happened"
    EXISTS = "an object of this name stands there"
    NOTHING = "no answer that tells"
    REFUSED = "nothing was done, and that is true"


ANSWERS = [
    (Deed.DONE, Word.TRUTH),
    (Deed.DONE, Word.EXISTS),
    (Deed.DONE, Word.NOTHING),
    (Deed.LATE, Word.NOTHING),
    (Deed.LATE, Word.EXISTS),
    (Deed.NOT, Word.EXISTS),
    (Deed.NOT, Word.NOTHING),
    (Deed.NOT, Word.REFUSED),
]
"""Everything a store can do and say to one request to create; "done, and refused" it cannot, for that is proven."""

LOOKS = [Word.TRUTH, Word.NOTHING, Word.REFUSED]


class Clock:
    """Stands for the module ``time`` where a test has none to lose."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds

    def monotonic(self) -> float:
        """Return the time."""
        return self.seconds


@dataclass
class ScriptedStore:
    """Objects in memory; commits meet what the script says, all other names the truth.

    Attributes:
        objects: By key.
        creates: What happens to the next requests to create a commit; the truth behind the last.
        gets: What the next requests to read a commit are told; the truth behind the last.
        rivals: The bodies that others commit first, one at a key, whenever the chance says so.
    """

    creates: list[tuple[Deed, Word]] = field(default_factory=list)
    gets: list[Word] = field(default_factory=list)
    rivals: list[bytes] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    objects: dict[str, bytes] = field(default_factory=dict)
    identity: str = ""
    counter: Counter = field(default_factory=Counter)
    late: list[tuple[int, str, bytes]] = field(default_factory=list)
    requests: int = 0

    def create(self, key: str, data: bytes) -> None:
        """Create an object where none stands, or say so."""
        self._tick()
        if not key.startswith("log/"):
            if key in self.objects:
                raise ObjectExistsError
            self.objects[key] = data
            return
        if self.rivals and key not in self.objects and self.chance.random() < 0.5:
            self.objects[key] = self.rivals.pop()
        deed, word = self.creates.pop(0) if self.creates else (Deed.DONE, Word.TRUTH)
        stood = key in self.objects
        if deed is Deed.DONE:
            self.objects.setdefault(key, data)
        elif deed is Deed.LATE:
            self.late.append((self.requests + self.chance.randrange(1, 12), key, data))
        if word is Word.REFUSED:
            raise RefusedError(UnavailableError("away"), again=True)
        if word is Word.NOTHING:
            raise UndecidedError("no answer")
        if word is Word.EXISTS or stood:
            raise ObjectExistsError

    def get(self, key: str, *, patient: bool = True) -> bytes:  # noqa: ARG002 - who is patient has a scripted answer too
        """Return an object's bytes."""
        self._tick()
        word = self.gets.pop(0) if self.gets and key.startswith("log/") else Word.TRUTH
        if word is Word.NOTHING:
            raise UndecidedError("no answer")
        if word is Word.REFUSED:
            raise RefusedError(UnavailableError("away"), again=True)
        if key not in self.objects:
            raise MissingObjectError
        return self.objects[key]

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Return some bytes of an object."""
        return self.get(key)[start:end]

    def entries(self, folder: str) -> list[Entry]:
        """Return what stands in a folder."""
        self._tick()
        below = {key.removeprefix(f"{folder}/").partition("/")[0] for key in self.objects if key.startswith(folder)}
        return [Entry(name, 1, None) for name in below]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        for key in keys:
            self.objects.pop(key, None)

    def close(self) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Carry out all that is late."""
        while self.late:
            self.requests += 1
            self._tick()

    def commits(self) -> list[bytes]:
        """Return the commits, which must be numbered without a gap."""
        keys = sorted(key for key in self.objects if key.startswith("log/"))
        assert keys == [f"log/{i // 1000:010d}/{i:016d}.jsonl" for i in range(len(keys))]
        return [self.objects[key] for key in keys]

    def _tick(self) -> None:
        self.requests += 1
        for due in [late for late in self.late if late[0] <= self.requests]:
            self.late.remove(due)
            self.objects.setdefault(due[1], due[2])
