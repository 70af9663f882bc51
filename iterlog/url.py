"""Which history is meant: a path, a URL or nothing, read strictly and shown without secrets.

A text with ``scheme://`` is a URL; everything else is a path. A path given as text may carry options
(``run.jsonl?durability=flush``); a ``PathLike`` never does, so any file name can be reached with one. Credentials are
refused in a URL: they belong to the provider's own environment and files.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from iterlog.errors import ConfigError
from iterlog.options import resolve_options

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from iterlog.options import Option

DEFAULT_HISTORY = "iteration_history.jsonl"
"""The path used when neither an argument nor ``$ITERLOG_URL`` names a history."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LIKE_A_SCHEME = re.compile(r"[^/?]*://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH_OPTIONS = re.compile(
    # A value with a slash is taken for a part of the path, but for options whose value is a place.
    r"[A-Za-z_][\w.-]*=[^/]*|(?:[A-Za-z_][\w.-]*=[^/&]*&)*(?:mirror|spool)=.*",
    re.ASCII,
)
_SECRET = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|credential|connection[._-]?string|signature|auth|cookie|(^|[._-])(sig|sas|key)$|"
    r"(api|access|account|private)[._-]?key",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class HistoryURL:
    """Where a history lives and how it is to be opened.

    Attributes:
        scheme: Lower case; ``"file"`` for a plain path.
        host: What stands between ``//`` and the next ``/``: a bucket, a name, or empty.
        path: The rest, percent-decoded for a URL, as given for a plain path.
        query: Options of the query as text.
        keywords: Options given as Python values; they win over the query.
    """

    scheme: str
    host: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    keywords: Mapping[str, object] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str | os.PathLike[str] | None, **keywords: object) -> Self:
        """Read a path, a PathLike or a URL; None means ``$ITERLOG_URL``, else `DEFAULT_HISTORY`.

        Raises:
            ConfigError: Not a path or URL, or it carries credentials or a fragment.
        """
        if url is None:
            url = os.environ.get("ITERLOG_URL") or DEFAULT_HISTORY
        elif isinstance(url, os.PathLike):
            path = os.fspath(url)
            if not isinstance(path, str):
                raise ConfigError("a path of bytes cannot name a history; use os.fsdecode(path)")
            return cls("file", "", _checked_path(path), {}, keywords, path)
        if not isinstance(url, str):
            raise ConfigError(f"a history is named by a path or a URL, not by {type(url).__name__}")
        if _SCHEME.match(url):
            return cls._parse_url(url, keywords)
        if "::" in url.partition("://")[0] and "://" in url:
            raise ConfigError(
                "a chain ('::') names no history: a cache would hide what others append, and a folder is said in the "
                "URL itself; name the store, or give an fsspec file system as filesystem="
            )
        if _LIKE_A_SCHEME.match(url):
            raise ConfigError(
                "what stands before '://' is no scheme, which is letters, digits, '+', '-' and '.'; "
                "for a path that looks so give a pathlib.Path"
            )
        return cls._parse_path(url, keywords)

    @classmethod
    def _parse_path(cls, text: str, keywords: Mapping[str, object]) -> Self:
        path, mark, options = text.partition("?")
        if not mark or not _PATH_OPTIONS.fullmatch(options):
            path, options = text, ""
        return cls("file", "", _checked_path(path), _read_query(options, path), keywords, path)

    @classmethod
    def _parse_url(cls, text: str, keywords: Mapping[str, object]) -> Self:
        if _CONTROL.search(text):
            raise ConfigError("a URL holds no control characters; percent-encode them, or give a pathlib.Path")
        try:
            parts = urlsplit(text)
        except ValueError:
            raise ConfigError("this URL cannot be read; check its brackets and its port") from None
        shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
        # A secret key may hold '/', '?' or '#', and then its '@' stands in what looks like the rest.
        if "@" in parts.netloc or (":" in parts.netloc and "@" in text):
            shown = f"{parts.scheme}://…@{re.split('[?#]', text.rpartition('@')[2])[0]}"
            raise ConfigError(
                "a URL must not carry credentials; leave out what stands before '@' and let the provider's own "
                "environment or files give them (percent-encode an '@' that belongs to a name as %40)",
                url=shown,
            )
        host = unquote(parts.netloc)
        if "@" in host or not re.fullmatch(r"[^:]*(:\d*)?|\[[^]]*](:\d*)?", host):
            # What follows a colon and is no port may be the secret of a key: it is not shown.
            raise ConfigError(
                "what stands between '//' and the next '/' is no name, with a port or without; credentials belong to "
                "the provider's own environment or files",
                url=f"{parts.scheme}://…",
            )
        if parts.fragment:
            raise ConfigError("a URL's '#' part means nothing here; write %23 for a '#' in a name", url=shown)
        path = _checked_path(unquote(parts.path, errors="surrogateescape"), url=shown)
        query = _read_query(parts.query, shown)
        return cls(parts.scheme.lower(), host, path, query, keywords, shown)

    def options(self, declared: Mapping[str, Option]) -> dict[str, Any]:
        """Return a value for every declared option; see `iterlog.options.resolve_options`."""
        return resolve_options(declared, self.keywords, self.query, url=str(self))

    def without(self, names: Collection[str]) -> tuple[dict[str, object], Self]:
        """Return the values of some options, as they were given, and the same URL without them."""
        given = {name: value for name, value in {**self.query, **self.keywords}.items() if name in names}
        query = {name: value for name, value in self.query.items() if name not in names}
        keywords = {name: value for name, value in self.keywords.items() if name not in names}
        return given, replace(self, query=query, keywords=keywords)

    def local_path(self) -> str:
        """Return the path of a URL that names a local file or directory.

        Raises:
            ConfigError: The URL has a host, as ``jsonl://name`` does where ``jsonl:///name`` was meant.
        """
        if self.host not in {"", "localhost"}:
            raise ConfigError(
                f"{self.host!r} stands where a host would; write three slashes for an absolute path "
                f"({self.scheme}:///{self.host}{self.path}), or no scheme for a relative one",
                url=str(self),
            )
        if not self.path:
            raise ConfigError("the URL names no file", url=str(self))
        return self.path

    def __str__(self) -> str:
        """The URL without query and keywords: what messages and logs show."""
        return self.text


def _checked_path(path: str, *, url: str | None = None) -> str:
    if not path and url is None:
        raise ConfigError("an empty path names no history")
    if "\0" in path:
        raise ConfigError("a path cannot contain a NUL character")
    return path


def _read_query(text: str, url: str) -> dict[str, str]:
    """Read ``name=value&…``; a repeated, empty or secret-looking name is refused without showing its value."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise ConfigError("the query cannot be read; write it as ?name=value&name=value", url=url) from None
    query: dict[str, str] = {}
    for name, value in pairs:
        if not name:
            raise ConfigError("an option in the query has no name; write it as ?name=value&name=value", url=url)
        if _SECRET.search(name):
            raise ConfigError(
                f"option {name!r} looks like a secret, and a URL ends up in logs and process lists; "
                "let the provider's own environment or files give it",
                url=url,
            )
        if name in query:
            raise ConfigError(f"option {name!r} stands twice in the query", url=url)
        query[name] = value
    return query
