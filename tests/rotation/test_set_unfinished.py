"""Appends that never came to their end, in the files of a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.testing.samples import sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("codec", [None, "zstd", "gzip"])
def test_verify_tells_where_they_are(tmp_path: Path, codec: str | None) -> None:
    """What is left of a batch between others is shown to no reader, and verify() says behind which record it stands."""
    path = tmp_path / "set"
    with iterlog.open_history(tmp_path / "batch.jsonl") as batch:
        batch.extend([sample(i) for i in range(3)])
    begun = (tmp_path / "batch.jsonl").read_bytes().splitlines(keepends=True)[0]
    url = f"rotating://{path}?compress=off"
    with iterlog.open_history(url) as history:
        history.append(sample(0))
        history.append(sample(1))
    (plain,) = path.glob("*.jsonl")
    first, second = plain.read_bytes().splitlines(keepends=True)
    plain.write_bytes(first + begun + second)
    with iterlog.open_history(f"{url}&codec={codec or 'zstd'}") as history:
        assert isinstance(history, iterlog.SupportsRotation)
        if codec is not None:
            history.seal()
            assert len(list(history.compress())) == 1
        assert [record.iteration for record in history] == [0, 1]
        report = history.verify()
    assert [(fault.kind, fault.position) for fault in report.faults] == [
        (iterlog.FaultKind.UNFINISHED, iterlog.Position.of(1))
    ]
