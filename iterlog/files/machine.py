"""What the operating system knows about this boot and about a path's file system."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

_NETWORK_TYPES = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|ceph|lustre|beegfs|gpfs|glusterfs|orangefs|"
    r"fuse\.(sshfs|glusterfs|ceph|s3fs|gcsfuse|rclone|davfs\d?|juicefs|cephfs)"
)


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of the machine from every other; ``""`` where the platform has nothing."""
    platform: str = sys.platform
    try:
        if platform == "linux":
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        if platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()  # noqa: S603 - a constant command
    except (FileNotFoundError, PermissionError, subprocess.SubprocessError):
        # Other failures pass, and must not be remembered: too many open files, for one.
        return ""
    return ""


def network_file_system(path: str, mounts: str = "/proc/self/mountinfo") -> str | None:
    """Return the type of the network file system a path lies on, None when it is local or nobody can tell.

    Args:
        path: An existing file or directory.
        mounts: The table of mounts, in the format of proc(5).
    """
    try:
        device = os.stat(path).st_dev
        table = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for row in table.splitlines():
        before, _, after = row.partition(" - ")
        if before.split()[2:3] == [wanted]:
            kind = after.split(" ", 1)[0]
            return kind if _NETWORK_TYPES.fullmatch(kind) else None
    return None
