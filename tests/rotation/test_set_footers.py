"""What a set is asked for by number is found by the footers, whoever wrote them and whatever became of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, records
from rotation_files import SIZE, entries, names, open_set, write_set

from iterlog.rotation import parts
from iterlog.rotation.layout import plain_name, sealed_name
from iterlog.segments.footer import read_footer
from iterlog.segments.packing import Codec
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from iterlog.segments.footer import SegmentFooter
    from iterlog.segments.source import Source

OLD = Path(__file__).parents[1] / "segments" / "data"
COUNT = 5 * SIZE + 1
CODECS = pytest.mark.parametrize("codec", ["zstd", "gzip"])


@pytest.fixture
def footers_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how much is read of the end of a file for each footer that is read whole."""
    found: list[int] = []

    def noted(source: Source, *, first_read: int) -> SegmentFooter | None:
        found.append(first_read)
        return read_footer(source, first_read=first_read)

    monkeypatch.setattr(parts, "read_footer", noted)
    return found


@CODECS
def test_only_the_file_that_holds_a_number_is_looked_into(tmp_path: Path, codec: str, footers_read: list[int]) -> None:
    """Of the other files, the heads of their footers say enough; and all of them do for counting."""
    write_set(tmp_path / "set", COUNT, compressed=True, codec=codec)
    with open_set(tmp_path / "set") as history:
        assert len(history) == COUNT
        assert footers_read == []
        for iteration in (SIZE, 1, COUNT - 1, COUNT, 2 * SIZE):
            found = history.get(iteration)
            assert (None if found is None else found.iteration) == (iteration if iteration < COUNT else None)
        assert len(footers_read) == 3


@CODECS
def test_damaged_columns_cost_time_only(tmp_path: Path, codec: str, footers_read: list[int]) -> None:
    """Where a head says that a file may hold a number and the columns cannot tell, the lines do."""
    write_set(tmp_path / "set", COUNT, compressed=True, codec=codec)
    path = tmp_path / "set" / names(tmp_path / "set")[1]
    data = bytearray(path.read_bytes())
    footer = read_footer(BytesSource(bytes(data)))
    assert footer is not None
    data[footer.packed_size + 60] ^= 1
    path.write_bytes(data)
    with open_set(tmp_path / "set") as history:
        assert [history.get(iteration) for iteration in range(COUNT)] == list(history)
        assert len(history) == COUNT
        assert numbers(history) == list(range(COUNT))
        assert footers_read
        assert [found.count for _, found in history.footers()] == [SIZE] * 5


@CODECS
def test_a_set_of_old_files_is_a_set(tmp_path: Path, codec: str) -> None:
    """Files of the first version, whose footers have no heads, count, are searched, and go on."""
    directory = tmp_path / "set"
    directory.mkdir()
    (directory / sealed_name(0, 45, Codec(codec))).write_bytes(
        (OLD / f"format-1.jsonl{Codec(codec).suffix}").read_bytes()
    )
    (directory / plain_name(45)).touch()
    with open_set(directory) as history:
        assert len(history) == 44
        newest = history.get(30)
        assert newest is not None
        assert newest.metrics == {"loss": 2.0}
        assert history.get(44) is None
        assert history.append(records([None])[0])
        assert [record.iteration for record in history.tail(2)] == [30, 44]
        assert len(entries(history)) == 45


@pytest.mark.parametrize("merged", [False, True], ids=["apart", "merged"])
def test_footers_of_files_sealed_meanwhile_come_too(tmp_path: Path, merged: bool) -> None:
    """Who reads footers while a loop goes on is given those sealed by then, each once, also when files are merged."""
    write_set(tmp_path / "set", 2 * SIZE, compressed=True)
    with open_set(tmp_path / "set") as history, open_set(tmp_path / "set", max_records=100) as other:
        footers = history.footers()
        found = [next(footers)]
        for one in records(range(2 * SIZE, 4 * SIZE)):
            history.append(one)
        other.seal()
        list(other.compress())
        if merged:
            list(other.compact())
        found += footers
        assert sum(footer.records for _, footer in found) == 4 * SIZE
        assert [position for position, _ in found] == sorted({position for position, _ in found})
