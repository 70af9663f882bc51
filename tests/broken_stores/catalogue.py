"""Which broken store belongs to which test of the contract, and how one is made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import iterlog
from iterlog.backends.jsonl import JsonlHistory
from iterlog.backends.memory import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from iterlog import Durability, Position

_Store = TypeVar("_Store", bound=type[iterlog.HistoryStore])

Fields = dict[str, Any]


@dataclass(frozen=True)
class Broken:
    """A broken store in the catalogue.

    Attributes:
        test: The test of the contract that has to notice.
        backend: Its class.
        scheme: What its URLs begin with.
        between_processes: Whether the test that notices starts processes, so that only a file is sound there.
    """

    test: str
    backend: type[iterlog.HistoryStore]
    scheme: str
    between_processes: bool

    @property
    def in_file(self) -> bool:
        """Whether it stores in a file."""
        return issubclass(self.backend, JsonlHistory)


BROKEN: list[Broken] = []


def breaks(test: str, *, between_processes: bool = False, **replaced: Callable[..., Any]) -> Callable[[_Store], _Store]:
    """Enter a class into the catalogue.

    Args:
        test: The test of the contract that has to notice.
        between_processes: That test starts processes.
        **replaced: Functions to put in place of methods that a backend may not override: what went wrong there would
            be a fault of ours, and the contract has to notice that too.
    """

    def enter(cls: _Store) -> _Store:
        for name, function in replaced.items():
            assert hasattr(cls, name)
            setattr(cls, name, function)
        scheme = f"broken-{cls.__name__.lower()}"
        iterlog.register_backend(scheme, cls)
        BROKEN.append(Broken(test, cls, scheme, between_processes))
        return cls

    return enter


class Rewriting(MemoryHistory):
    """A history that does not leave the lines as they are: it parses them and stores what a subclass makes of them."""

    def _append_numbered(self, make: Callable[[int], Sequence[bytes]], durability: Durability) -> Position:
        return super()._append_numbered(lambda number: [self._changed(line) for line in make(number)], durability)

    def rewrite(self, fields: Fields) -> Fields:
        """Return the fields to be stored."""
        raise NotImplementedError

    def _changed(self, line: bytes) -> bytes:
        fields = json.loads(line)
        del fields["crc"]
        fields.pop("_more", None)
        return json.dumps(self.rewrite(fields)).encode()
