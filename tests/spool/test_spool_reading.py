"""What is read through a spool is the history, each record once and at one position, wherever it is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from away_history import Place, Weather, make_place, numbers, record
from fault_shim import fault, shimmed
from waiting import wait_until

import iterlog
from iterlog import CorruptionError, Position, SpoolState, UnavailableError
from iterlog.jobs.rotate import rotate
from iterlog.spool import drained, draining, files
from iterlog.spool.drained import DrainedMap
from iterlog.spool.reading import SpooledReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A spooled history that does not exist yet, in fair weather."""
    yield from make_place(tmp_path, monkeypatch)


def read_from_everywhere(history: iterlog.HistoryStore) -> list[tuple[Position, int | None]]:
    """Check that each position reads on behind its record, and that both directions agree; return the entries."""
    entries = [(position, found.iteration) for position, found in history.entries()]
    assert [(position, found.iteration) for position, found in history.entries_back()] == entries[::-1]
    for i, (position, _) in enumerate(entries):
        kept = Position.parse(str(position))
        assert [(behind, found.iteration) for behind, found in history.entries(kept)] == entries[i + 1 :]
    return entries


# positions


def test_positions_stay_while_records_move(place: Place) -> None:
    """A position given while the store was away reads on from the same record when it is through, batches included."""
    place.write(0, 1)
    with place.open() as history:
        place.let(Weather.AWAY)
        given = [
            history.append(record(2)),
            history.extend([record(3), record(4), record(5)]),
            history.append(record(6)),
        ]
        with pytest.raises(UnavailableError):
            list(history)
        assert [found.iteration for found in history.read(given[0])] == [3, 4, 5, 6]
        assert given == sorted(given)
    place.let(Weather.FAIR)
    with place.open() as history:
        history.drain()
        entries = read_from_everywhere(history)
        assert [number for _, number in entries] == list(range(7))
        positions = [position for position, _ in entries]
        assert positions == sorted(positions)
        assert given == [positions[2], positions[5], positions[6]]
        assert history.append(record(7)) > positions[-1]


def test_records_of_others_keep_the_positions_of_the_store(place: Place) -> None:
    """What never came through the spool has the store's own position, between records that did, too."""
    with place.open() as history:
        history.extend([record(0), record(1)])
        history.drain()
        place.write(2)
        history.extend([record(3), record(4)])
        history.drain()
        place.write(5)
        entries = read_from_everywhere(history)
        assert [number for _, number in entries] == [0, 1, 2, 3, 4, 5]
        with iterlog.open_history(place.file) as plain:
            theirs = [position for position, _ in plain.entries()]
        assert [entries[2][0], entries[5][0]] == [theirs[2], theirs[5]]
        assert [len(position) for position, _ in entries] == [2, 2, 1, 2, 2, 1]


@pytest.mark.parametrize("lines", [1, 3])
def test_a_record_that_is_in_the_store_but_not_in_the_map(
    place: Place, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the store's acknowledgement and its entry, a record is read once, at the same position as before."""
    with place.open() as history:
        history.append(record(0))
        history.drain()
        place.let(Weather.AWAY)
        history.extend([record(1 + i) for i in range(lines)])
        history.append(record(9))
        history.append(record(10))
    place.let(Weather.FAIR)

    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(DrainedMap, "add", crash)
        patch.setattr("iterlog.spool.worker.Worker._start", lambda _self: None)
        history = place.open()
        with pytest.raises(Crash):
            history.drain()
        assert len(place.stored()) == 1 + lines
        entries = read_from_everywhere(history)
        assert [number for _, number in entries] == [*range(1 + lines), 9, 10]
        assert len(history) == 3 + lines
        history.close()
    with place.open() as history:
        history.drain()
        assert read_from_everywhere(history) == entries
    assert place.stored() == [*range(1 + lines), 9, 10]


def test_reading_twice_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: a reader that does not know its own lines in the store shows them twice."""
    with place.open() as history:
        monkeypatch.setattr("iterlog.spool.reading._Unentered.found", lambda *_args, **_keywords: None)
        place.let(Weather.APPLIED)
        history.append(record(0))
        wait_until(lambda: history.spool.error is not None)
        assert numbers(history) == [0, 0]


def test_reading_while_it_drains(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads slowly while the backlog is drained and removed sees every record once, from both ends."""
    monkeypatch.setattr(files, "_FILE_RECORDS", 5)
    place.write(0, 1, 2)
    place.let(Weather.AWAY)
    with place.open() as history:
        for i in range(3, 60):
            history.append(record(i))
        place.let(Weather.FAIR)
        monkeypatch.setattr("iterlog.spool.worker.Worker._start", lambda _self: None)
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        for late in (False, True):
            place.let(Weather.AWAY)
            first = len(place.stored())
            for i in range(first, first + 57):
                history.append(record(i))
            place.let(Weather.FAIR)
            reading = reversed(history) if late else iter(history)
            seen = [next(reading).iteration for _ in range(20)]
            history.drain()
            seen += [found.iteration for found in reading]
            assert seen == (list(range(first + 57))[::-1] if late else list(range(first + 57)))


def test_positions_of_another_spool_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A position that a spool gave which is gone is an error, and never the position of another record."""
    with place.open() as history:
        old = history.append(record(0))
    monkeypatch.setattr("iterlog.spool.files.time.time", lambda: 4_000_000_000.0)
    place.spool = place.spool.with_name("another")
    with place.open() as history:
        history.append(record(1))
        history.append(record(2))
        with pytest.raises(CorruptionError):
            list(history.read(old))
        with pytest.raises(CorruptionError):
            list(history.read(Position.of(*history.append(record(3))[:1], 99)))
        assert numbers(history) == [0, 1, 2, 3]


# what a crash of the machine, or a person, takes away


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_entries_that_a_crash_took(place: Place, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that were not durable when the machine died are found again in the store, and nothing comes twice."""
    with place.open() as history:
        history.extend([record(0), record(1)])
        for i in range(2, 8):
            history.append(record(i))
        history.drain()
        positions = [position for position, _ in history.entries()]
    path = place.spool / "drained"
    whole = path.read_bytes()
    lost = (7 - kept) * drained._ENTRY.size
    path.write_bytes(whole[:-lost] + bytes(lost // 2))
    monkeypatch.setattr(draining, "this_boot", lambda: 4711)
    with place.open() as history:
        history.append(record(8))
        history.drain()
        assert numbers(history) == list(range(9))
        assert [position for position, _ in history.entries()][:-1] == positions
    assert place.stored() == list(range(9))


def test_a_map_that_is_gone(place: Place) -> None:
    """A spool without its map finds out in the store what is there."""
    with place.open() as history:
        for i in range(4):
            history.append(record(i))
        history.drain()
        place.let(Weather.AWAY)
        history.append(record(4))
    place.let(Weather.FAIR)
    (place.spool / "drained").unlink()
    with place.open() as history:
        history.append(record(5))
        history.drain()
        assert numbers(history) == list(range(6))
    assert place.stored() == list(range(6))


def test_a_state_that_cannot_be_understood(place: Place) -> None:
    """A damaged state is an error that says where the records are; what waits is untouched."""
    with place.open() as history:
        place.let(Weather.AWAY)
        history.append(record(0))
    (place.spool / "state.json").write_text("{")
    with pytest.raises(CorruptionError, match="backlog"):
        place.open()
    with iterlog.open_history(place.spool / "backlog") as waiting:
        assert numbers(waiting) == [0]


@pytest.mark.parametrize("left", [0, 1])
def test_a_store_that_was_cut(place: Place, left: int) -> None:
    """A store that ends before what was drained into it is an error, and nothing more is put there."""
    with place.open() as history:
        history.append(record(0))
        history.append(record(1))
    place.file.write_bytes(b"".join(place.file.read_bytes().splitlines(keepends=True)[:left]))
    with place.open() as history:
        with pytest.raises(CorruptionError, match="spool"):
            history.save(code=None, metrics={}, feedback="")
        history.append(record(3))
        with pytest.raises(CorruptionError, match="spool"):
            history.drain()
        assert history.spool.state is SpoolState.STUCK
    assert place.stored() == list(range(left))


# a store that becomes another


def test_a_file_that_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file behind a spool may be turned into a set: nothing is lost, and positions of before are refused."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "history.jsonl"
    with iterlog.open_history(path, spool=True) as history:
        assert isinstance(history, iterlog.SupportsSpool)
        old = history.append(record(0))
        history.append(record(1))
        history.drain()
        rotate(path)
        history.append(record(2))
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        assert numbers(history) == [0, 1, 2]
    with iterlog.open_history(path, spool=True) as history:
        assert history.append(record(3)) > old
        assert [number for _, number in read_from_everywhere(history)] == [0, 1, 2, 3]
        with pytest.raises(CorruptionError):
            list(history.read(old))
    with iterlog.open_history(path) as plain:
        assert numbers(plain) == [0, 1, 2, 3]


# the spool's own disk


@shimmed
def test_a_full_disk_below_the_spool(tmp_path: Path) -> None:
    """An append that the spool cannot take is an error, nothing is written, and the next one goes on."""
    path = tmp_path / "history.jsonl"
    with iterlog.open_history(path, spool=tmp_path / "spool") as history:
        assert isinstance(history, iterlog.SupportsSpool)
        history.append(record(0))
        history.drain()
        with fault("write", "backlog/000000000000.jsonl", errno=28), pytest.raises(UnavailableError):
            history.append(record(1))
        assert numbers(history) == [0]
        history.append(record(1))
        history.drain()
    with iterlog.open_history(path) as plain:
        assert numbers(plain) == [0, 1]


@shimmed
def test_a_full_disk_below_a_new_spool(tmp_path: Path) -> None:
    """A spool that cannot be made is an error of the first append, and made by the next one."""
    path = tmp_path / "history.jsonl"
    with iterlog.open_history(path, spool=tmp_path / "spool") as history:
        assert isinstance(history, iterlog.SupportsSpool)
        for name in ("spool/drained.tmp", "spool/state.json.tmp", "backlog/000000000000.jsonl"):
            with fault("write", name, errno=28), pytest.raises(UnavailableError):
                history.append(record(0))
        assert numbers(history) == []
        history.append(record(0))
        history.drain()
        assert numbers(history) == [0]


@shimmed
def test_a_full_disk_while_it_drains(tmp_path: Path) -> None:
    """An entry that cannot be written, for the store's acknowledgement, does not store the record twice."""
    path = tmp_path / "history.jsonl"
    with iterlog.open_history(path, spool=tmp_path / "spool") as history:
        assert isinstance(history, iterlog.SupportsSpool)
        history.append(record(0))
        history.drain()
        with fault("pwrite", "spool/drained", errno=28):
            history.append(record(1))
            wait_until(lambda: history.spool.error is not None)
        wait_until(lambda: history.spool.state is SpoolState.THROUGH)
        assert numbers(history) == [0, 1]
    with iterlog.open_history(path) as plain:
        assert numbers(plain) == [0, 1]


def test_nothing_here_stands_on_the_backlog_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: a reader that forgets what is removed while it reads misses records."""

    def forgetful(self: Any, start: Position) -> Iterator[tuple[Position, bytes]]:
        passed, behind = self._begin_at(start)
        yield from self._target.opened()._scan(behind)
        for number, line in self._files.lines(max(passed, self._files.map.last_end())):
            yield self._files.position_of(number), line

    monkeypatch.setattr(SpooledReader, "forward", forgetful)
    with pytest.raises(AssertionError):
        test_reading_while_it_drains(place, monkeypatch)
