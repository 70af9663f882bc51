"""Run every contest and print the ratios: ``python -m benchmarks [--directory DIR] [--rounds N] [--records N]``."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.contests import Contest, append_contest, resume_contest, scan_contest


def main() -> None:
    """Measure on the disk that holds the directory, and say on what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, help="where to write; the disk matters (default: here)")
    parser.add_argument("--rounds", type=int, default=2000, help="appends of each contestant (default: 2000)")
    parser.add_argument("--records", type=int, default=1_000_000, help="length of the long history (default: 1000000)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory or Path.cwd(), prefix="iterlog-benchmark-") as name:
        directory = Path(name)
        print(_machine(directory))
        print("| what | ours | raw limit | ours / limit | rounds |\n|---|---|---|---|---|")
        for contest in (
            append_contest(directory, "sync", given.rounds),
            append_contest(directory, "flush", given.rounds),
            scan_contest(directory, 5000, 15),
            resume_contest(directory, given.records, 30),
        ):
            print(_row(contest), flush=True)


def _row(contest: Contest) -> str:
    speed = ""
    if contest.bytes_each and contest.name == "scan":
        speed = f" ({contest.bytes_each / contest.ours:.0f} MB/s)"
    return (
        f"| {contest.name} | {contest.ours:.2f} {contest.unit}{speed} | {contest.limit:.2f} {contest.unit}, "
        f"{contest.against} | {contest.ratio:.2f} | {contest.rounds} |"
    )


def _machine(directory: Path) -> str:
    status = os.statvfs(directory)
    return (
        f"Python {platform.python_version()}, iterlog {version('iterlog')}, msgspec {version('msgspec')}, "
        f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{status.f_bavail * status.f_frsize >> 30} GiB free, measured in a directory of its own\n"
    )


if __name__ == "__main__":
    main()
