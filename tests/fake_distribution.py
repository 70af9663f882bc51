"""Packages that look installed: a module and its metadata in a directory of ``sys.path``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import iterlog.backends

if TYPE_CHECKING:
    from pathlib import Path


def install(site: Path, name: str, entry_points: dict[str, str], **modules: str) -> None:
    """Put a distribution into a directory.

    Args:
        site: The directory.
        name: The distribution's name.
        entry_points: What stands in the group ``iterlog.backends``: schemes and what serves them.
        **modules: The source of each module, by name.
    """
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{scheme} = {target}" for scheme, target in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[iterlog.backends]", *lines, ""]))
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)


def example_of_the_guide() -> str:
    """Return the source of the backend that `iterlog.backends` ends with."""
    guide = iterlog.backends.__doc__ or ""
    _, _, example = guide.partition("folder_history.py::\n\n")
    return textwrap.dedent(example)
