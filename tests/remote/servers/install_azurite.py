"""Install azurite, which npm distributes, into a folder of this project that git ignores; a program and a function.

python tests/remote/servers/install_azurite.py
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

_WANTED = "azurite@3"
_FOLDER = Path(__file__).parents[3] / ".cache" / "azurite"
_PROGRAM = _FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def azurite() -> list[str]:
    """Return the command that runs azurite's blob service, installed now if it was not yet.

    Raises:
        RuntimeError: There is no node or npm, or npm failed; with what is missing.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        raise RuntimeError("azurite needs node: apt-get install nodejs npm")
    if not _PROGRAM.exists():
        if npm is None:
            raise RuntimeError("azurite needs npm: apt-get install npm")
        _install(npm)
    return [node, str(_PROGRAM)]


def _install(npm: str) -> None:
    """Install beside the place and move there when whole, one at a time."""
    _FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with (_FOLDER.parent / "azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _PROGRAM.exists():
            return
        with tempfile.TemporaryDirectory(dir=_FOLDER.parent) as new:
            quiet = ["--no-fund", "--no-audit", "--no-update-notifier", "--loglevel=error"]
            safe = ["--ignore-scripts", "--omit=dev"]
            ran = subprocess.run(
                [npm, "install", "--prefix", new, *quiet, *safe, _WANTED],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=280,
            )
            if ran.returncode:
                raise RuntimeError(f"npm cannot install {_WANTED}:\n{ran.stdout}")
            shutil.rmtree(_FOLDER, ignore_errors=True)
            Path(new).replace(_FOLDER)
            Path(new).mkdir()  # for the end of the with


if __name__ == "__main__":
    print(*azurite())  # noqa: T201  # a program tells what it did
