"""What a subclass of the contract gives, and what every part of the contract stands on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

import pytest

import iterlog

if TYPE_CHECKING:
    from collections.abc import Callable

    Tear: TypeAlias = Callable[[str], None] | None
    Corrupt: TypeAlias = Callable[[str, int], None] | None

_Door = TypeVar("_Door")


class ContractBase:
    """The fixtures and attributes that `iterlog.testing.HistoryStoreContract` documents."""

    shared_between_processes: ClassVar[bool] = True
    import_in_processes: ClassVar[str] = ""
    machine_examples: ClassVar[int] = 60

    @pytest.fixture
    def url(self) -> str:
        """Where the history of one test stands: a subclass gives it."""
        raise NotImplementedError(
            f"give {type(self).__name__} a fixture 'url' that returns the URL of a history that does not exist yet"
        )

    @pytest.fixture
    def make_url(self, url: str) -> Callable[[], str]:
        """Give URLs of more histories, beside the one of the test."""
        place, mark, options = url.partition("?")
        count = itertools.count(1)
        return lambda: f"{place}-{next(count)}{mark}{options}"

    @pytest.fixture
    def tear(self) -> Tear:
        """Leave the beginning of an append at the end of a history; None: the backend has no such back door."""
        return None

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Damage one stored line of a history; None: the backend has no such back door."""
        return None


def needed(door: _Door | None, name: str) -> _Door:
    """Return a back door; skip the test when there is none."""
    if door is None:
        pytest.skip(f"reaches the stored bytes, and no fixture {name!r} says how")
    return door


def numbering(history: iterlog.HistoryStore) -> None:
    """Skip the test when a store hands out no numbers; what it does then has a test of its own."""
    if not isinstance(history, iterlog.SupportsNumbering):
        pytest.skip("the backend hands out no numbers")
