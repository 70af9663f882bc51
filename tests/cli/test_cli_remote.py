"""The command line on histories in object stores: each command does it or says why not, and its exit code tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli_helpers import call
from many_commits import put_commits
from places import history_url
from servers.process import HOST, free_port

import iterlog
from iterlog.cli.exits import ExitCode

if TYPE_CHECKING:
    from servers import Place


@pytest.fixture
def url(s3: Place) -> str:
    """A history of three records."""
    url = history_url(s3)
    with iterlog.open_history(url) as history:
        for i in range(3):
            history.save(code=f"x = {i}", metrics={"loss": i}, feedback=f"after {i}")
    return url


@pytest.mark.parametrize("command", ["show", "cat", "tail", "last", "get 1", "stats", "verify", "repair", "resume"])
def test_commands_that_read_do_so(command: str, url: str) -> None:
    """They work on a bucket as on a file."""
    result = call(*command.split(), url)
    assert result.exit_code == ExitCode.OK, result.stderr


def test_an_appended_record_is_there(url: str) -> None:
    """``append`` stores, ``get`` finds."""
    assert call("append", "-", url, stdin='{"code": "x = 3", "metrics": {}, "feedback": ""}').exit_code == ExitCode.OK
    assert json.loads(call("get", "3", "--json", url).stdout)["code"] == "x = 3"


def test_stats_tell_what_they_cost(url: str) -> None:
    """Requests and bytes, for people and for programs."""
    assert "3 to read" in call("stats", url).stdout
    told = json.loads(call("stats", "--json", url).stdout)["requests"]
    assert (told["gets"], told["puts"]) == (3, 0)
    assert told["bytes_received"] > 0


def test_compact_seals_what_no_writer_sealed(s3: Place) -> None:
    """A full bucket of commits becomes a segment, and a dry run says so before."""
    put_commits(s3, range(1001))
    dry = call("compact", "--dry-run", "--json", history_url(s3))
    assert s3.back_door.names("runs/seg/") == []
    done = call("compact", "--json", history_url(s3))
    for result in (dry, done):
        assert result.exit_code == ExitCode.OK, result.stderr
        step = json.loads(result.stdout)
        assert (step["file"], step["from"], step["to"]) == ("seg/0000000000.jsonl.zst", 0, 1000)
    assert s3.back_door.names("runs/seg/") == ["runs/seg/0000000000.jsonl.zst"]
    assert call("compact", history_url(s3)).stdout == ""


@pytest.mark.parametrize("command", ["seal", "compress", "prune --keep-records 1"])
def test_what_only_sets_can_do_is_refused_with_what_to_do(command: str, url: str) -> None:
    """The message names the command that does it there."""
    result = call(*command.split(), url)
    assert (result.exit_code, result.stdout) == (ExitCode.ERROR, "")
    assert "iterlog compact" in result.stderr


def test_segments_are_not_recompressed(url: str) -> None:
    """They are never changed, and ``compact --recompress`` says so instead of passing it over."""
    result = call("compact", "--recompress", url)
    assert (result.exit_code, result.stdout) == (ExitCode.ERROR, "")
    assert "recompress" in result.stderr


@pytest.mark.parametrize("command", ["show", "last", "stats", "verify", "compact"])
def test_exit_codes_tell_what_is_wrong_with_the_store(
    command: str, s3: Place, rclone_s3: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bucket or history missing is 3, store away or access denied is 5, a wrong option is 2; one line each."""
    expected = {
        history_url(s3).replace(s3.bucket, "iterlog-of-nobody"): ExitCode.NOT_FOUND,
        history_url(s3): ExitCode.NOT_FOUND,
        history_url(s3.through(f"{HOST}:{free_port()}")): ExitCode.STORAGE,
        f"{history_url(s3)}&fs.nonsense=1": ExitCode.USAGE,
    }
    for url, code in expected.items():
        result = call(command, url)
        assert (result.exit_code, result.stdout) == (code, ""), result.stderr
        assert len(result.stderr.splitlines()) == 1
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    result = call(command, history_url(rclone_s3))
    assert (result.exit_code, result.stdout) == (ExitCode.STORAGE, "")
    assert "secret" in result.stderr
