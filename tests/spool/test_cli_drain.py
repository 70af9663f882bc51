"""`iterlog drain`, and what `iterlog stats` tells of a spool."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from away_history import Place, Weather, make_place, record
from click.testing import CliRunner

import iterlog
from iterlog.cli.app import app
from iterlog.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A history of which two records wait in its spool, the store being away."""
    for found in make_place(tmp_path, monkeypatch):
        with found.open() as history:
            history.append(record(0))
            history.drain()
            found.let(Weather.AWAY)
            history.append(record(1))
            history.append(record(2))
        yield found


def call(*words: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def test_drain_stores_what_waits(place: Place) -> None:
    """While the store is away the exit code says so and everything goes on waiting; later it is stored, once."""
    result = call("drain", "--json", "--spool", place.spool, place.url)
    assert result.exit_code == ExitCode.STORAGE
    told = json.loads(result.stdout)
    assert (told["drained"], told["records"], told["state"]) == (0, 2, "away")
    assert "no route" in told["error"]
    assert place.stored() == [0]
    place.let(Weather.FAIR)
    result = call("drain", "--spool", place.spool, place.url)
    assert (result.exit_code, place.stored()) == (0, [0, 1, 2])
    assert "0 wait" in result.stdout
    told = json.loads(call("drain", "--json", f"{place.url}?spool={place.spool}").stdout)
    assert (told["drained"], told["records"], told["state"]) == (0, 0, "through")


def test_drain_finds_the_spool_of_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a directory the spool is that of spool=true; a history without one has nothing to drain."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "history.jsonl"
    assert json.loads(call("drain", "--json", path).stdout)["records"] == 0
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("iterlog.spool.worker.Worker._start", lambda _self: None)
    with iterlog.open_history(path, spool=True) as history:
        history.append(record(0))
    assert not path.exists()
    assert call("drain", path).exit_code == 0
    assert len(path.read_bytes().splitlines()) == 1
    assert call("drain", f"{path}?spool=false").exit_code == ExitCode.USAGE


def test_stats_shows_the_backlog(place: Place) -> None:
    """`iterlog stats` tells how the spool stands, also while the store cannot be asked for anything else."""
    url = f"{place.url}?spool={place.spool}"
    result = call("stats", "--json", url)
    assert result.exit_code == ExitCode.STORAGE
    assert json.loads(result.stdout)["spool"]["records"] == 2
    result = call("stats", url)
    assert "waiting" in result.stdout
    assert str(place.spool) in result.stdout
    place.let(Weather.FAIR)
    call("drain", url)
    result = call("stats", "--json", url)
    told = json.loads(result.stdout)
    assert (told["records"], told["spool"]["state"], told["spool"]["records"]) == (3, "through", 0)
    assert "through" in call("stats", url).stdout


# where a spool is


def test_spools_in_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """spool=true is one private directory per history, however its path is written; another is another."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    paths = set()
    for url in ("run.jsonl?spool=1", f"{tmp_path}/run.jsonl?spool=yes", f"jsonl://{tmp_path}/x/../run.jsonl?spool=on"):
        with iterlog.open_history(url) as history:
            assert isinstance(history, iterlog.SupportsSpool)
            history.append(record(0))
            paths.add(history.spool.path)
    assert len(paths) == 1
    found = Path(paths.pop())
    assert found.parent == tmp_path / "state" / "iterlog" / "spool"
    assert found.stat().st_mode & 0o077 == 0
    with iterlog.open_history("other.jsonl", spool=True) as history:
        assert isinstance(history, iterlog.SupportsSpool)
        assert history.spool.path != str(found)


def test_a_state_directory_of_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another user could have put records, no spool is begun."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "iterlog").mkdir()
    (tmp_path / "iterlog").chmod(0o777)
    with pytest.raises(iterlog.UnavailableError, match="others"):
        iterlog.open_history(tmp_path / "run.jsonl", spool=True)


def test_a_spool_belongs_to_one_history(place: Place, tmp_path: Path) -> None:
    """The spool of another history, a directory with something else, and no path at all are refused; false is none."""
    with pytest.raises(iterlog.ConfigError, match="spool"):
        iterlog.open_history(tmp_path / "another.jsonl", spool=place.spool)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with (
        iterlog.open_history(tmp_path / "another.jsonl", spool=tmp_path / "full") as history,
        pytest.raises(iterlog.ConfigError, match=r"thesis\.tex"),
    ):
        history.append(record(0))
    for nonsense in ("", 3.5, b"bytes"):
        with pytest.raises(iterlog.ConfigError, match="spool"):
            iterlog.open_history(tmp_path / "another.jsonl", spool=nonsense)
    with iterlog.open_history(tmp_path / "another.jsonl", spool=False) as history:
        assert not isinstance(history, iterlog.SupportsSpool)
    with pytest.raises(iterlog.ConfigError, match="batch_records"):
        iterlog.open_history("fsspec+memory://bucket/run?batch_records=9", spool=tmp_path / "spool")


def test_importing_iterlog_imports_no_spool() -> None:
    """Who uses no spool does not pay for one."""
    import subprocess  # noqa: PLC0415 - for this test alone

    program = "import iterlog, sys; iterlog.open_history('memory://x'); print([m for m in sys.modules if 'spool' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
