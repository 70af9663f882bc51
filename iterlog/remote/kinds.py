"""Which of fsspec's file systems may hold a history: those that create an object in one step, where none stands.

fsspec's general way to create is to look first and to write then, piece by piece: of two writers both succeed. So a
file system needs a way of its own; whether its store keeps the condition, the probe finds out before the first append.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iterlog.errors import UnsupportedOperationError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

S3 = frozenset({"s3", "s3a"})
GOOGLE = frozenset({"gs", "gcs"})
AZURE = frozenset({"az", "abfs", "abfss"})

_ON_THIS_MACHINE = {"file", "local", "asynclocal"}
_IN_FRONT_OF_OTHERS = {
    "async_wrapper",
    "blockcache",
    "cached",
    "dir",
    "filecache",
    "generic",
    "libarchive",
    "reference",
    "root",
    "simplecache",
    "tar",
    "zip",
}
_READ_ONLY = {"data", "http", "https"}


def check_protocol(protocol: str, url: str) -> None:
    """Refuse the protocols that are known not to do.

    Raises:
        UnsupportedOperationError: It is one of them; says what to use instead.
    """
    if protocol in _ON_THIS_MACHINE:
        why = "for files of this machine name the path itself: those histories lock and sync, which fsspec cannot"
    elif protocol in _IN_FRONT_OF_OTHERS:
        why = (
            f"{protocol} stands in front of another store, where it would hide what others append; name that store "
            "itself, with the folder in its URL"
        )
    elif protocol in _READ_ONLY:
        why = f"nothing can be created through {protocol}; name the object store behind it"
    else:
        return
    raise UnsupportedOperationError(why, url=url)


def check_creates(cls: type[AbstractFileSystem], url: str) -> None:
    """Refuse a class that does not create in one step.

    Raises:
        UnsupportedOperationError: It has fsspec's general way only.
    """
    from fsspec import AbstractFileSystem  # noqa: PLC0415 - 50 ms that only a remote history pays
    from fsspec.asyn import AsyncFileSystem  # noqa: PLC0415

    asks = getattr(cls, "async_impl", False)
    create = cls._pipe_file if asks else cls.pipe_file
    general = AsyncFileSystem._pipe_file if asks else AbstractFileSystem.pipe_file  # noqa: SLF001 - as fsspec has it
    if create is general:
        raise UnsupportedOperationError(
            f"{cls.__name__} cannot create an object only where none stands, so that two writers would overwrite each "
            "other's records; use a local history and copy it there",
            url=url,
        )


def check_given(system: AbstractFileSystem, url: str) -> AbstractFileSystem:
    """Return the file system that does the work for one that the user gave: behind folders, it is another.

    Raises:
        UnsupportedOperationError: It does not create in one step, or keeps copies.
    """
    from fsspec.implementations.cached import CachingFileSystem  # noqa: PLC0415 - as above
    from fsspec.implementations.dirfs import DirFileSystem  # noqa: PLC0415

    while isinstance(system, DirFileSystem):
        system = system.fs
    if isinstance(system, CachingFileSystem):
        check_protocol("cached", url)
    check_creates(type(system), url)
    return system


def protocols_of(system: AbstractFileSystem) -> tuple[str, ...]:
    """Return the names fsspec has for a file system."""
    protocol = system.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
