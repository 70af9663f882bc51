"""Files beside a compressed one that holds their lines: cleared away only when it really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import iterlog
from iterlog.backends.rotating import RotatingHistory
from iterlog.rotation.keeping import Keeper
from iterlog.segments.segment import SealedSegment
from iterlog.segments.source import BytesSource

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PACKED = "000000000000-000000000004.jsonl.zst"
PLAIN = "000000000000.jsonl"


def compressed_set(directory: Path) -> bytes:
    """Make a set of one compressed file of five records; return its plain bytes."""
    with iterlog.open_history(f"rotating://{directory}?max_records=5&compress=inline") as history:
        for number in range(6):
            history.append({"iteration": number, "code": None, "metrics": {}, "feedback": ""})
    return b"".join(SealedSegment(BytesSource((directory / PACKED).read_bytes())).chunks())


def clear_away(directory: Path) -> None:
    """Have a keeper finish what others left."""
    with iterlog.open_history(directory) as history:
        assert isinstance(history, RotatingHistory)
        list(history.compress())
        assert len(history) == 6


def test_plain_file_with_the_same_lines_is_cleared_away(tmp_path: Path) -> None:
    """What a keeper left that died before its last step is removed by the next one."""
    plain = compressed_set(tmp_path / "set")
    (tmp_path / "set" / PLAIN).write_bytes(plain)
    clear_away(tmp_path / "set")
    assert not (tmp_path / "set" / PLAIN).exists()


def test_plain_file_with_other_lines_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file of the same name that holds a line more, or another one, is not removed, and is told of."""
    plain = compressed_set(tmp_path / "set")
    for other in (plain + b'{"iteration":777,"code":"unique"}\n', plain.replace(b'"iteration":3', b'"iteration":9')):
        (tmp_path / "set" / PLAIN).write_bytes(other)
        clear_away(tmp_path / "set")
        assert (tmp_path / "set" / PLAIN).read_bytes() == other
        assert PLAIN in caplog.text


def test_keeper_that_trusts_names_would_lose_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken variant: going by the names alone, the only copy of a line is removed."""
    plain = compressed_set(tmp_path / "set")
    (tmp_path / "set" / PLAIN).write_bytes(plain + b'{"iteration":777,"code":"unique"}\n')
    monkeypatch.setattr(Keeper, "_stands_in", lambda *_: True)
    clear_away(tmp_path / "set")
    assert not (tmp_path / "set" / PLAIN).exists()
