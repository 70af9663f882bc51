"""Lines come out the same, however the plain bytes come and however many are split at a time."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_files import batch_of, line_of

from iterlog.files.lines_of import whole_appends
from iterlog.segments import splitting
from iterlog.segments.limits import FREE_LINES, MAX_LINE, BeyondLimitsError, Budget
from iterlog.segments.splitting import LineBlock, split_blocks, split_lines, whole_blocks

BATCH = batch_of(1, 2, 3)
LINES = st.sampled_from(
    [line_of(0), line_of(7, {"loss": 0.5}), *BATCH, BATCH[0][:40] + b"\x18", b"", b" \t", b"{}", b"torn\r", b"\0" * 40]
)


def pairs_of(blocks: list[LineBlock]) -> list[tuple[int, bytes]]:
    """Return the lines of blocks, each with the offset behind it."""
    return [pair for block in blocks for pair in zip(block.stops, block.lines, strict=True)]


def lines_of(data: bytes) -> list[tuple[int, bytes]]:
    """Split bytes in the plainest way."""
    found, offset = [], 0
    for line in data.split(b"\n"):
        offset += len(line) + 1
        if line.strip():
            found.append((offset, line))
    return found


@given(
    lines=st.lists(LINES, max_size=12), cuts=st.sets(st.integers(0, 3000)), piece=st.sampled_from([1, 7, 500, 1 << 18])
)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lines_do_not_depend_on_how_their_bytes_come(
    end: bytes, lines: list[bytes], cuts: set[int], piece: int
) -> None:
    """Blank lines are left out, offsets are those of the plain bytes, and half an append is not shown."""
    data = b"\n".join(lines) + end
    chunks = [
        data[start:stop] for start, stop in pairwise(sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)}))
    ]
    unfinished: list[tuple[int, int]] = []
    expected_unfinished: list[tuple[int, int]] = []
    with patch.object(splitting, "_PIECE", piece):
        split = list(split_lines(chunks, Budget()))
        blocks = list(whole_blocks(split_blocks(chunks, Budget()), lambda *broken: unfinished.append(broken)))
    assert split == lines_of(data)
    assert pairs_of(blocks) == list(whole_appends(lines_of(data), lambda *broken: expected_unfinished.append(broken)))
    assert unfinished == expected_unfinished


def test_a_cut_may_be_anywhere() -> None:
    """What takes half an append back, and what marks an append of several, are seen wherever a chunk ends."""
    data = b"\n".join(
        [line_of(0), BATCH[0][:40] + b"\x18", line_of(1), *BATCH, line_of(2), *BATCH[:1], line_of(3), b""]
    )
    expected = list(whole_appends(lines_of(data)))
    assert len(expected) == 7
    for cut in range(len(data)):
        blocks = split_blocks([data[:cut], data[cut:]], Budget())
        assert pairs_of(list(whole_blocks(blocks))) == expected


@pytest.mark.parametrize("line", [b"{}", b'{"iteration":1,"code":null}'])
def test_lines_are_given_up_to_the_one_too_many(line: bytes) -> None:
    """What a bomb holds within the limits is read, to the line, before it is refused."""
    read: list[tuple[int, bytes]] = []
    with pytest.raises(BeyondLimitsError):
        read.extend(split_lines([(line + b"\n") * (FREE_LINES + 50_000)], Budget()))
    assert len(read) == FREE_LINES


@pytest.mark.parametrize("size", [MAX_LINE, MAX_LINE + 1])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_has_a_longest_length(size: int, end: bytes) -> None:
    """The longest line there may be is read, and a byte more is refused, whether or not its newline has come."""
    chunks = [b"x" * (1 << 20)] * (size >> 20) + [b"x" * (size % (1 << 20)) + end]
    if size > MAX_LINE:
        with pytest.raises(BeyondLimitsError):
            list(split_lines(chunks, Budget.of_plain_file()))
    else:
        assert [len(line) for _, line in split_lines(chunks, Budget.of_plain_file())] == [size]
