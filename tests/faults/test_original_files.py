"""Files as the original code wrote them, crashes and all, open, verify, extend and resume."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from fault_files import numbers, numbers_at, record, torn_files

from iterlog import open_history
from iterlog.reports import FaultKind

if TYPE_CHECKING:
    from pathlib import Path


def original_line(number: int, **changes: Any) -> str:
    """Make a line as the original code did: json.dumps as it comes, a naive timestamp, no id and no checksum."""
    fields: dict[str, Any] = {
        "iteration": number,
        "timestamp": "2025-01-09T12:34:56.789012",
        "code": "def strategy(prices):\n    return 'é'",
        "code_hash": "ignored by readers of lines without a checksum",
        "metrics": {"sharpe_ratio": 1.25, "win_rate": math.nan, "max_drawdown": -math.inf},
        "feedback": f"after {number} → next",
        "used_fallback": False,
        "success": True,
        "error": None,
        **changes,
    }
    return json.dumps(fields)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Three lines of the original code, each ended with a newline."""
    path = tmp_path / "iteration_history.jsonl"
    path.write_text("".join(original_line(number) + "\n" for number in range(3)))
    return path


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """What the original code made of a crash: a torn line with the next record on the same line, then more."""
    path = tmp_path / "iteration_history.jsonl"
    path.write_text(original_line(0) + "\n" + original_line(1)[:70] + original_line(2) + "\n" + original_line(3) + "\n")
    return path


def test_fields_are_read(original: Path) -> None:
    """Every field of an original line is there, NaN literals as floats and the naive time as UTC."""
    with open_history(original) as history:
        last = history.last()
        assert last is not None
        assert (last.iteration, last.feedback, last.code) == (
            2,
            "after 2 → next",
            "def strategy(prices):\n    return 'é'",
        )
        assert math.isnan(last.metrics["win_rate"])
        assert last.metrics["max_drawdown"] == -math.inf
        assert last.timestamp is not None
        assert last.timestamp.isoformat() == "2025-01-09T12:34:56.789012+00:00"
        assert (last.id, last.used_fallback, last.success, last.error) == (None, False, True, None)


def test_verify_and_resume(original: Path) -> None:
    """Nothing of it counts as damage but a hash that is not the code's, and the loop goes on behind the last."""
    with open_history(original) as history:
        assert {fault.kind for fault in history.verify().faults} == {FaultKind.CODE_HASH}
        point = history.resume()
    assert (point.next_iteration, point.feedback, point.dropped) == (3, "after 2 → next", ())


def test_extend(original: Path) -> None:
    """Records of ours come behind the original ones, whose bytes stay as they are."""
    before = original.read_bytes()
    with open_history(original) as history:
        history.append(record(None))
        history.extend([record(None), record(None)])
        assert numbers(history) == [0, 1, 2, 3, 4, 5]
        assert [one.iteration for one in reversed(history)] == [5, 4, 3, 2, 1, 0]
    assert original.read_bytes().startswith(before)


def test_last_line_without_a_newline(original: Path) -> None:
    """A last line that lacks its newline is read before and after the first append, which does not join it."""
    original.write_bytes(original.read_bytes()[:-1])
    with open_history(original) as history:
        assert numbers(history) == [0, 1, 2]
        assert history.verify().records == 3
        history.append(record(None))
        assert numbers(history) == [0, 1, 2, 3]
    assert torn_files(original) == []


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_torn_last_line(original: Path, cut: int) -> None:
    """A last line that the original code left torn is set aside, and costs that record only."""
    torn = original.read_bytes().splitlines(keepends=True)[-1][: -1 - cut]
    original.write_bytes(original.read_bytes()[: -1 - cut])
    with open_history(original) as history:
        assert numbers(history) == [0, 1]
        point = history.resume()
        assert [found.kind for found in point.dropped] == [FaultKind.TORN]
        assert point.next_iteration == 2
        history.append(record(None))
        assert numbers(history) == [0, 1, 2]
    assert [found.read_bytes() for found in torn_files(original)] == [torn]


def test_torn_line_merged_with_the_next_record(merged: Path) -> None:
    """The record behind the torn one on the same line is saved, the torn one reported, and nothing rewritten."""
    before = merged.read_bytes()
    with open_history(merged) as history:
        assert numbers(history) == [0, 2, 3]
        assert len(history) == 3
        assert [fault.kind for fault in history.verify().faults if fault.kind is not FaultKind.CODE_HASH] == [
            FaultKind.JSON
        ]
        found = history.get(2)
        assert found is not None
        assert found.feedback == "after 2 → next"
        assert history.resume().next_iteration == 4
        history.append(record(None))
    assert merged.read_bytes().startswith(before)
    assert numbers_at(merged) == [0, 2, 3, 4]


def test_merged_line_at_the_end(merged: Path) -> None:
    """A merged line that is the last one counts for the next number with the record it ends in."""
    content = merged.read_bytes()
    merged.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    with open_history(merged) as history:
        last = history.last()
        assert last is not None
        assert last.iteration == 2
        assert history.resume().next_iteration == 3
        history.append(record(None))
        assert numbers(history) == [0, 2, 3]


def test_numbers_that_start_again(tmp_path: Path) -> None:
    """A file in which several runs each began at 0 is one history; the last line says where it goes on."""
    path = tmp_path / "iteration_history.jsonl"
    path.write_text("".join(original_line(number) + "\n" for number in (0, 1, 2, 0, 1)))
    with open_history(path) as history:
        assert numbers(history) == [0, 1, 2, 0, 1]
        assert history.resume().next_iteration == 2


def test_lines_of_other_programs(tmp_path: Path) -> None:
    """Blank lines, CRLF, a byte order mark and JSON that is no record are passed over or read, never lost."""
    path = tmp_path / "iteration_history.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + original_line(0).encode()
        + b"\r\n\r\n   \n"
        + b'{"level": "info"}\n[1, 2]\nnull\n"text"\n'
        + original_line(1, code=None, success=False, error="boom").encode()
        + b"\r\n"
    )
    before = path.read_bytes()
    with open_history(path) as history:
        assert numbers(history) == [0, 1]
        kinds = [fault.kind for fault in history.verify().faults]
        assert kinds.count(FaultKind.RECORD) == 4
        assert history.resume().next_iteration == 2
        history.append(record(None))
        assert numbers(history) == [0, 1, 2]
    assert path.read_bytes().startswith(before)


def test_empty_file(tmp_path: Path) -> None:
    """An empty file is a history without records."""
    path = tmp_path / "iteration_history.jsonl"
    path.touch()
    with open_history(path) as history:
        assert history.last() is None
        assert history.verify().ok
        assert history.resume().next_iteration == 0
        history.append(record(None))
    assert numbers_at(path) == [0]


@pytest.mark.parametrize("blank", [b"\n", b"\n\n \n", b" ", b"\r\n"])
def test_blank_file(tmp_path: Path, blank: bytes) -> None:
    """A file of nothing but blank lines takes records like an empty one."""
    path = tmp_path / "iteration_history.jsonl"
    path.write_bytes(blank)
    with open_history(path) as history:
        assert numbers(history) == []
        assert history.resume().next_iteration == 0
        history.append(record(None))
        assert numbers(history) == [0]
        assert [one.iteration for one in reversed(history)] == [0]
