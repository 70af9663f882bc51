"""The contract about appending: all or nothing, in order, at positions that stay."""

from __future__ import annotations

import itertools
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest

import iterlog
from iterlog.testing.contract.base import ContractBase
from iterlog.testing.samples import fill, filled, numbers, sample

if TYPE_CHECKING:
    from collections.abc import Callable


class Appending(ContractBase):
    """Tests of append, extend, save and the positions they give."""

    def test_append_is_visible_when_it_returns(self, url: str) -> None:
        """A record is there for every other handle when append returns, before anything is closed (promise 1)."""
        with iterlog.open_history(url) as writer, iterlog.open_history(url) as reader:
            for i, durability in enumerate(iterlog.Durability):
                writer.append(sample(i), durability=durability)
                assert [record.iteration for record in reader] == list(range(i + 1))
                assert reader.last() == writer.last()

    def test_durability_of_one_call_and_flush(self, url: str) -> None:
        """Any durability can be asked for in one call of append, extend and save, and flush() makes it all durable."""
        with iterlog.open_history(url, durability="flush") as history:
            history.append(sample(0), durability=iterlog.Durability.SYNC)
            history.extend([sample(1), sample(2)], durability=iterlog.Durability.SYNC)
            history.save(code=None, metrics={}, feedback="", iteration=3, durability=iterlog.Durability.SYNC)
            history.append(sample(4), durability=iterlog.Durability.FLUSH)
            history.extend([sample(5)], durability=iterlog.Durability.FLUSH)
            history.flush()
            assert numbers(url) == [0, 1, 2, 3, 4, 5]

    def test_batch_is_never_seen_in_part(self, url: str) -> None:
        """Whoever reads while batches are appended sees each wholly or not at all, from both ends (promise 2)."""
        size, batches = 4, 12
        done = threading.Event()

        def write() -> None:
            try:
                with iterlog.open_history(url, durability="flush") as history:
                    for batch in range(batches):
                        history.extend([sample(batch * size + i) for i in range(size)])
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        with iterlog.open_history(url) as reader:
            looks = []
            while not done.is_set():
                forward = [record.iteration for record in reader]
                looks.append((forward, [record.iteration for record in reversed(reader)]))
        writer.join()
        for forward, backward in looks:
            assert forward == list(range(len(forward)))
            assert backward == list(range(len(backward)))[::-1]
            assert (len(forward) % size, len(backward) % size) == (0, 0)
        assert numbers(url) == list(range(size * batches))

    def test_invalid_record_writes_nothing(self, url: str) -> None:
        """A record that cannot be stored is refused, and the history is as before (promise 8)."""
        cyclic: dict[str, Any] = {}
        cyclic["itself"] = cyclic
        good = sample(1).to_dict()
        invalid: list[Any] = [
            None,
            {},
            {**good, "iteration": -1},
            {**good, "iteration": "one"},
            {**good, "code": b"bytes"},
            {**good, "metrics": [1, 2]},
            {**good, "metrics": {"model": object()}},
            {**good, "metrics": cyclic},
            {**good, "code_hash": "0" * 64},
            {**good, "timestamp": "yesterday"},
        ]
        with iterlog.open_history(url) as history:
            fill(history, 1)
            for fields in invalid:
                with pytest.raises(iterlog.RecordError):
                    history.append(fields)
            with pytest.raises(iterlog.RecordError, match="'status'"):
                history.save(code=None, metrics={}, feedback="", iteration=1, statsu="keep")
        assert numbers(url) == [0]

    def test_invalid_record_in_a_batch_writes_nothing(self, url: str) -> None:
        """One record that cannot be stored, in the middle of a batch, keeps the whole batch out (promises 2 and 8)."""
        with iterlog.open_history(url) as history:
            fill(history, 1)
            with pytest.raises(iterlog.RecordError):
                history.extend([sample(1), {**sample(2).to_dict(), "metrics": {"x": b"bytes"}}, sample(3)])
            fill(history, 1, first=4)
        assert numbers(url) == [0, 4]

    def test_order_is_append_order(self, url: str) -> None:
        """Records come back in the order they were appended in, whatever their numbers and times say (promise 3)."""
        with iterlog.open_history(url) as history:
            history.append(sample(5))
            history.append(sample(2, timestamp="1999-12-31T00:00:00+00:00"))
            history.extend([sample(9), sample(2), sample(3)])
            history.append(sample(0))
            expected = [5, 2, 9, 2, 3, 0]
            assert [record.iteration for record in history] == expected
            assert [record.iteration for record in reversed(history)] == expected[::-1]
        assert numbers(url) == expected

    def test_positions_are_ordered_and_name_their_record(self, url: str) -> None:
        """Each append returns the position behind its last record, the same that reading gives (promise 3)."""
        with iterlog.open_history(url) as history:
            returned = [
                history.append(sample(0)),
                history.extend([sample(1), sample(2)]),
                history.extend([sample(3)]),
                history.append(sample(4)),
            ]
            read = [position for position, _ in history.entries()]
            assert read == sorted(set(read))
            assert returned == [read[0], read[2], read[3], read[4]]
            assert [position for position, _ in history.lines()] == read
            assert history.verify().end == read[-1]
            assert read[0] > iterlog.START

    def test_positions_never_change(self, url: str) -> None:
        """The positions of what is stored stay the same through appends, repairs and reopening (promise 3)."""
        with iterlog.open_history(url) as history:
            fill(history, 3)
            before = list(history.entries())
        with iterlog.open_history(url) as history:
            history.repair()
            history.extend([sample(3), sample(4)])
            fill(history, 1, first=5)
            assert list(history.entries())[:3] == before

    def test_positions_can_be_stored_and_read_on_from(self, url: str) -> None:
        """From every position, kept as text meanwhile, a new handle reads exactly what came later (promise 3)."""
        with iterlog.open_history(url) as history:
            fill(history, 2)
            history.extend([sample(2), sample(3), sample(4)])
            kept = [str(position) for position, _ in history.entries()]
        filled(url, 1, first=5)
        with iterlog.open_history(url) as history:
            for i, text in enumerate(kept):
                start = iterlog.Position.parse(text)
                assert [record.iteration for record in history.read(start)] == list(range(i + 1, 6))
            assert [record.iteration for record in history.read(iterlog.START)] == list(range(6))

    def test_what_is_no_position_is_refused(self, url: str) -> None:
        """A text or a number in place of a position is an error at once, not an empty reading (promise 10)."""
        with iterlog.open_history(url) as history:
            fill(history, 1)
            for nonsense in ("1", 1, (1,)):
                with pytest.raises(iterlog.ConfigError):
                    history.read(nonsense)  # type: ignore[arg-type] # a caller without types
        with pytest.raises(iterlog.ConfigError):
            iterlog.Position.parse("here")

    def test_position_behind_the_end_is_no_empty_reading(self, url: str, make_url: Callable[[], str]) -> None:
        """A history that ends before a stored position is an error and never an empty reading (promise 6)."""
        other = make_url()
        filled(url, 1)
        with iterlog.open_history(other) as longer:
            fill(longer, 3)
            behind = longer.append(sample(3, code="pass\n" * 1000))
        with iterlog.open_history(url) as history, pytest.raises((iterlog.CorruptionError, iterlog.ConfigError)):
            list(history.read(behind))

    def test_empty_batch_stores_nothing(self, url: str) -> None:
        """An empty batch stores nothing and returns the position of the end."""
        with iterlog.open_history(url) as history:
            assert history.extend([]) == iterlog.START
            end = history.append(sample(0))
            assert history.extend(iter([])) == end
            assert len(history) == 1

    def test_mappings_and_records_are_stored_alike(self, url: str) -> None:
        """A mapping of a record's fields is stored as the record is."""
        record = sample(0, status="keep", extra={"desk": "rates"})
        with iterlog.open_history(url) as history:
            history.append(record)
            history.append(record.to_dict())
            history.extend([record.to_dict()])
            lines = [line for _, line in history.lines()]
            assert list(history) == [record] * 3
        assert lines == [lines[0]] * 3

    def test_save_returns_the_record_as_stored(self, url: str) -> None:
        """save() makes a record of its fields, stores it and returns it."""
        with iterlog.open_history(url) as history:
            saved = history.save(code="pass", metrics={"x": 1}, feedback="more", iteration=3, tags=("a", "b"))
            assert (saved.iteration, saved.tags) == (3, ("a", "b"))
            assert history.last() == saved

    def test_numbers_are_handed_out_or_refused(self, url: str) -> None:
        """A store that numbers goes on behind the highest number; one that does not refuses clearly (promise 7)."""
        with iterlog.open_history(url) as history:
            if not isinstance(history, iterlog.SupportsNumbering):
                with pytest.raises(iterlog.UnsupportedOperationError):
                    history.append(sample(None))
                with pytest.raises(iterlog.UnsupportedOperationError):
                    history.extend([sample(0), sample(None)])
                with pytest.raises(iterlog.UnsupportedOperationError):
                    history.save(code=None, metrics={}, feedback="")
                assert list(history) == []
                return
            history.append(sample(None))
            history.append(sample(7))
            history.append(sample(3))
            assert history.save(code=None, metrics={}, feedback="").iteration == 8
            history.extend([sample(None), sample(20), sample(None), sample(1)])
            assert [record.iteration for record in history] == [0, 7, 3, 8, 9, 20, 21, 1]
        with iterlog.open_history(url) as history:
            assert history.save(code=None, metrics={}, feedback="").iteration == 22

    def test_lines_are_the_bytes_every_backend_stores(self, url: str) -> None:
        """Each backend stores the same bytes for the same appends, so a history can be copied without being read."""
        records = [sample(0), sample(1, metrics={"loss": float("nan")}), sample(2), sample(3)]
        with (
            iterlog.open_history(url) as history,
            iterlog.open_history(f"memory://contract-{uuid.uuid4().hex}") as model,
        ):
            for store in (history, model):
                store.append(records[0])
                store.extend(records[1:])
            stored = [line for _, line in history.lines()]
            assert stored == [line for _, line in model.lines()]
            assert not any(b"\n" in line for line in stored)

    def test_history_is_copied_record_by_record(self, url: str, make_url: Callable[[], str]) -> None:
        """Reading one history and appending to another copies every line, byte for byte (promise 8)."""
        other = make_url()
        with iterlog.open_history(url) as source, iterlog.open_history(other) as copy:
            fill(source, 2)
            source.append(sample(2, extra={"exchange": "XETR", "depth": [1, {"bid": 99.5}]}))
            for record in source:
                copy.append(record)
            pairs = itertools.zip_longest(source.lines(), copy.lines())
            for (_, line), (_, copied) in pairs:
                assert line == copied
