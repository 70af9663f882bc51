"""Files that the zstd and gzip command lines made read like ours, slower and without a footer."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest
import zstandard
from segment_files import CODECS, batch_of, line_of, loop_of, plain_lines, plain_of, segment, tiny, tool, what_reads

from iterlog.segments.footer import read_footer
from iterlog.segments.limits import MAX_EMPTY_PARTS
from iterlog.segments.packing import Codec
from iterlog.segments.sealing import seal_bytes, verify_sealed
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from pathlib import Path

SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\0\0\0hello"


def run(*command: str, data: bytes | None = None) -> bytes:
    """Run a tool and return what it writes."""
    return subprocess.run([tool(command[0]), *command[1:]], input=data, capture_output=True, check=True).stdout


def check_foreign(made: bytes, plain: bytes) -> None:
    """Check that a file of other making reads as its plain bytes do, every way."""
    lines = plain_lines(plain)
    assert what_reads(made) == (lines, None)
    assert [line for _, line in segment(made).lines_back()] == lines[::-1]
    assert segment(made).line(len(lines) - 1) == lines[-1]
    assert read_footer(BytesSource(made)) is None
    footer = segment(made).footer_of_lines()
    assert footer.count == len(lines)
    verify_sealed(BytesSource(made), footer.plain_sha256, footer.plain_size)
    offset = footer.offsets[1]
    assert offset is not None
    assert [line for _, line in segment(made).lines(offset)] == lines[1:]


@pytest.mark.parametrize("options", ["-1", "-3", "-19", "--no-check", "--long=27", "--ultra -22", "-T2 -B1MiB"])
def test_files_of_the_zstd_command_line(tmp_path: Path, options: str) -> None:
    """Any level, no checksum, long windows and several jobs: all read."""
    (tmp_path / "history.jsonl").write_bytes(loop_of(400))
    run("zstd", "-q", *options.split(), str(tmp_path / "history.jsonl"))
    check_foreign((tmp_path / "history.jsonl.zst").read_bytes(), loop_of(400))


@pytest.mark.parametrize("options", ["-3", "--no-check", "--long=27"])
def test_a_pipe_through_zstd(options: str) -> None:
    """A frame that does not say how long it becomes reads."""
    check_foreign(run("zstd", "-q", "-c", options, data=loop_of(100)), loop_of(100))


@pytest.mark.parametrize("options", ["-1", "-6", "-9", "-n", "-N"])
def test_files_of_the_gzip_command_line(tmp_path: Path, options: str) -> None:
    """Any level, with or without the name in the header: all read."""
    (tmp_path / "history.jsonl").write_bytes(loop_of(100))
    run("gzip", options, str(tmp_path / "history.jsonl"))
    check_foreign((tmp_path / "history.jsonl.gz").read_bytes(), loop_of(100))


@pytest.mark.parametrize("codec", CODECS)
def test_files_put_together(codec: Codec) -> None:
    """Files put together with ``cat`` are their lines in order: of the tools, of ours, of both, cut within a line."""
    name = codec.value
    plain = loop_of(90)
    cut = len(plain) // 3
    first, second = (run(name, "-c", data=part) for part in (plain[:cut], plain[cut:]))
    check_foreign(first + second, plain)
    ours = seal_bytes(plain[cut:], codec=codec)[0]
    check_foreign(ours + run(name, "-c", data=plain), plain[cut:] + plain)
    assert what_reads(first + ours) == (plain_lines(plain), None)


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_per_record_put_together(codec: Codec) -> None:
    """One frame or member per record, as a program that compresses each append writes them, reads."""
    compress = zstandard.ZstdCompressor().compress if codec is Codec.ZSTD else gzip.compress
    lines = [line_of(number) for number in range(500)]
    check_foreign(b"".join(compress(line + b"\n") for line in lines), plain_of(lines))


def test_skippable_frames_anywhere() -> None:
    """Skippable frames of other programs, before, between and behind, say nothing to us."""
    plain = tiny()
    first, second = (zstandard.ZstdCompressor().compress(part) for part in (plain[:100], plain[100:]))
    check_foreign(SKIPPABLE + first + SKIPPABLE * 3 + second + SKIPPABLE, plain)


@pytest.mark.parametrize("empty", [zstandard.ZstdCompressor().compress(b""), gzip.compress(b"")], ids=["zstd", "gzip"])
def test_empty_parts_are_passed_over(empty: bytes) -> None:
    """Some empty frames or members are nothing special; a file of nothing else is an empty history."""
    assert what_reads(empty) == ([], None)
    assert what_reads(empty * MAX_EMPTY_PARTS) == ([], None)
    assert what_reads(empty * (MAX_EMPTY_PARTS + 1))[1] is not None


@pytest.mark.parametrize("codec", CODECS)
def test_a_foreign_file_can_be_sealed_again(codec: Codec) -> None:
    """What another program compressed becomes a segment with a footer, its bytes and unfinished appends kept."""
    plain = plain_of([line_of(0), *batch_of(1, 2, 3)[:1], b"not a record", line_of(4)])
    foreign = run(codec.value, "-c", data=plain)
    sealed, footer = seal_bytes(b"".join(segment(foreign).chunks()), codec=codec)
    assert what_reads(sealed) == what_reads(foreign)
    assert footer.plain_sha256 == segment(foreign).footer_of_lines().plain_sha256
