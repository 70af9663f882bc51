"""The three functions every loop began with: the documented topics and usage patterns, as users write them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import iterlog
from iterlog import get_last_iteration_number, load_previous_feedback, loop, save_iteration_result

if TYPE_CHECKING:
    from collections.abc import Iterator

HISTORY_FILE = "iteration_history.jsonl"


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty directory, as a loop does that begins."""
    monkeypatch.delenv("ITERLOG_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    loop._close_all()


def lines() -> list[dict[str, Any]]:
    """Return what stands in the history file, line by line."""
    return [json.loads(line) for line in Path(HISTORY_FILE).read_text("utf-8").splitlines()]


# The eight documented topics


def test_basic_save_functionality() -> None:
    """A saved iteration is one line with all nine fields."""
    result = save_iteration_result(  # type: ignore[func-returns-value]  # that it returns nothing is part of it
        iteration=0,
        code="signal = 1",
        metrics={"sharpe_ratio": 1.5, "total_trades": 12},
        feedback="Raise the threshold",
    )
    assert result is None
    (line,) = lines()
    assert list(line)[:9] == [
        "iteration", "timestamp", "code", "code_hash", "metrics", "feedback", "used_fallback", "success", "error"
    ]  # fmt: skip
    assert (line["iteration"], line["code"], line["feedback"]) == (0, "signal = 1", "Raise the threshold")
    assert line["metrics"] == {"sharpe_ratio": 1.5, "total_trades": 12}
    assert (line["used_fallback"], line["success"], line["error"]) == (False, True, None)


def test_error_save_functionality() -> None:
    """A failed iteration is saved with its error, by position as well as by name."""
    save_iteration_result(3, "broken(", {}, "Fix the syntax", True, False, "SyntaxError: '(' was never closed")
    (line,) = lines()
    assert (line["used_fallback"], line["success"]) == (True, False)
    assert line["error"] == "SyntaxError: '(' was never closed"


def test_multiple_iterations() -> None:
    """Iterations stand in the file in the order they were saved."""
    for i in range(5):
        save_iteration_result(i, f"x = {i}", {"sharpe_ratio": i / 2}, f"feedback {i}")
    assert [line["iteration"] for line in lines()] == [0, 1, 2, 3, 4]
    assert [line["metrics"]["sharpe_ratio"] for line in lines()] == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_load_previous_feedback() -> None:
    """The last feedback comes back, a failed iteration's too; there is none at first."""
    assert load_previous_feedback() == ""
    save_iteration_result(0, "x", {}, "from a success")
    assert load_previous_feedback() == "from a success"
    save_iteration_result(1, "y", {}, "from a failure", success=False, error="boom")
    assert load_previous_feedback() == "from a failure"
    assert load_previous_feedback(successful_only=True) == "from a success"


def test_load_previous_feedback_without_a_success() -> None:
    """When every iteration failed, there is no successful one's feedback."""
    save_iteration_result(0, "y", {}, "from a failure", success=False, error="boom")
    assert load_previous_feedback(successful_only=True) == ""


def test_get_last_iteration_number() -> None:
    """The number of the last line; -1 without history."""
    assert get_last_iteration_number() == -1
    save_iteration_result(0, "x", {}, "")
    save_iteration_result(7, "x", {}, "")
    assert get_last_iteration_number() == 7


def test_code_hash_deduplication() -> None:
    """The same code has the same hash, another code another one, so that candidates can be told apart."""
    for i, code in enumerate(["a = 1", "a = 2", "a = 1"]):
        save_iteration_result(i, code, {}, "")
    hashes = [line["code_hash"] for line in lines()]
    assert hashes[0] == hashes[2] == hashlib.sha256(b"a = 1").hexdigest()
    assert len(set(hashes)) == 2
    seen: set[str] = set()
    fresh = [line["iteration"] for line in lines() if not (line["code_hash"] in seen or seen.add(line["code_hash"]))]  # type: ignore[func-returns-value]  # the idiom of a one-liner
    assert fresh == [0, 1]


def test_jsonl_format_validation() -> None:
    """Every line is one JSON object in UTF-8 and ends in a newline, whatever the code contains."""
    codes = ['print("a\\nb")\n', "é = '😀'\u2028", "\udc80", 'x = {"a": [1]}\r\n\t\0']
    for i, code in enumerate(codes):
        save_iteration_result(i, code, {"nan": float("nan"), "inf": float("inf")}, "line one\nline two")
    data = Path(HISTORY_FILE).read_bytes()
    assert data.endswith(b"\n")
    parsed = [json.loads(line.decode("utf-8")) for line in data.split(b"\n")[:-1]]
    assert [line["code"] for line in parsed] == codes
    assert parsed[0]["metrics"] == {"nan": "NaN", "inf": "Infinity"}


CRASHING_LOOP = """
import os, signal
from iterlog import get_last_iteration_number, load_previous_feedback, save_iteration_result
for i in range(get_last_iteration_number() + 1, 100):
    previous = load_previous_feedback()
    save_iteration_result(i, f"x = {i}", {"i": i}, f"{previous}{i},")
    if i == 4:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_crash_recovery_and_resume() -> None:
    """After SIGKILL, and with half a line behind the last, a new process goes on where the old one stood."""
    process = subprocess.run([sys.executable, "-c", CRASHING_LOOP], check=False)
    assert process.returncode == -9
    with Path(HISTORY_FILE).open("ab") as file:
        file.write(b'{"iteration":5,"timestamp":"2025-01-09T')
    assert get_last_iteration_number() == 4
    assert load_previous_feedback() == "0,1,2,3,4,"
    save_iteration_result(get_last_iteration_number() + 1, "x = 5", {}, load_previous_feedback() + "5,")
    assert [line["iteration"] for line in lines()] == [0, 1, 2, 3, 4, 5]
    assert load_previous_feedback() == "0,1,2,3,4,5,"
    (torn,) = Path().glob(f"{HISTORY_FILE}.torn-*")
    assert torn.read_bytes() == b'{"iteration":5,"timestamp":"2025-01-09T'


# The four usage patterns


def generate(feedback: str) -> str:
    """Stand for the model that writes the next candidate."""
    return f"threshold = {len(feedback) % 7}"


def evaluate(code: str) -> dict[str, float]:
    """Stand for the backtest."""
    namespace: dict[str, float] = {}
    exec(code, namespace)
    return {"sharpe_ratio": namespace["threshold"] / 2}


def test_pattern_normal_iteration_loop() -> None:
    """Generate, evaluate, write feedback, save, and hand the feedback to the next turn."""
    feedback = load_previous_feedback()
    for i in range(5):
        code = generate(feedback)
        metrics = evaluate(code)
        feedback = f"Iteration {i}: sharpe {metrics['sharpe_ratio']:.2f}, try a higher threshold"
        save_iteration_result(iteration=i, code=code, metrics=metrics, feedback=feedback)
    assert get_last_iteration_number() == 4
    assert load_previous_feedback() == feedback
    assert [evaluate(line["code"]) for line in lines()] == [line["metrics"] for line in lines()]


def test_pattern_crash_recovery_and_resume() -> None:
    """A loop that begins with the last number and the last feedback is indifferent to how often it is started."""

    def run(stop_before: int) -> None:
        start = get_last_iteration_number() + 1
        feedback = load_previous_feedback()
        for i in range(start, 6):
            if i == stop_before:
                raise KeyboardInterrupt
            feedback += f"{i} "
            save_iteration_result(i, f"x = {i}", {}, feedback)

    for stop_before in (2, 5, 99):
        try:
            run(stop_before)
        except KeyboardInterrupt:
            loop._close_all()
    assert load_previous_feedback() == "0 1 2 3 4 5 "
    assert [line["iteration"] for line in lines()] == list(range(6))


def test_pattern_error_handling_with_fallback() -> None:
    """A candidate that fails is saved as a failure that used the fallback, and its feedback reaches the next turn."""
    champion = "threshold = 2"
    feedback_seen = []
    for i, code in enumerate(["threshold = 3", "threshold = 1 / 0", "threshold = 5"]):
        feedback_seen.append(load_previous_feedback())
        try:
            metrics = evaluate(code)
            save_iteration_result(i, code, metrics, f"sharpe {metrics['sharpe_ratio']}")
        except ZeroDivisionError as e:
            metrics = evaluate(champion)
            save_iteration_result(
                iteration=i,
                code=champion,
                metrics=metrics,
                feedback=f"Previous iteration failed: {e}",
                used_fallback=True,
                success=False,
                error=str(e),
            )
    assert feedback_seen == ["", "sharpe 1.5", "Previous iteration failed: division by zero"]
    assert [(line["success"], line["used_fallback"], line["error"]) for line in lines()] == [
        (True, False, None),
        (False, True, "division by zero"),
        (True, False, None),
    ]


def test_pattern_historical_analysis() -> None:
    """The file is read with nothing but json: the list of ratios, the best iteration."""
    for i, ratio in enumerate([0.5, 2.0, float("nan"), 1.0]):
        save_iteration_result(i, f"x = {i}", {"sharpe_ratio": ratio}, "", success=ratio == ratio)  # noqa: PLR0124 - NaN
    history = []
    with open(iterlog.HISTORY_FILE, encoding="utf-8") as f:  # noqa: PTH123 - as users write it
        for line in f:
            history.append(json.loads(line))  # noqa: PERF401 - as users write it
    succeeded = [record for record in history if record["success"]]
    sharpe_ratios = [record["metrics"]["sharpe_ratio"] for record in succeeded]
    assert sharpe_ratios == [0.5, 2.0, 1.0]
    best = max(succeeded, key=lambda record: record["metrics"]["sharpe_ratio"])
    assert best["iteration"] == 1


def test_a_file_of_the_original_program_goes_on() -> None:
    """Lines without checksum, with naive times and NaN literals, are read and appended to, and stay as they are."""
    old = [
        {"iteration": i, "timestamp": "2025-01-09T12:34:56.789012", "code": "x", "code_hash": "0",
         "metrics": {"s": float("nan")},
         "feedback": f"old {i}", "used_fallback": False, "success": True, "error": None}
        for i in range(3)
    ]  # fmt: skip
    before = "".join(json.dumps(line) + "\n" for line in old)
    Path(HISTORY_FILE).write_text(before)
    assert (get_last_iteration_number(), load_previous_feedback()) == (2, "old 2")
    save_iteration_result(3, "y", {}, "new")
    assert Path(HISTORY_FILE).read_text().startswith(before)
    assert (get_last_iteration_number(), load_previous_feedback()) == (3, "new")
