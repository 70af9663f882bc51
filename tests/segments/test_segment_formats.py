"""Segments that earlier versions wrote, checked in as data, read for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from segment_files import CODECS, check_rows, plain_lines, segment

from iterlog.segments.build import build_footer
from iterlog.segments.footer import read_footer
from iterlog.segments.limits import Budget
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from iterlog.segments.packing import Codec

DATA = Path(__file__).parent / "data"
PLAIN = (DATA / "format-1.jsonl").read_bytes()
"""Numbers of every kind, damaged lines, another program's line, a batch, half of one, a number stored twice."""


@pytest.mark.parametrize("codec", CODECS)
def test_the_first_segments_give_their_lines(codec: Codec) -> None:
    """A segment as the first version wrote it gives back every byte, and the lines that readers are shown."""
    sealed = (DATA / f"format-1.jsonl{codec.suffix}").read_bytes()
    assert b"".join(segment(sealed).chunks()) == PLAIN
    shown = [line for _, line in segment(sealed).lines()]
    assert shown == [line for line in plain_lines(PLAIN) if b'"iteration":44' not in line]
    assert [line for _, line in segment(sealed).lines_back()] == shown[::-1]


@pytest.mark.parametrize("codec", CODECS)
def test_the_first_footers_say_what_the_lines_say(codec: Codec) -> None:
    """A footer as the first version wrote it reads as what is made of the same lines today."""
    sealed = (DATA / f"format-1.jsonl{codec.suffix}").read_bytes()
    footer = read_footer(BytesSource(sealed))
    assert footer is not None
    check_rows([line for _, line in segment(sealed).lines()], footer)
    made = build_footer([PLAIN], Budget())
    assert footer == replace(made, packed_size=footer.packed_size, packed_end=footer.packed_end)
    assert (footer.count, footer.line_of(30), footer.line_of(44)) == (45, 44, None)
