"""Backends of others: found by their entry point, held to the contract, and kept off the built-in schemes."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from back_doors import changed
from fake_distribution import example_of_the_guide, install

import iterlog
from iterlog import backends
from iterlog.reader import HistoryReader
from iterlog.testing import HistoryStoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iterlog.testing.contract.base import Corrupt


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on sys.path to install fake distributions in."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    return directory


@pytest.fixture(scope="module")
def folder_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The example of the guide, installed as a distribution of its own."""
    directory = tmp_path_factory.mktemp("site")
    install(
        directory,
        "folder_history",
        {"folder": "folder_history:FolderHistory"},
        folder_history=example_of_the_guide(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        yield
    del sys.modules["folder_history"]


@pytest.mark.usefixtures("folder_backend")
class TestFolderHistory(HistoryStoreContract):
    """The example of the guide, found by its entry point, keeps the contract; its appends are atomic, so never torn."""

    machine_examples = 20  # each of its appends waits for the disk three times

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """A folder that does not exist yet."""
        return f"folder://{tmp_path}/history"

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        """Change a byte in the middle of a line."""
        return corrupt_folder

    def test_scheme_is_served_by_the_entry_point(self, url: str) -> None:
        """Nobody registered the backend: the scheme leads to the class that the distribution names."""
        with iterlog.open_history(url) as history:
            module = importlib.import_module("folder_history")
            assert type(history) is module.FolderHistory

    def test_unreadable_folder_is_no_empty_history(self, url: str) -> None:
        """A file in place of the folder is an error and not an empty history."""
        Path(url.removeprefix("folder://")).write_text("no folder")
        with iterlog.open_history(url) as history:
            with pytest.raises(iterlog.UnavailableError):
                list(history)
            with pytest.raises(iterlog.UnavailableError):
                history.save(code=None, metrics={}, feedback="")


def corrupt_folder(url: str, index: int) -> None:
    """Change a byte in the middle of a line, counted through all files of a folder."""
    for path in sorted(Path(url.removeprefix("folder://")).glob("*.jsonl")):
        lines = path.read_bytes().split(b"\n")
        count = len(lines) - 1
        if index < count:
            lines[index] = changed(lines[index])
            path.write_bytes(b"\n".join(lines))
            return
        index -= count


def test_entry_point_cannot_take_a_built_in_scheme(site: Path) -> None:
    """A distribution that offers memory, file and jsonl is not even imported for them."""
    usurper = "usurping_history:Usurper"
    install(
        site,
        "usurping_history",
        {"memory": usurper, "file": usurper, "jsonl": usurper},
        usurping_history="raise SystemExit('imported')",
    )
    with iterlog.open_history("memory://usurped") as history:
        history.save(code=None, metrics={}, feedback="")
    with iterlog.open_history(site / "history.jsonl") as history:
        history.save(code=None, metrics={}, feedback="")
        assert len(history) == 1
    assert "usurping_history" not in sys.modules


def test_register_backend_cannot_take_a_built_in_scheme() -> None:
    """Registering a backend of one's own for a built-in scheme is refused."""
    with pytest.raises(iterlog.ConfigError, match="memory"):
        iterlog.register_backend("memory", "somewhere:Else")


@pytest.mark.parametrize(
    ("name", "target", "source"),
    [
        ("absent-module", "no_such_history:Store", ""),
        ("absent-class", "absent_class:Store", ""),
        ("syntax-error", "syntax_error:Store", "class Store(:"),
        ("failing-import", "failing_import:Store", "raise RuntimeError('no licence')"),
        ("not-a-store", "not_a_store:Store", "class Store: ..."),
        ("not-a-class", "not_a_class:Store", "def Store(url): ..."),
    ],
)
def test_broken_entry_point_is_a_config_error(site: Path, name: str, target: str, source: str) -> None:
    """An entry point that leads to nothing usable is a ConfigError that names the scheme."""
    install(site, name, {name: target}, **{name.replace("-", "_"): source})
    with pytest.raises(iterlog.ConfigError, match=name):
        iterlog.open_history(f"{name}:///anywhere")


def test_missing_dependency_of_a_backend_keeps_its_own_message(site: Path) -> None:
    """A backend that says on import which package is missing is not drowned in a general message."""
    source = "import iterlog\nraise iterlog.MissingDependencyError('pip install the-other-half')"
    install(site, "half_history", {"half": "half_history:Half"}, half_history=source)
    with pytest.raises(iterlog.MissingDependencyError, match="the-other-half"):
        iterlog.open_history("half:///anywhere")


def test_two_distributions_for_one_scheme_are_refused(site: Path) -> None:
    """Which of two installed packages would win is nobody's guess: both are named."""
    install(site, "first_history", {"twice": "first_history:Store"}, first_history="")
    install(site, "second_history", {"twice": "second_history:Store"}, second_history="")
    with pytest.raises(iterlog.ConfigError, match=r"first_history.*second_history"):
        iterlog.open_history("twice:///anywhere")


def test_class_that_takes_a_private_name_is_refused() -> None:
    """A backend whose own method is called as something of the interface's inside is told when the class is made."""
    with pytest.raises(TypeError, match="_report_dropped"):
        type("Clashing", (iterlog.HistoryStore,), {"_report_dropped": lambda _self: None})
    with pytest.raises(TypeError, match="append"):
        type("Overriding", (iterlog.HistoryStore,), {"append": lambda _self, _record: None})


def test_the_guide_names_every_hook_and_ability() -> None:
    """Whatever a backend may write is in the guide, and the guide names no method that there is not."""
    guide = (backends.__doc__ or "").partition("A whole one")[0]
    abilities = [value for name in iterlog.__all__ if name.startswith("Supports") and (value := getattr(iterlog, name))]
    hooks = {
        name
        for cls in (*HistoryReader.__mro__, iterlog.HistoryStore, *abilities)
        for name, member in vars(cls).items()
        if re.match(r"_[a-z]", name) and inspect.isfunction(member) and not getattr(member, "__final__", False)
    }
    assert {"_append", "_scan", "_scan_for", "_take_over"} <= hooks
    assert {name for name in hooks if f"{name}(" not in guide} == set()
    assert set(re.findall(r"``(_[a-z]\w*)\(", guide)) <= hooks
    assert [ability.__name__ for ability in abilities if f"`iterlog.{ability.__name__}`" not in guide] == []
