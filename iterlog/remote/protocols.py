"""What each protocol's file system needs: its package, its options, and its own retries switched off.

A client that resends by itself hides that an earlier attempt was sent, and with it that a commit may stand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iterlog.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsspec import AbstractFileSystem

KEPT_ALIVE_S = 10.0
"""How long an idle connection is used again. A client that finds it broken sends a second time by itself, so only after
this long does "cannot be reached" mean that nothing was sent."""

_PACKAGES = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
}
"""Per protocol the package that serves it and the extra that installs it."""

SILENT_ABOUT_BUCKETS = {"gs", "gcs", "az", "abfs", "abfss"}
"""Protocols where listing a missing bucket looks like listing an empty one."""


@dataclass(frozen=True)
class Patience:
    """How long a request may take, in seconds.

    Attributes:
        connect_s: To reach the store.
        read_s: Without a byte of an answer.
    """

    connect_s: float = 5.0
    read_s: float = 20.0


def make_filesystem(protocol: str, options: Mapping[str, object], url: str) -> AbstractFileSystem:
    """Make a file system of its own, which sends every request once.

    Raises:
        MissingDependencyError: Its package is not installed.
        ConfigError: It does not take the options.
    """
    try:
        made = _class_of(protocol)(**options)
    except ImportError as error:
        package, extra = _PACKAGES.get(protocol, ("fsspec", "s3"))
        raise MissingDependencyError(
            f"{protocol}:// needs {package}; run: pip install 'iterlog[{extra}]'", url=url
        ) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the storage options do not fit ({type(error).__name__})", url=url) from error
    _switch_retries_off(made)
    return made


def storage_options(texts: Mapping[str, str]) -> dict[str, object]:
    """Return fsspec's storage options of what a URL's query gives as ``fs.name=value``.

    Args:
        texts: Names, without ``fs.``, and values; a dot in a name goes one level down (``client_kwargs.region_name``),
            and a value that is JSON is what it says.

    Raises:
        ValueError: A name is used as an option and as a group of options.
    """
    options: dict[str, Any] = {}
    for name, text in texts.items():
        *groups, last = name.split(".")
        inner = options
        for group in groups:
            if not isinstance(inner.setdefault(group, {}), dict):
                raise ValueError(f"fs.{name} goes into {group}, which has a value of its own")  # noqa: TRY004 - an option
            inner = inner[group]
        inner[last] = _value(text)
    return options


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def with_defaults(protocol: str, given: Mapping[str, object], patience: Patience) -> dict[str, Any]:
    """Return the options of a protocol's file system: ours, and over them what the user gave."""
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in {"s3", "s3a"}:
        options["config_kwargs"] = {
            "connect_timeout": patience.connect_s,
            "read_timeout": patience.read_s,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "max_pool_connections": 32,
            "connector_args": {"keepalive_timeout": KEPT_ALIVE_S - 1},
        }
    elif protocol in {"az", "abfs", "abfss"}:
        options |= {"connection_timeout": int(patience.connect_s) or 1, "read_timeout": int(patience.read_s) or 1}
    elif protocol in {"gs", "gcs"}:
        options["requests_timeout"] = patience.connect_s + patience.read_s
    return _merged(options, given)


def _merged(ours: dict[str, Any], given: Mapping[str, object]) -> dict[str, Any]:
    merged = dict(ours)
    for name, value in given.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _class_of(protocol: str) -> type[AbstractFileSystem]:
    if protocol in {"gs", "gcs"}:
        # What fsspec would give asks Google for each bucket's layout over another protocol first, and in zonal buckets
        # it creates objects over others.
        from gcsfs.core import GCSFileSystem  # noqa: PLC0415

        return GCSFileSystem  # type: ignore[no-any-return] # untyped
    import fsspec  # noqa: PLC0415 - 50 ms that only a remote history pays, and s3fs half a second more

    return fsspec.get_filesystem_class(protocol)  # type: ignore[no-any-return] # as above


def _switch_retries_off(system: AbstractFileSystem) -> None:
    if "s3" in protocols_of(system):
        system.retries = 1
    once = getattr(getattr(type(system), "_request", None), "__wrapped__", None)
    if "gs" in protocols_of(system) and once is not None:
        system._request = once.__get__(system)  # noqa: SLF001 - gcsfs has no option for it


def protocols_of(system: AbstractFileSystem) -> tuple[str, ...]:
    """Return the names fsspec has for a file system."""
    protocol = system.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
