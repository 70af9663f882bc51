"""Reading a remote history from a position."""

from __future__ import annotations

import uuid

import pytest

import iterlog
from iterlog.testing.samples import fill


@pytest.fixture
def history() -> iterlog.HistoryStore:
    """A history of three commits."""
    opened = iterlog.open_history(f"fsspec+memory://bucket-{uuid.uuid4().hex}/run")
    fill(opened, 3)
    return opened


@pytest.mark.parametrize("number", [4, 999, 1000, 1001, 5000])
def test_history_that_ends_before_a_position_is_damage(history: iterlog.HistoryStore, number: int) -> None:
    """Whatever bucket it would be in, a position behind the end is an error, not an empty rest."""
    with pytest.raises(iterlog.CorruptionError):
        list(history.read(iterlog.Position.of(number)))


def test_the_end_is_a_position(history: iterlog.HistoryStore) -> None:
    """Behind the newest commit there is nothing, and that is no error."""
    assert list(history.read(iterlog.Position.of(3))) == []


def test_position_of_another_kind_is_refused(history: iterlog.HistoryStore) -> None:
    """Three numbers are no position of this history."""
    with pytest.raises(iterlog.ConfigError):
        list(history.read(iterlog.Position.of(1, 2, 3)))
