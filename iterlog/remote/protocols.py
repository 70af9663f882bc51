"""What each protocol's file system needs: its package, its options, its own retries switched off, and its end.

A client that resends by itself hides that an earlier attempt was sent, and with it that a commit may stand.
"""

from __future__ import annotations

import inspect
import json
import os
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from iterlog.errors import AccessDeniedError, ConfigError, MissingDependencyError
from iterlog.options import suggestion
from iterlog.remote.causes import FINAL, Cause, cause_of, detail_of, error_of
from iterlog.remote.kinds import AZURE, GOOGLE, S3, check_creates, protocols_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from fsspec import AbstractFileSystem

KEPT_ALIVE_S = 16.0
"""How long an idle connection is used again, and a second more: aiohttp's own 15 s, which not every package changes.

A client that finds it broken sends a second time by itself, so only after this long does "cannot be reached" mean that
nothing was sent.
"""

_PACKAGES = {
    **dict.fromkeys(S3, ("s3fs", "s3")),
    **dict.fromkeys(GOOGLE, ("gcsfs", "gcs")),
    **dict.fromkeys(AZURE, ("adlfs", "azure")),
}
"""Per protocol the package that serves it and the extra that installs it."""

_OF_EVERY_CLASS = {"skip_instance_cache", "use_listings_cache", "listings_expiry_time", "max_paths", "batch_size"}
_OF_NO_SIGNATURE = {"s3fs": {"profile"}, "gcsfs": {"anon"}, "adlfs": set[str]()}
"""Options that a package takes without naming them, of the packages that swallow a misspelt one."""


@dataclass(frozen=True)
class Patience:
    """How long a request may take, in seconds.

    Attributes:
        connect_s: To reach the store.
        read_s: Without a byte of an answer.
    """

    connect_s: float = 5.0
    read_s: float = 20.0


def class_of(protocol: str, url: str) -> type[AbstractFileSystem]:
    """Return the class of a protocol's file systems.

    Raises:
        MissingDependencyError: Its package is not installed.
        ConfigError: There is no such protocol.
        UnsupportedOperationError: It is none for a history.
    """
    try:
        cls = _imported(protocol)
    except ImportError as error:
        package, extra = _PACKAGES.get(protocol, ("", ""))
        need = (
            f"{protocol}:// needs {package}; run: pip install 'iterlog[{extra}]'"
            if package
            else f"{protocol}:// needs a package that is not installed: {error}"
        )
        raise MissingDependencyError(need, url=url) from error
    except ValueError as error:
        raise ConfigError(f"fsspec knows no protocol {protocol!r}", url=url) from error
    check_creates(cls, url)
    return cls


def make_filesystem(
    cls: type[AbstractFileSystem],
    protocol: str,
    options: Mapping[str, object],
    patience: Patience,
    url: str,
    **more: object,
) -> AbstractFileSystem:
    """Make a file system of its own, which sends every request once.

    Args:
        cls: Its class.
        protocol: The name it was asked for by.
        options: The user's storage options; they win over fsspec's own configuration, which wins over what is set here.
        patience: How long requests may take.
        url: How errors name the history.
        **more: Options that nothing wins over.

    Raises:
        ConfigError: It does not take the options.
        AccessDeniedError: It has no credentials.
    """
    _check_names(cls, options, url)
    settled = _settled(cls, protocol, options, patience)
    try:
        made = cls(**{**settled, **more})
    except Exception as error:  # noqa: BLE001 - any client's
        # Without what it said, which may repeat what it was given.
        raise _not_made(error, protocol, settled, url) from None
    _switch_retries_off(made, patience)
    _detach_finalizers(made)
    return made


async def close_connections(system: AbstractFileSystem) -> None:
    """Close the connections that a file system's clients keep; to be run in its loop."""
    for close in _closers(system):
        await close()


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


# before it is made


def _imported(protocol: str) -> type[AbstractFileSystem]:
    if protocol in GOOGLE:
        # What fsspec would give asks Google for each bucket's layout over another protocol first, and in zonal buckets
        # it creates objects over others.
        from gcsfs.core import GCSFileSystem  # noqa: PLC0415

        return GCSFileSystem  # type: ignore[no-any-return] # untyped
    import fsspec  # noqa: PLC0415 - 50 ms that only a remote history pays, and s3fs half a second more

    return fsspec.get_filesystem_class(protocol)  # type: ignore[no-any-return] # as above


def _check_names(cls: type[AbstractFileSystem], options: Mapping[str, object], url: str) -> None:
    unnamed = _OF_NO_SIGNATURE.get(cls.__module__.partition(".")[0])
    if unnamed is None:
        return
    known = {*inspect.signature(cls.__init__).parameters, *_OF_EVERY_CLASS, *unnamed}
    known -= {"self", "args", "kwargs", "loop", "asynchronous"}
    for name in options:
        if name not in known:
            close = suggestion(f"fs.{name}", {f"fs.{each}" for each in known})
            raise ConfigError(f"unknown storage option 'fs.{name}'{close}", url=url)


def _settled(
    cls: type[AbstractFileSystem], protocol: str, given: Mapping[str, object], patience: Patience
) -> dict[str, Any]:
    """Return all options of a file system, each from who has the say over it."""
    from fsspec.config import apply_config, conf  # noqa: PLC0415 - as above

    configured = _merged({**conf.get(protocol, {}), **apply_config(cls, {})}, given)
    if protocol in GOOGLE and configured.pop("anon", False):
        configured["token"] = "anon"  # noqa: S105 - none
    return _merged(_defaults(protocol, patience), configured)


def _defaults(protocol: str, patience: Patience) -> dict[str, Any]:
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in S3:
        options["config_kwargs"] = {
            "connect_timeout": patience.connect_s,
            "read_timeout": patience.read_s,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "max_pool_connections": 32,
            "connector_args": {"keepalive_timeout": KEPT_ALIVE_S - 1},
        }
    elif protocol in GOOGLE:
        import aiohttp  # noqa: PLC0415 - gcsfs is imported by now

        options["requests_timeout"] = aiohttp.ClientTimeout(sock_connect=patience.connect_s, sock_read=patience.read_s)
    return options


def _merged(ours: Mapping[str, Any], given: Mapping[str, object]) -> dict[str, Any]:
    merged = dict(ours)
    for name, value in given.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _not_made(error: Exception, protocol: str, settled: Mapping[str, object], url: str) -> Exception:
    cause = cause_of(error)
    if cause in FINAL:
        return error_of(cause, detail_of(error), url)
    account = ("connection_string", "account_name")
    if protocol in AZURE and not any(settled.get(n) or os.environ.get(f"AZURE_STORAGE_{n.upper()}") for n in account):
        return AccessDeniedError(
            f"{Cause.NO_CREDENTIALS.value}: AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and what "
            "belongs to it",
            url=url,
        )
    return ConfigError(f"the storage options do not fit ({detail_of(error)})", url=url)


# once it is made


def _switch_retries_off(system: AbstractFileSystem, patience: Patience) -> None:
    names = set(protocols_of(system))
    if names & S3:
        system.retries = 1
    once = getattr(getattr(type(system), "_request", None), "__wrapped__", None)
    if names & GOOGLE and once is not None:
        system._request = once.__get__(system)  # noqa: SLF001 - gcsfs has no option for it
    pipeline = getattr(getattr(system, "service_client", None), "_pipeline", None)
    if names & AZURE and pipeline is not None:
        for policy in pipeline._impl_policies:  # noqa: SLF001 - adlfs has no option for it, and waits 15 s each time
            if hasattr(policy, "total_retries"):
                policy.total_retries = 0
        waits = pipeline._transport.connection_config  # noqa: SLF001 - its options are for two of its calls only
        waits.timeout, waits.read_timeout = patience.connect_s, patience.read_s


def _detach_finalizers(system: AbstractFileSystem) -> None:
    """Keep it from being closed at the interpreter's end: adlfs waits there for a loop that a forked child has not."""
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        alive = finalizer.peek()
        if alive is not None and alive[0] is system:
            finalizer.detach()


def _closers(system: AbstractFileSystem) -> Iterator[Callable[[], Coroutine[Any, Any, object]]]:
    creator = getattr(system, "_s3creator", None)
    if creator is not None:
        yield partial(creator.__aexit__, None, None, None)
    holders = (getattr(system, name, None) for name in ("_session", "service_client", "credential"))
    for holder in holders:
        close = getattr(holder, "close", None)
        if inspect.iscoroutinefunction(close):
            yield close
