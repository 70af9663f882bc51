"""Other people's tools read our segments as they stand, all records of them."""

from __future__ import annotations

import importlib
import os
import subprocess
from pathlib import Path  # noqa: TC003 - a NamedTuple's annotations are looked at
from typing import Any, NamedTuple

import pytest
from segment_files import CODECS, loop_of, tool

from iterlog.segments.packing import Codec
from iterlog.segments.sealing import seal_bytes

RECORDS = 700
EXPECTED = (RECORDS, sum(range(RECORDS)))


def library(name: str) -> Any:
    """Import a library of the test extra, or skip; on a build machine it must be there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{name} is not installed: pip install 'iterlog[test]'")


class Sealed(NamedTuple):
    """A segment in a file, and what it was made of."""

    path: Path
    plain: bytes


@pytest.fixture(scope="module", params=[(codec, metrics) for codec in CODECS for metrics in (6, 60)], ids=str)
def sealed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """A sealed segment of a loop, its footer short or of several hundred kilobytes."""
    codec, metrics = request.param
    plain = loop_of(RECORDS, metrics=metrics)
    path: Path = tmp_path_factory.mktemp("sealed") / f"000000000000-000000000699.jsonl{codec.suffix}"
    path.write_bytes(seal_bytes(plain, codec=codec)[0])
    return Sealed(path, plain)


def command_line(path: Path, what: str) -> subprocess.CompletedProcess[bytes]:
    """Run the codec's own tool on a segment."""
    commands = {
        (".zst", "test"): ["zstd", "-q", "-t"],
        (".zst", "cat"): ["zstd", "-q", "-dc"],
        (".gz", "test"): ["gzip", "-t"],
        (".gz", "cat"): ["zcat"],
    }
    name, *options = commands[path.suffix, what]
    return subprocess.run([tool(name), *options, str(path)], capture_output=True, check=False)


def test_the_command_line_finds_it_whole(sealed: Sealed) -> None:
    """``zstd -t`` and ``gzip -t`` accept the segment without a word."""
    done = command_line(sealed.path, "test")
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_command_line_gives_the_plain_bytes(sealed: Sealed) -> None:
    """``zstd -dc`` and ``zcat`` give the plain file, to the byte."""
    done = command_line(sealed.path, "cat")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == sealed.plain


def test_zstd_lists_one_frame_and_a_skippable_one(tmp_path: Path) -> None:
    """``zstd -l`` sees one frame with its size and checksum, and the footer beside it."""
    plain = loop_of(RECORDS)
    path = tmp_path / "sealed.jsonl.zst"
    path.write_bytes(seal_bytes(plain, codec=Codec.ZSTD)[0])
    listed = subprocess.run([tool("zstd"), "-l", "-v", str(path)], capture_output=True, text=True, check=True).stdout
    assert "# Zstandard Frames: 1" in listed
    assert "# Skippable Frames: 1" in listed
    assert "Check: XXH64" in listed
    assert f"({len(plain)} B)" in listed


def test_duckdb_reads_it(sealed: Sealed) -> None:
    """DuckDB counts every record."""
    duckdb = library("duckdb")
    with duckdb.connect() as connection:
        row = connection.execute("select count(*), sum(iteration) from read_json(?)", [str(sealed.path)]).fetchone()
    assert row == EXPECTED


def test_polars_reads_it(sealed: Sealed) -> None:
    """Polars counts every record, read and scanned."""
    polars = library("polars")
    for frame in (polars.read_ndjson(sealed.path), polars.scan_ndjson(sealed.path).collect()):
        assert (frame.height, frame["iteration"].sum()) == EXPECTED


def test_pyarrow_reads_it(sealed: Sealed) -> None:
    """Pyarrow counts every record; it finds the codec by the name."""
    json = library("pyarrow.json")
    # A block holds whole lines only.
    table = json.read_json(str(sealed.path), read_options=json.ReadOptions(block_size=1 << 24))
    assert (table.num_rows, sum(table["iteration"].to_pylist())) == EXPECTED


def test_pandas_reads_it(sealed: Sealed) -> None:
    """Pandas counts every record."""
    pandas = library("pandas")
    frame = pandas.read_json(sealed.path, lines=True)
    assert (len(frame), int(frame["iteration"].sum())) == EXPECTED


def test_python_reads_it(sealed: Sealed) -> None:
    """The standard library's gzip and python-zstandard's open read every line."""
    if sealed.path.suffix == ".gz":
        gzip = importlib.import_module("gzip")
        with gzip.open(sealed.path) as file:
            assert sum(1 for _ in file) == RECORDS
    else:
        zstandard = importlib.import_module("zstandard")
        with zstandard.open(sealed.path, "rb") as file:
            assert file.read() == sealed.plain
