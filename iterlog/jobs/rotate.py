"""A plain history becomes a rotating set, in use or not, and no acknowledged append is lost.

Under the file's append lock: put its end in order, make the directory, note the highest number there, link the file
into it as its first part, and put a symbolic link to the directory in the file's place. Nothing is copied: the part is
the file. From then on the old path opens the set, and a handle that had the file open finds a directory at its next
append and is refused. Until the last step the file is what it was, so a kill anywhere costs nothing; started again, it
finishes. The set's own append lock is held meanwhile, so that nobody can append through both names at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass

from iterlog.errors import ConfigError, HistoryNotFoundError, IterlogError, UnsupportedOperationError
from iterlog.files.durable import make_directories, sync_directory
from iterlog.files.failures import translated
from iterlog.files.lines_of import count_lines_in
from iterlog.files.lockfile import LockFile
from iterlog.files.machine import network_file_system
from iterlog.files.tail import put_file_in_order
from iterlog.registry import check_options
from iterlog.rotation.layout import LOCK_NAME, is_set, no_plain_file, plain_name, read_listing
from iterlog.url import HistoryURL

_OURS = {LOCK_NAME, plain_name(0)}


@dataclass(frozen=True)
class Rotated:
    """What became of a file.

    Attributes:
        path: Where the file stood; a symbolic link to the set now.
        directory: The set.
        lines: How many lines it holds; with ``dry_run``, would hold; 0 when the path was a set already.
        turned: Whether this call did it; False when the path was a set already, and with ``dry_run``.
    """

    path: str
    directory: str
    lines: int
    turned: bool


def rotate(
    file: str | os.PathLike[str], directory: str | os.PathLike[str] | None = None, *, dry_run: bool = False
) -> Rotated:
    """Turn a plain history into a rotating set at a directory; the file's path goes on working, as a link to it.

    Loops that have the file open are refused at their next append, with nothing written, and go on when they open the
    same path again; the three functions of `iterlog.loop` do so by themselves.

    Args:
        file: Path or URL of a plain history.
        directory: Where the set is to stand, on the same file system; by default the file's path without its suffix.
        dry_run: Change nothing.

    Raises:
        HistoryNotFoundError: There is no file.
        ConfigError: It is no plain history, an option in its URL is wrong, or the directory holds something else.
        UnsupportedOperationError: The directory lies on another file system, or both on a network's.
        UnavailableError: The storage refused; the file is what it was.
    """
    parsed = HistoryURL.parse(file)
    if parsed.scheme not in {"file", "jsonl"}:
        raise ConfigError("only a plain file can be turned into a rotating set", url=str(parsed))
    check_options(parsed)
    url = str(parsed)
    path = os.path.realpath(parsed.local_path())
    try:
        if os.path.isdir(path):
            return _turned_before(parsed.local_path(), path, directory, url)
        _check_file(path, url)
        target = os.path.realpath(directory if directory is not None else _without_suffix(path, url))
        _check_directory(path, target, url)
        if dry_run:
            return Rotated(path, target, count_lines_in(path), turned=False)
        return _turn(path, target, url)
    except IterlogError:
        raise
    except OSError as error:
        raise translated(error, url) from error


def _turn(path: str, target: str, url: str) -> Rotated:
    with contextlib.ExitStack() as held:
        lock = _locked(f"{path}.lock", url, held)
        if not os.path.isfile(path) or os.path.islink(path):  # somebody was faster
            return _turned_before(path, os.path.realpath(path), target, url)
        put_file_in_order(path, url)
        make_directories(target)
        set_lock = _locked(os.path.join(target, LOCK_NAME), url, held)
        _check_directory(path, target, url)
        note = lock.read_note()
        if note is not None:
            # The last line may hide the highest number, and a crash of the machine may not have been looked into yet.
            set_lock.write_note(note, durable=True)
        _link(path, os.path.join(target, plain_name(0)), url)
        sync_directory(target)
        _point(path, target)
        return Rotated(path, target, count_lines_in(os.path.join(target, plain_name(0))), turned=True)


def _locked(lock_path: str, url: str, held: contextlib.ExitStack) -> LockFile:
    lock = LockFile(lock_path, url)
    held.callback(lock.close)
    lock.acquire()
    held.callback(lock.release)
    return lock


def _link(path: str, part: str, url: str) -> None:
    try:
        os.link(path, part)
    except FileExistsError:
        pass  # linked by an earlier run: _check_directory saw that it is this file
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
            raise
        raise UnsupportedOperationError(
            "the file cannot be linked into the directory; name one beside the file, or use 'iterlog archive'", url=url
        ) from error


def _point(path: str, target: str) -> None:
    """Put a link to the directory in the file's place, in one step; relative, so that both can be moved together."""
    parent, name = os.path.split(path)
    temporary = os.path.join(parent, f".{name}.rotate.tmp")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # of who was killed here; the append lock is ours
    os.symlink(os.path.relpath(target, parent), temporary)
    os.replace(temporary, path)
    sync_directory(parent)


def _check_file(path: str, url: str) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise HistoryNotFoundError("there is no history at this path", url=url) from None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError("what stands at this path is not a plain file; name another", url=url)
    kind = network_file_system(path)
    if kind:
        raise UnsupportedOperationError(
            f"the file lies on {kind}, where rotating sets are refused; archive it to a local disk instead", url=url
        )


def _check_directory(path: str, target: str, url: str) -> None:
    """Refuse a directory that holds anything but what an earlier run left."""
    if not os.path.lexists(target):
        return
    if not os.path.isdir(target):
        raise ConfigError(f"{target!r} is no directory; name another one", url=url)
    part = os.path.join(target, plain_name(0))
    foreign = sorted(set(os.listdir(target)) - _OURS)
    if foreign or (os.path.lexists(part) and not os.path.samefile(part, path)):
        raise ConfigError(
            f"{target!r} holds something else ({(foreign or [plain_name(0)])[0]!r}); name another", url=url
        )


def _turned_before(path: str, target: str, directory: str | os.PathLike[str] | None, url: str) -> Rotated:
    if not is_set(target) or no_plain_file(target) is not None:
        raise ConfigError("what stands at this path is a directory, and no history", url=url)
    if directory is not None and os.path.realpath(directory) != target:
        raise ConfigError(f"the path is a rotating set already, at {target!r}", url=url)
    parent, name = os.path.split(os.path.abspath(path))
    parts = read_listing(target).parts
    lines = sum((part.end or part.first) - part.first for part in parts)
    if parts and parts[-1].end is None:
        lines += count_lines_in(os.path.join(target, parts[-1].name))
    return Rotated(os.path.join(os.path.realpath(parent), name), target, lines, turned=False)


def _without_suffix(path: str, url: str) -> str:
    root, suffix = os.path.splitext(path)
    if not suffix:
        raise ConfigError("the file's name has no suffix to leave out; name the directory", url=url)
    return root
