"""README's Python blocks run as tests, in order, in an empty directory; the object stores are fixtures everywhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_plugins = ["servers.fixtures"]


def _enter_empty_directory(namespace: dict[str, Any]) -> None:
    namespace["_home"], namespace["_directory"] = Path.cwd(), tempfile.TemporaryDirectory()
    namespace["_url"] = os.environ.pop("ITERLOG_URL", None)
    os.chdir(namespace["_directory"].name)


def _leave_it(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_home"])
    namespace["_directory"].cleanup()
    if namespace["_url"] is not None:
        os.environ["ITERLOG_URL"] = namespace["_url"]


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md"],
    setup=_enter_empty_directory,
    teardown=_leave_it,
).pytest()
