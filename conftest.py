"""What holds for all tests: README's Python blocks run, object stores are fixtures, nobody's own directory is used."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["servers.fixtures"]


def pytest_configure() -> None:
    """Let Ctrl-C reach the tests: started in a shell's background, they and their processes would ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have copies note where they stand in a directory of this run's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def _enter_empty_directory(namespace: dict[str, Any]) -> None:
    namespace["_home"], namespace["_directory"] = Path.cwd(), tempfile.TemporaryDirectory()
    namespace["_url"] = os.environ.pop("ITERLOG_URL", None)
    namespace["_state"] = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = namespace["_directory"].name
    os.chdir(namespace["_directory"].name)


def _leave_it(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_home"])
    namespace["_directory"].cleanup()
    del os.environ["XDG_STATE_HOME"]
    if namespace["_state"] is not None:
        os.environ["XDG_STATE_HOME"] = namespace["_state"]
    if namespace["_url"] is not None:
        os.environ["ITERLOG_URL"] = namespace["_url"]


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md"],
    setup=_enter_empty_directory,
    teardown=_leave_it,
).pytest()
