"""Hostile segments end in a CorruptionError, within 5 seconds of CPU and 512 MB of memory."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import msgspec
import pytest
import zstandard
from segment_files import CODECS, loop_of, plain_lines, tiny

from iterlog.segments import frames, members
from iterlog.segments.head import FooterHead, head_bytes
from iterlog.segments.sealing import seal_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from iterlog.segments.packing import Packing

READER = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (512_000_000, 512_000_000))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
from iterlog import CorruptionError
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import FileSource

segment = SealedSegment(FileSource(os.open(sys.argv[1], os.O_RDONLY)))
lines, error = 0, None
try:
    if sys.argv[2] == "footer":
        footer = segment.footer()
        if footer is not None:
            footer.offsets, footer.iterations, footer.timestamps, footer.successes, footer.code_hashes, footer.damage
            dict(footer.metrics)
    else:
        for _ in segment.lines() if sys.argv[2] == "lines" else segment.lines_back():
            lines += 1
except CorruptionError as damage:
    error = damage.message
print(json.dumps([lines, error]))
"""

MIB = 1 << 20
EMPTY_FRAME = zstandard.ZstdCompressor(write_checksum=True).compress(b"")
EMPTY_MEMBER = gzip.compress(b"", mtime=0)


def zstd_run(byte: bytes, blocks: int) -> bytes:
    """Make a zstd frame of one byte repeated: 128 KiB for every four bytes of it."""
    block = (1 << 17) << 3 | 1 << 1
    body = b"".join((block | (i == blocks - 1)).to_bytes(3, "little") + byte for i in range(blocks))
    return b"\x28\xb5\x2f\xfd\x00\x38" + body


def gzip_run(unit: bytes, times: int) -> bytes:
    """Make gzip members of 16 MiB of repeated bytes each."""
    return gzip.compress(unit * (16 * MIB // len(unit)), mtime=0) * times


def zstd_lines(line: bytes) -> bytes:
    """Make a zstd frame of 64 MiB of one line repeated."""
    return zstandard.ZstdCompressor().compress(line * (64 * MIB // len(line)))


def lying_size(size: int) -> bytes:
    """Make a zstd frame of a few bytes whose header says that it holds many."""
    return b"\x28\xb5\x2f\xfd\xc0\x38" + struct.pack("<Q", size) + zstd_run(b"a", 1)[6:]


def read_limited(path: Path, what: str) -> tuple[int, str | None]:
    """Read a segment in a process with little memory and time; return the lines read and the error they end in."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path), what], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{what}: killed or out of memory: {done.stderr[-500:]}"
    lines, error = json.loads(done.stdout)
    return lines, error


BOMBS: dict[str, Callable[[], bytes]] = {
    "zstd, NULs": lambda: zstd_run(b"\0", 100_000),
    "zstd, newlines": lambda: zstd_run(b"\n", 100_000),
    "zstd, spaces": lambda: zstd_run(b" ", 100_000),
    "zstd, blank lines": lambda: zstd_lines(b" \n") * 20,
    "zstd, short lines": lambda: zstd_lines(b"{}\n") * 20,
    "zstd, spread short lines": lambda: zstd_lines(b"\n\n\n{}\n\n") * 20,
    "zstd, records": lambda: zstd_lines(b'{"iteration":1,"code":null,"metrics":{}}\n') * 20,
    "zstd, a bomb behind a segment": lambda: seal_bytes(tiny())[0] + zstd_run(b"\n", 100_000),
    "zstd, a window of 2 TiB": lambda: b"\x28\xb5\x2f\xfd\x00\xf8" + zstd_run(b"a", 1)[6:],
    "zstd, a window of 256 MiB": lambda: b"\x28\xb5\x2f\xfd\x00\x90" + zstd_run(b"a", 1)[6:],
    "zstd, a size of 4 EiB": lambda: lying_size(1 << 62),
    "zstd, a size that is too large": lambda: lying_size((1 << 17) + 1),
    "zstd, a size that is too small": lambda: lying_size((1 << 17) - 1),
    "zstd, a window as large as the size": lambda: b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40) + bytes(64),
    "zstd, empty frames": lambda: EMPTY_FRAME * 100_000,
    "zstd, empty skippable frames": lambda: b"\x50\x2a\x4d\x18\0\0\0\0" * 100_000,
    "zstd, a skippable frame of 4 GiB": lambda: seal_bytes(tiny())[0] + b"\x51\x2a\x4d\x18\xff\xff\xff\xff",
    "zstd, a dictionary": lambda: b"\x28\xb5\x2f\xfd\x01\x38\x07" + zstd_run(b"a", 1)[6:],
    "gzip, NULs": lambda: gzip_run(b"\0", 1000),
    "gzip, newlines": lambda: gzip_run(b"\n", 1000),
    "gzip, blank lines": lambda: gzip_run(b" \n", 1000),
    "gzip, short lines": lambda: gzip_run(b"{}\n", 1000),
    "gzip, empty members": lambda: EMPTY_MEMBER * 100_000,
    "gzip, a name without end": lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * (64 * MIB),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_a_corruption_error(tmp_path: Path, bomb: str) -> None:
    """No segment, however it was made, takes a reader's memory or its day; it is told as damage."""
    (tmp_path / "bomb").write_bytes(BOMBS[bomb]())
    lines, error = read_limited(tmp_path / "bomb", "lines")
    assert error is not None
    if "behind a segment" in bomb:
        assert lines == len(plain_lines(tiny()))


@pytest.mark.parametrize("bomb", ["zstd, NULs", "zstd, spread short lines", "zstd, records", "gzip, newlines"])
def test_a_bomb_read_backwards_is_a_corruption_error(tmp_path: Path, bomb: str) -> None:
    """What is kept in memory for reading backwards is bounded too."""
    (tmp_path / "bomb").write_bytes(BOMBS[bomb]())
    assert read_limited(tmp_path / "bomb", "lines_back")[1] is not None


@pytest.mark.parametrize("unit", [zstandard.ZstdCompressor().compress(b"{}\n"), gzip.compress(b"{}\n", mtime=0)])
def test_many_small_parts_are_read(tmp_path: Path, unit: bytes) -> None:
    """A file of 100,000 frames or members with a line each is no bomb, and is read in the same time and memory."""
    (tmp_path / "many").write_bytes(unit * 100_000)
    assert read_limited(tmp_path / "many", "lines") == (100_000, None)


@pytest.mark.parametrize("codec", CODECS)
def test_an_ordinary_segment_is_read(tmp_path: Path, codec: object) -> None:
    """The limits of these tests leave room for what they do not mean."""
    sealed, _ = seal_bytes(loop_of(1000), codec=next(found for found in CODECS if found is codec))
    (tmp_path / "sealed").write_bytes(sealed)
    for what in ("lines", "lines_back"):
        assert read_limited(tmp_path / "sealed", what) == (1000, None)
    assert read_limited(tmp_path / "sealed", "footer") == (0, None)


def with_footer(packing: Packing, packed: bytes, *, length: int | None = None) -> bytes:
    """Make a file that ends in a footer of some bytes, its checksum right."""
    size = len(packed) if length is None else length
    return packing.wrap_footer(packed + struct.pack("<II", zlib.crc32(packed), size) + b"iterlog1")


def index_of(count: int) -> dict[str, object]:
    """Make the columns of so many damaged lines."""
    numbers = {"kind": "int", "values": bytes(8 * count)}
    return {
        "offsets": numbers,
        "iterations": numbers,
        "timestamps": numbers,
        "successes": {"kind": "bool", "values": bytes(count)},
        "code_hashes": {"kind": "hash", "values": bytes(8 * count)},
    }


def stored_footer(**changes: object) -> bytes:
    """Make a compressed footer of no lines, but for some changes."""
    stored = {
        "version": 1,
        "plain_size": 0,
        "plain_sha256": b"",
        "count": 0,
        "records": 0,
        "first_iteration": None,
        "last_iteration": None,
        "highest_iteration": None,
        "earliest": None,
        "latest": None,
        "damage": b"",
        "packed_size": 0,
        "packed_end": b"",
        "all_metrics": True,
        "index": index_of(0),
        "metrics": [],
        **changes,
    }
    return zstandard.compress(msgspec.msgpack.encode(stored))


FOOTER_BOMBS: dict[str, Callable[[], bytes]] = {
    "no zstd": lambda: b"no zstd",
    "no msgpack": lambda: zstandard.compress(b"\xc1"),
    "NULs": lambda: zstd_run(b"\0", 100_000),
    "a size of 4 EiB": lambda: lying_size(1 << 62),
    "a size of 64 MiB": lambda: lying_size(64 * MIB),
    "a longer one than there may be": lambda: zstandard.compress(bytes(65 * MIB)),
    "a window of 2 TiB": lambda: b"\x28\xb5\x2f\xfd\x00\xf8" + zstd_run(b"a", 1)[6:],
    "deeply nested": lambda: zstandard.compress(b"\x91" * 60 * MIB),
    "an array of 4 billion": lambda: zstandard.compress(b"\xdd\xff\xff\xff\xff"),
    "a map of 4 billion": lambda: zstandard.compress(b"\xdf\xff\xff\xff\xff"),
    "many lines": lambda: stored_footer(count=1 << 62),
    "fewer lines than none": lambda: stored_footer(count=-1),
    "no columns": lambda: stored_footer(index={}),
    "a column of another length": lambda: stored_footer(metrics=[[b"m", {"kind": "int", "values": bytes(8)}]]),
    "a column that is none": lambda: stored_footer(metrics=[[b"m", {"kind": 7}]]),
    "a name that is no text": lambda: stored_footer(metrics=[[b"\xff", {"kind": "int", "values": b""}]]),
    "numbers beyond 64 bits": lambda: stored_footer(
        count=2,
        damage=bytes(2),
        index=index_of(2),
        metrics=[[b"m", {"kind": "delta", "values": b"\xff" * 14 + b"\x7f" * 2}]],
    ),
    "text for numbers": lambda: stored_footer(index={**index_of(0), "offsets": index_of(0)["code_hashes"]}),
    "a damage that is none": lambda: stored_footer(damage=b"\xff"),
    "a time beyond all years": lambda: stored_footer(earliest=1 << 62),
}


def head_of(count: int) -> bytes:
    """Make the head that a footer of some damaged lines has."""
    return head_bytes(FooterHead(1, count, 0, None, None, None, None, None, None, 0, b"", True, 0, b""))


@pytest.mark.parametrize("packing", [frames, members], ids=["zstd", "gzip"])
@pytest.mark.parametrize("head", [b"", head_of(0), head_of(2)], ids=["no head", "head of none", "head of two"])
@pytest.mark.parametrize("bomb", FOOTER_BOMBS)
def test_a_hostile_footer_is_a_corruption_error(tmp_path: Path, packing: Packing, head: bytes, bomb: str) -> None:
    """A footer with the right checksum and nonsense inside costs no memory, no time and no wrong answer."""
    (tmp_path / "bomb").write_bytes(with_footer(packing, FOOTER_BOMBS[bomb]() + head))
    assert read_limited(tmp_path / "bomb", "footer")[1] is not None


@pytest.mark.parametrize("count", [0, 2])
def test_what_hostile_footers_are_made_from_is_accepted(tmp_path: Path, count: int) -> None:
    """Each of the hostile footers fails for its own change, with the head that it should have or without."""
    plain = stored_footer(count=count, damage=bytes(count), index=index_of(count))
    for head, is_accepted in ((b"", True), (head_of(count), True), (head_of(count + 1), False)):
        (tmp_path / "empty").write_bytes(with_footer(frames, plain + head))
        lines, error = read_limited(tmp_path / "empty", "footer")
        assert (lines, error is None) == (0, is_accepted)


@pytest.mark.parametrize("packing", [frames, members], ids=["zstd", "gzip"])
@pytest.mark.parametrize("length", [0, 1 << 10, 1 << 24, (1 << 32) - 1])
def test_a_lying_footer_length_is_a_corruption_error(tmp_path: Path, packing: Packing, length: int) -> None:
    """A length that is not the footer's own is noticed before that much is read."""
    (tmp_path / "bomb").write_bytes(bytes(4096) + with_footer(packing, stored_footer(), length=length))
    assert read_limited(tmp_path / "bomb", "footer")[1] is not None
