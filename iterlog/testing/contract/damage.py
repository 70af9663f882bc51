"""The contract about damage: torn ends and broken lines, planted through the back doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.testing.contract.base import ContractBase, needed
from iterlog.testing.samples import fill, filled, logged, numbers, sample, stored_lines

if TYPE_CHECKING:
    from iterlog.testing.contract.base import Corrupt, Tear


class Damage(ContractBase):
    """Tests that need the fixtures ``tear`` and ``corrupt``, and are skipped without them."""

    # torn ends

    def test_reader_passes_a_torn_end(self, url: str, tear: Tear) -> None:
        """A reader of a torn history gets every whole record, from both ends, and no error (promise 4)."""
        filled(url, 3)
        needed(tear, "tear")(url)
        with iterlog.open_history(url, on_damage="raise") as history:
            assert [record.iteration for record in history] == [0, 1, 2]
            assert [record.iteration for record in reversed(history)] == [2, 1, 0]
            assert (len(history), history.get(2), history.last()) == (3, sample_of(history, 2), sample_of(history, 2))

    def test_append_is_not_merged_with_a_torn_end(self, url: str, tear: Tear) -> None:
        """What is appended behind a torn end is whole, and so is everything before it (promise 4)."""
        records = filled(url, 2)
        needed(tear, "tear")(url)
        with iterlog.open_history(url) as history:
            records += fill(history, 2, first=2)
        needed(tear, "tear")(url)
        with iterlog.open_history(url) as history:
            batch = [sample(4), sample(5)]
            history.extend(batch)
        with iterlog.open_history(url, on_damage="raise") as history:
            assert list(history) == records + batch
            assert history.verify().ok

    def test_open_handle_notices_a_torn_end(self, url: str, tear: Tear) -> None:
        """A handle that was open while another writer was killed appends behind what that one left (promise 4)."""
        with iterlog.open_history(url) as history:
            fill(history, 2)
            needed(tear, "tear")(url)
            fill(history, 1, first=2)
            assert [record.iteration for record in history] == [0, 1, 2]
            assert history.verify().ok

    def test_torn_first_append_leaves_an_empty_history(self, url: str, tear: Tear) -> None:
        """A first append that was cut short leaves a history that is empty and can be begun again (promise 4)."""
        needed(tear, "tear")(url)
        with iterlog.open_history(url) as history:
            assert (list(history), history.last(), len(history)) == ([], None, 0)
            assert history.resume().next_iteration == 0
            history.append(sample(0))
        assert numbers(url) == [0]

    def test_torn_end_is_reported_once(self, url: str, tear: Tear) -> None:
        """The first to repair is told and logs it; nobody after it hears of it again (promise 4)."""
        filled(url, 2)
        needed(tear, "tear")(url)
        with iterlog.open_history(url) as history, logged() as messages:
            dropped = history.repair()
            assert [(one.kind, one.size > 0) for one in dropped] == [(iterlog.FaultKind.TORN, True)]
            assert history.repair() == dropped
            assert len(messages) == 1
        with iterlog.open_history(url) as history, logged() as messages:
            assert history.repair() == ()
            assert history.resume().dropped == ()
            assert messages == []

    def test_resume_tells_what_a_crash_cost(self, url: str, tear: Tear) -> None:
        """resume() after a crash loses no whole record and lists what was in flight (promise 4)."""
        last = filled(url, 2)[-1]
        needed(tear, "tear")(url)
        with iterlog.open_history(url) as history:
            point = history.resume()
            assert (point.next_iteration, point.feedback, point.last) == (2, last.feedback, last)
            assert [dropped.kind for dropped in point.dropped] == [iterlog.FaultKind.TORN]

    def test_verify_tells_of_a_torn_end(self, url: str, tear: Tear) -> None:
        """verify() reports a torn end and changes nothing; after repair() nothing is left to report (promise 4)."""
        filled(url, 2)
        needed(tear, "tear")(url)
        with iterlog.open_history(url) as history:
            for _ in range(2):
                report = history.verify()
                assert report.records == 2
                assert [fault.kind for fault in report.faults] == [iterlog.FaultKind.TORN]
            history.repair()
            assert history.verify().ok
        assert numbers(url) == [0, 1]

    # damaged lines

    def test_damaged_line_costs_that_line_only(self, url: str, corrupt: Corrupt) -> None:
        """Every record but the damaged one is read, counted and found (promise 5)."""
        filled(url, 4)
        needed(corrupt, "corrupt")(url, 1)
        with iterlog.open_history(url) as history:
            assert [record.iteration for record in history] == [0, 2, 3]
            assert [record.iteration for record in reversed(history)] == [3, 2, 0]
            assert len(history) == 3
            assert [record.iteration for record in history.tail(3)] == [0, 2, 3]
            assert history.get(1) is None
            assert history.get(2) == sample_of(history, 2)

    def test_damaged_line_of_a_batch_costs_that_line_only(self, url: str, corrupt: Corrupt) -> None:
        """A line damaged within a batch, at its beginning or its end takes no other with it (promise 5)."""
        with iterlog.open_history(url) as history:
            for first in (0, 3, 6):
                history.extend([sample(first), sample(first + 1), sample(first + 2)])
        for index in (0, 4, 8):
            needed(corrupt, "corrupt")(url, index)
        with iterlog.open_history(url) as history:
            assert [record.iteration for record in history] == [1, 2, 3, 5, 6, 7]
            assert [record.iteration for record in reversed(history)] == [7, 6, 5, 3, 2, 1]

    def test_damage_is_raised_when_asked_for(self, url: str, corrupt: Corrupt) -> None:
        """With on_damage=raise reading stops at the damage and names where it can go on (promises 5 and 10)."""
        filled(url, 3)
        needed(corrupt, "corrupt")(url, 1)
        with iterlog.open_history(url, on_damage="raise") as history:
            reading = history.read()
            assert next(reading).iteration == 0
            with pytest.raises(iterlog.CorruptionError) as caught:
                next(reading)
            assert caught.value.position is not None
            assert [record.iteration for record in history.read(caught.value.position)] == [2]

    def test_damage_is_logged_once_with_its_position(self, url: str, corrupt: Corrupt) -> None:
        """A skipped line is a warning that names the history and the position, once per handle (promise 5)."""
        filled(url, 3)
        needed(corrupt, "corrupt")(url, 1)
        with iterlog.open_history(url) as history, logged() as messages:
            positions = [position for position, _ in history.lines()]
            for _ in range(2):
                assert len(list(history)) == 2
            assert len(messages) == 1
            assert history.url in messages[0]
            assert str(positions[1]) in messages[0]

    def test_verify_tells_where_the_damage_is(self, url: str, corrupt: Corrupt) -> None:
        """verify() reports each damaged line with the position behind it, and what can be done (promise 5)."""
        with iterlog.open_history(url) as history:
            positions = [history.append(sample(i)) for i in range(5)]
        for index in (1, 3):
            needed(corrupt, "corrupt")(url, index)
        with iterlog.open_history(url, on_damage="raise") as history:
            report = history.verify()
        assert not report.ok
        assert (report.records, report.end) == (3, positions[-1])
        assert [fault.position for fault in report.faults] == [positions[1], positions[3]]
        assert all(fault.detail and fault.advice for fault in report.faults)

    def test_no_later_write_removes_a_damaged_line(self, url: str, corrupt: Corrupt) -> None:
        """Repairing, resuming and appending leave a damaged line where it stands, byte for byte (promise 5)."""
        filled(url, 3)
        needed(corrupt, "corrupt")(url, 1)
        before = stored_lines(url)
        with iterlog.open_history(url) as history:
            history.repair()
            history.resume()
            history.append(sample(3))
            history.extend([sample(4), sample(5)])
        assert stored_lines(url)[:3] == before
        assert numbers(url) == [0, 2, 3, 4, 5]

    def test_number_of_a_damaged_last_line_is_not_used_again(self, url: str, corrupt: Corrupt) -> None:
        """Of a damaged newest line last() gives the one before, and its number stays used (promises 5 and 7)."""
        records = filled(url, 3)
        needed(corrupt, "corrupt")(url, 2)
        with iterlog.open_history(url) as history:
            assert history.last() == records[1]
            point = history.resume()
            assert (point.next_iteration, point.feedback) == (3, records[1].feedback)
            if isinstance(history, iterlog.SupportsNumbering):
                assert history.save(code=None, metrics={}, feedback="").iteration == 3

    def test_history_of_nothing_but_damage_is_kept(self, url: str, corrupt: Corrupt) -> None:
        """A history in which nothing can be read is not taken for an empty one and overwritten (promise 6)."""
        filled(url, 2)
        for index in range(2):
            needed(corrupt, "corrupt")(url, index)
        before = stored_lines(url)
        assert len(before) == 2
        with iterlog.open_history(url) as history:
            assert list(history) == []
            assert history.resume().next_iteration == 2
            history.append(sample(2))
        assert stored_lines(url)[:2] == before
        assert numbers(url) == [2]


def sample_of(history: iterlog.HistoryStore, iteration: int) -> iterlog.IterationRecord:
    """Return the one record with a number, found by reading from the beginning."""
    records = [record for record in history if record.iteration == iteration]
    assert len(records) == 1
    return records[0]
