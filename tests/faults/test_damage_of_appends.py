"""Damage inside of appends that came to their end, that did not, and that were taken back: read alike both ways."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, quick_directory, records
from hypothesis import example, given, settings
from hypothesis import strategies as st

from iterlog import open_history
from iterlog.files import lines_of
from iterlog.files.lines_of import CANCEL, count_lines, lines_back, lines_forward
from iterlog.lines import encode_body, finish_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANCELLED = b'{"iteration":' + bytes([CANCEL])


@pytest.fixture
def path() -> Iterator[Path]:
    """A place in memory."""
    with quick_directory() as directory:
        yield directory / "h.jsonl"


def batch(size: int) -> list[bytes]:
    """Return the lines of an append of some records."""
    return finish_lines([(number, encode_body(one)) for number, one in enumerate(records(range(size)))])


def damaged(line: bytes, where: int) -> bytes:
    """Change a byte of a line: in its record, in what it says of the lines to follow, or in its checksum."""
    at = (30, len(line) - 19, len(line) - 5)[where]
    return line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]


@st.composite
def appends(draw: st.DrawFn) -> list[bytes]:
    """Draw an append, whole, cut short or taken back, some of its lines damaged."""
    lines = batch(draw(st.integers(1, 4)))
    lines = lines[: draw(st.integers(1, len(lines)))]
    for index in draw(st.sets(st.integers(0, len(lines) - 1), max_size=2)):
        lines[index] = damaged(lines[index], draw(st.integers(0, 2)))
    return [*lines, CANCELLED] if draw(st.booleans()) else lines


def read_both_ways(path: Path, lines: list[bytes]) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]], int]:
    """Write lines to a file, and return what is read forwards, backwards, and counted."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        end = os.fstat(descriptor).st_size
        forward = list(lines_forward(descriptor, 0, end))
        return forward, list(lines_back(descriptor, end))[::-1], count_lines(descriptor, 0, end)
    finally:
        os.close(descriptor)


@settings(max_examples=500, deadline=None)
@given(st.lists(appends(), max_size=6))
@example([[batch(3)[0], damaged(batch(3)[1], 0), CANCELLED]])
@example([[batch(5)[0], damaged(batch(5)[1], 1), batch(5)[2]], batch(1)])
@example([[batch(4)[0], damaged(batch(4)[1], 0)], batch(1)])
def test_both_ways_show_the_same(given_appends: list[list[bytes]]) -> None:
    """Whatever is damaged and whatever came to its end, reading backwards gives what reading forwards gives."""
    with quick_directory() as directory:
        forward, back, count = read_both_ways(directory / "h.jsonl", [line for one in given_appends for line in one])
    assert back == forward
    assert count == len(forward)


def test_a_cancelled_append_is_not_read_because_a_line_of_it_is_damaged(path: Path) -> None:
    """Lines of an append that was taken back stay unread both ways when one of them is damaged."""
    lines = [*batch(1), batch(3)[0], damaged(batch(3)[1], 0), CANCELLED]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with open_history(path, on_damage="raise") as history:
        assert numbers(history) == [0]
        assert [found.iteration for found in reversed(history)] == [0]
        assert len(history) == 1


# The checks above can fail.


def test_reading_back_without_looking_at_the_whole_append_is_noticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When what seems cut short is passed over without a look at its damaged lines, both ways differ."""
    monkeypatch.setattr(lines_of, "_shown_of", lambda _held: [])
    forward, back, _ = read_both_ways(path, [batch(5)[0], damaged(batch(5)[1], 0), batch(5)[2], *batch(1)])
    assert back != forward
