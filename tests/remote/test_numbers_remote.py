"""Iteration numbers of many writers, some of whom choose their own: none is handed out twice."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from appended import opened, record, records_in, stored

from iterlog.remote import committing
from iterlog.remote.commits import append_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servers import Place


def append_out_of_order(place: Place) -> tuple[list[int], list[int]]:
    """Let three writers take numbers while two others append low and high ones; return the taken and the chosen."""
    taken: list[int] = []
    chosen = [[3, 500, 4, 501, 5], [1000, 2, 800, 1, 1001]]

    def take() -> None:
        with opened(place) as history:
            for _ in range(6):
                made = history.save(code=None, metrics={}, feedback="taken")
                taken.append(made.iteration or 0)

    def choose(numbers: list[int]) -> None:
        with opened(place) as history:
            for number in numbers:
                history.append(record("chosen", number))

    writers = [threading.Thread(target=take) for _ in range(3)]
    writers += [threading.Thread(target=choose, args=(numbers,)) for numbers in chosen]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return taken, [*chosen[0], *chosen[1]]


def check(place: Place) -> None:
    """Check that what was handed out was above everything before it, and is stored so."""
    taken, chosen = append_out_of_order(place)
    found = records_in(stored(place))
    assert len(found) == len(taken) + len(chosen) == 28
    highest = -1
    for each in found:
        if each["feedback"] == "taken":
            assert each["iteration"] > highest
        highest = max(highest, each["iteration"])
    assert sorted(each["iteration"] for each in found if each["feedback"] == "taken") == sorted(taken)
    with opened(place) as history:
        assert history.resume().next_iteration == highest + 1


def test_no_number_is_handed_out_twice(s3: Place) -> None:
    """The highest number is remembered where the newest line hides it."""
    check(s3)


def test_forgetting_the_highest_number_is_caught(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the control line, the number behind the newest line is handed out again."""

    def forgetful(lines: Sequence[bytes], _next_number: int) -> tuple[bytes, int]:
        return append_body(lines, 0)

    monkeypatch.setattr(committing, "append_body", forgetful)
    with opened(s3) as history:
        history.append(record("chosen", 500))
    with opened(s3) as history:
        history.append(record("chosen", 3))
    with pytest.raises(AssertionError):
        check(s3)


def test_tasks_share_a_handle(s3: Place) -> None:
    """Twenty tasks of an asyncio program append at once."""

    async def run() -> None:
        with opened(s3) as history:
            await asyncio.gather(*(history.aappend(record(str(i))) for i in range(20)))

    asyncio.run(run())
    found = records_in(stored(s3))
    assert [each["iteration"] for each in found] == list(range(20))
    assert {each["feedback"] for each in found} == {str(i) for i in range(20)}
