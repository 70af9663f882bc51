"""Positions are opaque, ordered, and can be stored as text."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iterlog import START, ConfigError, Durability, Position, open_history

parts = st.lists(st.integers(0, 10**18), min_size=1, max_size=4)


@given(parts, parts)
def test_text_and_order(one: list[int], two: list[int]) -> None:
    """A position comes back from its text, and is ordered as its numbers are."""
    first, second = Position.of(*one), Position(two)
    assert Position.parse(str(first)) == first
    assert (first < second) == (tuple(one) < tuple(two))
    assert first > START
    assert pickle.loads(pickle.dumps(first)) == first
    assert type(pickle.loads(pickle.dumps(first))) is Position


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1.", ".1", "1..2", "1.2.3.4.5", "٣", "1" * 20, " 1", "1\n", None, 5, b"1"]
)
def test_what_is_no_position(text: Any) -> None:
    """Only what a position's text was is one."""
    with pytest.raises(ConfigError, match="position"):
        Position.parse(text)


def test_shown() -> None:
    """The text is short; the repr says what it is."""
    assert (str(Position.of(3, 7)), repr(Position.of(3, 7)), str(START)) == ("3.7", "Position('3.7')", "0")


def test_reading_on_from_a_stored_position() -> None:
    """A position stored as text reads on behind its record; the text of START reads from the beginning."""
    with open_history("memory://positions") as history:
        positions = [history.append({"code": None, "metrics": {}, "feedback": str(i)}) for i in range(3)]
        assert positions == sorted(positions)
        for i, position in enumerate(positions):
            rest = [record.feedback for record in history.read(Position.parse(str(position)))]
            assert rest == [str(j) for j in range(i + 1, 3)]
        assert len(list(history.read(Position.parse(str(START))))) == 3


def test_durabilities() -> None:
    """The two words of the format."""
    assert [member.value for member in Durability] == ["sync", "flush"]
