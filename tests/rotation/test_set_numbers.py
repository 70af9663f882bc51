"""Finding a record by its number in a long set, again and again, while its files change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fault_files import record
from rotation_files import SIZE, open_set, write_set

from iterlog.rotation.reading import SetReader

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_second_search_reads_one_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the footers were read, finding a record costs the footer of its own file."""
    write_set(tmp_path / "set", 10 * SIZE, compressed=True)
    read: list[str] = []
    stored_footer = SetReader.stored_footer

    def counted(self: SetReader, part: object) -> object:
        read.append(part.name)  # type: ignore[attr-defined] # it is passed on as it came
        return stored_footer(self, part)  # type: ignore[arg-type] # as above

    monkeypatch.setattr(SetReader, "stored_footer", counted)
    with open_set(tmp_path / "set") as history:
        assert history.get(0) == next(iter(history))
        read.clear()
        for number in (0, SIZE, 5 * SIZE + 1):
            found = history.get(number)
            assert found is not None
            assert found.iteration == number
        assert len([name for name in read if name.endswith(".zst")]) == 3


def test_numbers_are_found_after_files_changed(tmp_path: Path) -> None:
    """A handle that knows the files finds the newest record of a number after sealing, merging and writing anew."""
    with open_set(tmp_path / "set") as history, open_set(tmp_path / "set", max_records=100) as other:
        for number in (9, 8, 7, 6, 5, 4):
            history.append(record(number))
        list(history.compress())
        assert history.get(1) is None
        history.append(record(1, code="new"))
        history.append(record(9, code="newer"))
        history.seal()
        list(history.compress())
        newest = history.get(9)
        assert newest is not None
        assert newest.code == "newer"
        list(other.compact())
        assert [bool(history.get(number)) for number in range(10)] == [False, True, False, False, *[True] * 6]
        assert history.get(9) == newest
