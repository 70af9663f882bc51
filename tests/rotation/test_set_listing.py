"""What the names in a set's directory mean, in every state that a step can be left in."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from fault_files import numbers, quick_directory, records
from hypothesis import given, settings
from hypothesis import strategies as st
from rotation_files import SIZE, entries, finish, listing, open_set, write_set

from iterlog import ConfigError, CorruptionError
from iterlog.rotation import layout
from iterlog.rotation.layout import plain_name, read_listing, sealed_name, temporary_name
from iterlog.segments.packing import Codec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOREIGN = [
    "notes.txt",
    "0.jsonl",
    "000000000000.jsonl.bak",
    "000000000000.jsonl.zst",
    "000000000000-000000000999.jsonl.xz",
    "000000000000-000000000999.jsonl.zst.tmp",
    ".something.tmp",
    "٠٠٠٠٠٠٠٠٠٠٠٠.jsonl",  # noqa: RUF001 - digits, but not ours
    "000000000000.jsonl\n",
]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory where syncing costs nothing."""
    with quick_directory() as path:
        yield path / "set"


def touch(directory: Path, *names: str) -> None:
    """Create empty files."""
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).touch()


@pytest.mark.parametrize(
    ("present", "parts", "redundant"),
    [
        ([], [], []),
        ([plain_name(0)], [(0, None)], []),
        ([plain_name(0), plain_name(3)], [(0, 3), (3, None)], []),
        ([sealed_name(0, 3, Codec.ZSTD), plain_name(3)], [(0, 3), (3, None)], []),
        ([sealed_name(0, 3, Codec.GZIP), plain_name(0), plain_name(3)], [(0, 3), (3, None)], [plain_name(0)]),
        ([sealed_name(0, 3, Codec.ZSTD), plain_name(0)], [(0, 3)], [plain_name(0)]),
        (
            [
                sealed_name(0, 6, Codec.ZSTD),
                sealed_name(0, 3, Codec.ZSTD),
                sealed_name(3, 6, Codec.ZSTD),
                plain_name(6),
            ],
            [(0, 6), (6, None)],
            [sealed_name(0, 3, Codec.ZSTD), sealed_name(3, 6, Codec.ZSTD)],
        ),
        ([sealed_name(3, 6, Codec.ZSTD), plain_name(6)], [(3, 6), (6, None)], []),
        ([sealed_name(0, 3, Codec.ZSTD), plain_name(6)], [(0, 3), (6, None)], []),
        ([plain_name(0), sealed_name(3, 6, Codec.ZSTD)], [(0, 3), (3, 6)], []),
    ],
)
def test_listing_by_example(
    directory: Path, present: list[str], parts: list[tuple[int, int | None]], redundant: list[str]
) -> None:
    """Each state of a directory means one history, and what stands twice is known."""
    touch(directory, *present)
    found = listing(directory)
    assert [(part.first, part.end) for part in found.parts] == parts
    assert [part.name for part in found.redundant] == redundant


def test_foreign_files_are_left_alone(directory: Path) -> None:
    """What is not named as ours is neither read nor removed, whatever is done to the set."""
    write_set(directory, 10)
    for name in FOREIGN:
        (directory / name).write_bytes(b"mine")
    (directory / "000000000099").mkdir()
    with open_set(directory, keep_records=1, max_records=100) as history:
        list(history.compress())
        list(history.compact())
        history.seal()
        list(history.prune())
        assert numbers(history) == [9]
    assert {(directory / name).read_bytes() for name in FOREIGN} == {b"mine"}
    assert (directory / "000000000099").is_dir()


def test_a_listing_that_misses_a_file_is_made_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory listed while a file changes its name still gives every line."""
    write_set(directory, 10, compressed=True)
    whole, looks = [path.name for path in directory.iterdir()], 0

    def missing_one(_path: str) -> list[str]:
        nonlocal looks
        looks += 1
        return [name for name in whole if looks > 1 or not name.startswith("000000000003")]

    monkeypatch.setattr("os.listdir", missing_one)
    with open_set(directory, on_damage="raise") as history:
        assert numbers(history) == list(range(10))
    assert looks > 1


LINES = 8 * SIZE


@st.composite
def states(draw: st.DrawFn) -> tuple[set[str], set[str]]:
    """Choose a history's files, then a state that merging and compressing them can be left in."""
    count = draw(st.integers(1, 8))
    present: set[str] = set()
    dead: set[str] = set()
    index = 0
    while index < count:
        width = draw(st.integers(1, count - index))
        first, end = index * SIZE, (index + width) * SIZE
        finest = {draw(st.sampled_from([plain_name(i * SIZE), sealed_name(i * SIZE, (i + 1) * SIZE, Codec.ZSTD)]))
                  for i in range(index, index + width)}  # fmt: skip
        merged = sealed_name(first, end, Codec.ZSTD)
        step = draw(st.sampled_from(["none", "temporary", "renamed"]))
        if step == "renamed":
            present |= {merged, *draw(st.sets(st.sampled_from(sorted(finest))))}
        else:
            present |= finest
            dead |= {temporary_name(merged)} if step == "temporary" else set()
        index += width
    return {*present, plain_name(count * SIZE)}, dead


@given(states())
@settings(max_examples=150, deadline=None)
def test_every_state_between_two_steps_is_the_same_history(state: tuple[set[str], set[str]]) -> None:
    """Whatever merging or compressing left, each line stands in exactly one part, and dead files are known as such."""
    check_state(*state)


def check_state(present: set[str], dead: set[str]) -> None:
    """List a directory of some files and check that it is one history."""
    with quick_directory() as directory:
        touch(directory, *present, *dead)
        found = read_listing(str(directory))
    assert set(found.dead) == dead
    assert {part.name for part in (*found.parts, *found.redundant)} == present
    assert found.is_without_gaps
    assert all(one.end == other.first for one, other in pairwise(found.parts))
    assert found.active == found.parts[-1]
    for number in range(found.parts[-1].first + 2):
        index = found.holding(number)
        assert index is not None
        assert [part for part in found.parts if part.first <= number and (part.end is None or number < part.end)] == [
            found.parts[index]
        ]


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_every_state_reads_as_the_same_history_and_is_finished(data: st.DataObject) -> None:
    """Whatever subset of redundant files a dead keeper left, all reads agree and the next keeper clears it away."""
    with quick_directory() as directory:
        plain, packed, merged = (directory / name for name in ("plain", "packed", "merged"))
        write_set(plain, 4 * SIZE + 1)
        write_set(packed, 4 * SIZE + 1)
        for source in plain.glob("*.jsonl"):
            shutil.copy(source, packed)
        with open_set(packed) as history:
            list(history.compress())
        shutil.copytree(packed, merged)
        with open_set(merged, max_records=2 * SIZE) as history:
            list(history.compact())
        work = directory / "work"
        shutil.copytree(data.draw(st.sampled_from([plain, packed, merged]), label="base"), work)
        others = [path for source in (plain, packed) for path in sorted(source.glob("0*.jsonl*"))]
        present = {path.name for path in work.iterdir()}
        active = plain_name(4 * SIZE)
        for path in data.draw(st.sets(st.sampled_from(others)), label="left"):
            if path.name not in present and path.name != active:
                shutil.copy(path, work)
        touch(work, temporary_name(sealed_name(0, SIZE, Codec.GZIP)))
        assert finish(work) == list(range(4 * SIZE + 1))


# The checks above can fail.


def test_a_part_that_counts_twice_is_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When redundant files are read as well, the comparison of reads notices."""
    write_set(directory, 4 * SIZE)
    with open_set(directory) as history:
        kept = {path: path.read_bytes() for path in directory.glob("*.jsonl")}
        list(history.compress())
        for path, content in kept.items():
            path.write_bytes(content)
        assert len(entries(history)) == 4 * SIZE
        chosen = layout._chosen

        def all_of_them(*given: object) -> layout.Listing:
            found = chosen(*given)  # type: ignore[arg-type] # the arguments are passed on as they came
            return layout.Listing(tuple(sorted((*found.parts, *found.redundant))), (), found.dead)

        monkeypatch.setattr(layout, "_chosen", all_of_them)
        with pytest.raises((AssertionError, IndexError)):
            check_state({sealed_name(0, 3, Codec.ZSTD), plain_name(0), plain_name(3)}, set())


@pytest.mark.parametrize("name", ["000000000000-999999999999.jsonl.zst", "999999999999.jsonl"])
def test_nothing_is_acknowledged_in_a_file_that_no_name_can_tell(directory: Path, name: str) -> None:
    """Where a file's name leaves no number for the next one, what is appended is refused, or found again."""
    write_set(directory, SIZE, compressed=True)
    first = directory / sealed_name(0, SIZE, Codec.ZSTD)
    if "-" in name:
        first.rename(directory / name)
    else:
        (directory / name).touch()
    kept = list(range(SIZE))
    for number in range(SIZE, SIZE + 3):
        with open_set(directory, max_records=1) as history:
            try:
                history.append(records([number])[0])
            except CorruptionError as error:
                assert name in str(error)  # noqa: PT017 - may be raised or not
            else:
                kept.append(number)
    with open_set(directory) as history:
        assert numbers(history) == kept
    assert not list(directory.glob("1000000000000*"))


@pytest.mark.parametrize("kind", ["directory", "link", "dangling link", "pipe"])
@pytest.mark.parametrize("name", ["lock", sealed_name(0, SIZE, Codec.ZSTD), plain_name(SIZE)])
def test_what_is_no_file_is_refused_at_once(directory: Path, name: str, kind: str) -> None:
    """What stands in a file's place and is none is named when the set is opened, whoever opens it; nothing waits."""
    write_set(directory, SIZE, compressed=True)
    path = directory / name
    content = path.read_bytes()
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(directory.parent / "elsewhere")
        if kind == "link":
            path.resolve().write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        open_set(directory)
