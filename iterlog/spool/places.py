"""Where a spool is: the directory that ``spool=`` names, or one of its own per history in the user's state directory.

The state directory does not depend on where a process was started, so the next run finds what the last one left. It is
used only when no other user could have written there.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from iterlog.errors import ConfigError
from iterlog.options import boolean
from iterlog.places import check_private, identity_of, state_directory

if TYPE_CHECKING:
    from iterlog.url import HistoryURL

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 40


def spool_directory(given: object, url: HistoryURL) -> str | None:
    """Return the directory of a history's spool; None when the option says that there is none.

    Args:
        given: The option's value: a path, or true or false.
        url: The history's.

    Raises:
        ConfigError: It is neither.
        UnavailableError: The state directory is not this user's alone.
    """
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    else:
        try:
            return default_directory(url) if boolean(given) else None
        except ValueError:
            pass
    if not isinstance(given, str) or not given or "\0" in given:
        raise ConfigError("option 'spool' takes true, false or the path of a directory", url=str(url))
    return os.path.realpath(given)


def default_directory(url: HistoryURL) -> str:
    """Return the directory of a history's spool when none is named."""
    name = identity_of(url)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    safe = _UNSAFE.sub("-", os.path.basename(url.path.rstrip("/")) or url.host)[:_LONGEST_NAME].strip("-.")
    home = state_directory()
    check_private(home)
    return str(home / "spool" / f"{safe or 'history'}-{digest}")
