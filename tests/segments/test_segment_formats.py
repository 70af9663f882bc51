"""Segments that earlier versions wrote, checked in as data, read for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from segment_files import CODECS, check_rows, plain_lines, segment

from iterlog.segments.build import build_footer
from iterlog.segments.footer import read_footer, read_head
from iterlog.segments.index import StoredIndex
from iterlog.segments.limits import Budget
from iterlog.segments.sealing import seal_bytes
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


@pytest.mark.parametrize("codec", CODECS)
def test_a_footer_names_its_place(codec: Codec) -> None:
    """What a segment was sealed as is read back with the footer and alone; older footers name no place."""
    sealed, footer = seal_bytes(PLAIN, codec=codec, begins_at=7_000)
    assert footer.begins_at == 7_000
    assert read_footer(BytesSource(sealed)) == footer
    assert segment(sealed).begins_at() == 7_000
    old = (DATA / f"format-1.jsonl{codec.suffix}").read_bytes()
    assert segment(old).begins_at() is None
    assert segment(old[:-20]).begins_at() is None
    assert segment(old[:-1] + b"\0").begins_at() is None


def earlier(kind: type[msgspec.Struct], *, array_like: bool) -> type[msgspec.Struct]:
    """Return what footers were read as before they named a place."""
    fields = [(name, Any) for name in kind.__struct_fields__ if name != "begins_at"]
    return msgspec.defstruct(f"Earlier{kind.__name__}", fields, array_like=array_like)


def test_earlier_readers_read_a_footer_that_names_its_place() -> None:
    """The place is one more field of the same version, which readers that do not know it pass over."""
    sealed, _ = seal_bytes(PLAIN, begins_at=7_000)
    head, footer = read_head(BytesSource(sealed)), read_footer(BytesSource(sealed))
    assert head is not None
    assert footer is not None
    assert isinstance(footer.index, StoredIndex)
    for now, array_like in ((head, True), (footer.index.stored, False)):
        was = msgspec.msgpack.decode(msgspec.msgpack.encode(now), type=earlier(type(now), array_like=array_like))
        for name in was.__struct_fields__:
            assert msgspec.msgpack.encode(getattr(was, name)) == msgspec.msgpack.encode(getattr(now, name))
