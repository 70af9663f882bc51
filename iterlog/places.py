"""Which history a URL means, and where this user keeps what must outlive a process."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from iterlog.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from iterlog.url import HistoryURL

_LOCAL_SCHEMES = {"file", "jsonl", "rotating", "rotating+file"}
_OTHERS_MAY_WRITE = 0o022
_ADDRESSES = ("endpoint_url", "client_kwargs.endpoint_url", "account_name", "account_host")
"""Storage options that name another store. Others, credentials above all, change while a history stays the same."""


def identity_of(url: HistoryURL) -> str:
    """Return the text that says which history a URL means; the same for each way to write the same local path."""
    if url.scheme in _LOCAL_SCHEMES:
        return os.path.abspath(url.path)  # noqa: PTH100 - links are kept: a file that becomes a set keeps its name
    options = {name: str(value) for name, value in {**url.query, **url.keywords}.items() if name.startswith("fs.")}
    options |= _addresses_in(url.keywords.get("storage_options"))
    text = f"{url.scheme}://{url.host}{url.path.rstrip('/')}"
    if not options:
        return text
    # Another endpoint is another store; its options may hold what must not stand in a file.
    return f"{text}#{hashlib.sha256(repr(sorted(options.items())).encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def place_of(url: HistoryURL) -> str:
    """Return what tells a history from others: its path without symbolic links, or what `identity_of` returns."""
    return local_path(url) or identity_of(url)


def local_path(url: HistoryURL) -> str | None:
    """Return the path of a history on this machine, without symbolic links; None for any other."""
    return os.path.realpath(url.local_path()) if url.scheme in _LOCAL_SCHEMES else None


def check_different(source: HistoryURL, copy: HistoryURL) -> None:
    """Refuse a history as its own copy.

    Raises:
        ConfigError: Both are the same.
    """
    if place_of(source) == place_of(copy):
        raise ConfigError("source and destination are the same history; name another destination", url=str(source))


def state_directory() -> Path:
    """Return this user's directory for what must outlive a process: ``$XDG_STATE_HOME/iterlog`` or its default.

    Raises:
        UnavailableError: The user has no home.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path("~/.local/state").expanduser()
    except RuntimeError:
        raise UnavailableError("this user has no home; set XDG_STATE_HOME, or name a directory with spool=") from None
    return base / "iterlog"


def check_private(directory: Path) -> None:
    """Refuse a directory that another user could have put records into; one that is not there yet is fine.

    Raises:
        UnavailableError: It is not this user's alone.
    """
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"its directory cannot be looked at: {error}") from error
    if not hasattr(os, "geteuid"):
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS_MAY_WRITE:
        raise UnavailableError(
            f"its directory {str(directory)!r} is not this user's alone, so others could have put records there"
        )


def _addresses_in(storage_options: object) -> dict[str, str]:
    """Return what names another store in storage options given as a dict, as ``fs.`` options in a URL name it."""
    if not isinstance(storage_options, Mapping):
        return {}
    client = storage_options.get("client_kwargs")
    inner = {f"client_kwargs.{name}": value for name, value in client.items()} if isinstance(client, Mapping) else {}
    given = {**storage_options, **inner}
    return {f"fs.{name}": str(given[name]) for name in _ADDRESSES if given.get(name) is not None}
