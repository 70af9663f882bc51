"""The contract on a store without any ability: each test of an ability sees the other way as well."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import plain_store
import pytest

import iterlog
from iterlog.testing import HistoryStoreContract, deviates

if TYPE_CHECKING:
    from collections.abc import Callable


class TestPlainHistory(HistoryStoreContract):
    """Two methods are enough to keep the contract, but for one promise."""

    shared_between_processes = False

    @pytest.fixture
    def url(self) -> str:
        """A name nobody used yet."""
        return f"plain://{uuid.uuid4().hex}"

    @deviates("the store is read from the beginning only")
    def test_resume_costs_the_same_at_any_length(self, url: str, make_url: Callable[[], str]) -> None:
        """resume() reads everything, and still gives the right answer."""
        assert url != make_url()
        with iterlog.open_history(url) as history:
            for iteration in range(20):
                history.save(code=None, metrics={}, feedback=f"{iteration}", iteration=iteration)
            assert (history.resume().next_iteration, history.resume().feedback) == (20, "19")

    def test_it_has_no_ability(self, url: str) -> None:
        """The store under test is one without numbering and without a claim."""
        with iterlog.open_history(url) as history:
            assert type(history) is plain_store.PlainHistory
            assert not isinstance(history, iterlog.SupportsNumbering | iterlog.SupportsClaim)
