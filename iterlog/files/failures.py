"""What an operating system's refusal means for who called, and what they can do about it."""

from __future__ import annotations

import errno
import os

from iterlog.errors import ConfigError, ConflictError, IterlogError, UnavailableError

_NO_PLACE_FOR_A_FILE = {errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG, errno.ENODEV}

_WHAT_TO_DO = {
    errno.ENOSPC: "the disk is full; make room and append again",
    errno.EDQUOT: "the disk quota is used up; make room and append again",
    errno.EFBIG: "the file may not grow further (ulimit -f, or the file system's limit); raise it or use a new file",
    errno.EROFS: "the file system is mounted read-only; remount it, or choose another place",
    errno.EACCES: "permission denied; let this user read and write the file and its directory",
    errno.EPERM: "the operation is not permitted; look at the owner and attributes (lsattr) of the file",
    errno.EMFILE: "this process has too many files open; close some or raise ulimit -n, and append again",
    errno.ENFILE: "the machine has too many files open; append again later",
    errno.EIO: "the disk reports an input/output error; check it (dmesg) before going on",
    errno.ENOLCK: "the file system grants no locks; use another place, or ?write=replace",
    errno.ENOTSUP: "the file system cannot do this; use another place",
}


def became_a_directory(url: str) -> ConflictError:
    """Return the error for a handle on a file in whose place a directory stands now: it was turned into a set."""
    return ConflictError(
        "the file was turned into a rotating set while this handle was open; nothing was written; open the history "
        "again and go on",
        url=url,
    )


def translated(error: OSError, url: str) -> IterlogError:
    """Return the error of ours for one of the operating system's, raised while nothing had been written.

    Args:
        error: The refusal; an error of ours is returned as it is.
        url: How the message names the history.
    """
    if isinstance(error, IterlogError):
        return error
    where = f" ({os.fspath(error.filename)!r})" if isinstance(error.filename, str) else ""
    if error.errno in _NO_PLACE_FOR_A_FILE:
        return ConfigError(f"this path cannot be a history: {error.strerror}{where}; name another", url=url)
    advice = _WHAT_TO_DO.get(error.errno or 0, error.strerror or str(error))
    return UnavailableError(f"{advice}{where}; nothing was written", url=url, errno=error.errno)
