"""The contract about reading: from both ends, by number, from a position, and waiting for more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.testing.contract.base import ContractBase
from iterlog.testing.samples import fill, filled, numbers, sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Reading(ContractBase):
    """Tests of the reading half of a history."""

    def test_last_is_the_newest_record(self, url: str) -> None:
        """last() is the record appended last, whatever its number."""
        filled(url, 3, first=4)
        with iterlog.open_history(url) as history:
            newest = sample(1)
            history.append(newest)
            assert history.last() == newest

    def test_tail_is_the_end_in_order(self, url: str) -> None:
        """tail(n) is the last n records, oldest first, fewer when there are fewer."""
        filled(url, 12)
        with iterlog.open_history(url) as history:
            for n in (0, 1, 5, 12, 100):
                assert [record.iteration for record in history.tail(n)] == list(range(12))[12 - min(n, 12) :]
            assert len(history.tail()) == 10
            with pytest.raises(iterlog.ConfigError):
                history.tail(-1)

    def test_get_finds_the_newest_of_a_number(self, url: str) -> None:
        """get(n) is the newest record with number n, and None when there is none."""
        with iterlog.open_history(url) as history:
            fill(history, 4)
            history.append(sample(1, feedback="second try"))
            found = history.get(1)
            assert found is not None
            assert found.feedback == "second try"
            oldest = history.get(0)
            assert oldest is not None
            assert oldest.iteration == 0
            assert history.get(4) is None
            assert history.get(11) is None

    def test_reversed_is_the_history_backwards(self, url: str) -> None:
        """Reading backwards gives the records of reading forwards, last first, batches included."""
        with iterlog.open_history(url) as history:
            fill(history, 3)
            history.extend([sample(3), sample(4), sample(5)])
            fill(history, 2, first=6)
        with iterlog.open_history(url) as history:
            assert list(reversed(history)) == list(history)[::-1]
            assert len(list(reversed(history))) == 8

    def test_len_counts_the_records(self, url: str) -> None:
        """len() is the number of records, for the handle that wrote them and for every other."""
        with iterlog.open_history(url) as history, iterlog.open_history(url) as other:
            for expected in range(1, 4):
                fill(history, 1)
                assert (len(history), len(other)) == (expected, expected)
            history.extend([sample(7), sample(8)])
            assert (len(history), len(other)) == (5, 5)

    def test_reading_again_starts_again(self, url: str) -> None:
        """Every iteration over a handle begins at the beginning, also when an earlier one stopped half-way."""
        filled(url, 3)
        with iterlog.open_history(url) as history:
            first = iter(history)
            assert next(first).iteration == 0
            assert [record.iteration for record in history] == [0, 1, 2]
            assert next(first).iteration == 1
            assert [record.iteration for record in history] == [0, 1, 2]

    def test_appending_while_reading_is_harmless(self, url: str) -> None:
        """Who appends while it reads gets every record that was there at the start, in order, and comes to an end."""
        filled(url, 5)
        with iterlog.open_history(url) as history:
            seen = []
            for record in history:
                seen.append(record.iteration)
                if len(seen) <= 5:
                    history.append(sample(4 + len(seen)))
            assert seen == list(range(len(seen)))
            assert len(seen) >= 5
        assert numbers(url) == list(range(10))

    def test_follow_waits_for_more(self, url: str) -> None:
        """follow() gives what is there, then what other handles append, from a position too, until it was idle."""
        filled(url, 2)
        with iterlog.open_history(url) as reader, iterlog.open_history(url) as writer:
            coming = reader.follow(poll_s=0.001, idle_s=1.0)
            assert [next(coming).iteration for _ in range(2)] == [0, 1]
            middle = fill_one(writer, 2)
            assert next(coming).iteration == 2
            writer.extend([sample(3), sample(4)])
            assert [next(coming).iteration for _ in range(2)] == [3, 4]
            later = reader.follow(middle, poll_s=0.001, idle_s=0)
            assert [record.iteration for record in later] == [3, 4]

    def test_follow_ends_with_its_handle(self, url: str) -> None:
        """Closing the handle ends a follow() that would wait for ever."""
        filled(url, 1)
        history = iterlog.open_history(url)
        coming = history.follow(poll_s=0.001)
        assert next(coming).iteration == 0
        history.close()
        assert list(coming) == []

    def test_verify_counts_and_finds_nothing_wrong(self, url: str) -> None:
        """verify() of a sound history counts its records, names its end and finds no fault."""
        with iterlog.open_history(url) as history:
            fill(history, 3)
            end = history.extend([sample(3), sample(4)])
            assert history.verify() == iterlog.VerifyReport(5, end)
            assert history.verify().ok
            assert history.repair() == ()

    def test_async_loop_appends_and_reads(self, url: str) -> None:
        """aappend() and aread() do in a coroutine what append() and read() do."""

        async def loop() -> list[iterlog.IterationRecord]:
            with iterlog.open_history(url) as history:
                first = await history.aappend(sample(0))
                await asyncio.gather(*(history.aappend(sample(i)) for i in range(1, 5)))
                assert len(await collected(history.aread())) == 5
                return await collected(history.aread(first))

        later = asyncio.run(loop())
        assert sorted(record.iteration or 0 for record in later) == [1, 2, 3, 4]
        assert sorted(number or 0 for number in numbers(url)) == [0, 1, 2, 3, 4]


async def collected(records: AsyncIterator[iterlog.IterationRecord]) -> list[iterlog.IterationRecord]:
    """Return all that an asynchronous reading gives."""
    return [record async for record in records]


def fill_one(history: iterlog.HistoryStore, number: int) -> iterlog.Position:
    """Append one record and return the position behind it."""
    return history.append(sample(number))
