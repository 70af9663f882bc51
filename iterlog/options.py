"""Typed, strict options: what a backend declares, and how the text of a URL becomes a value.

A backend lists its options in ``OPTIONS``; what is not listed is refused with a hint, never ignored. Values come,
first found first, from a keyword of ``open_history``, the URL's query, and the environment (``ITERLOG_DURABILITY``
for ``durability``). Units are human: ``64MB``, ``7d``, ``250ms``.
"""

from __future__ import annotations

import datetime as dt
import difflib
import enum
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from iterlog.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_E = TypeVar("_E", bound=enum.Enum)

_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SECONDS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)", re.ASCII)
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Option:
    """One option of a backend.

    Attributes:
        parse: Turns text from a URL, or a Python value from a keyword, into the option's value; raises ValueError
            with what is accepted.
        default: The value when nobody sets the option.
        help: One line for people.
    """

    parse: Callable[[object], Any]
    default: Any
    help: str


def resolve_options(
    declared: Mapping[str, Option], keywords: Mapping[str, object], query: Mapping[str, str], *, url: str
) -> dict[str, Any]:
    """Return a value for every declared option.

    Args:
        declared: The backend's options by name. One named ``fs.*`` takes every option whose name begins with ``fs.``,
            as a mapping of the rest of their names; its value is named ``fs``.
        keywords: What the caller gave to ``open_history``; wins over the query.
        query: What the URL's query gives, as text; wins over the environment.
        url: The URL without credentials, for messages.

    Raises:
        ConfigError: An option is unknown, or a value is not accepted.
    """
    for name in (*keywords, *query):
        if name not in declared and f"{name.partition('.')[0]}.*" not in declared:
            raise ConfigError(f"unknown option {name!r}{suggestion(name, declared)}", url=url)
    values = {}
    for name, option in declared.items():
        given: object
        if name.endswith(".*"):
            group = name.removesuffix("*")
            both: dict[str, object] = {**query, **keywords}
            members = {each.removeprefix(group): value for each, value in both.items() if each.startswith(group)}
            values[name.removesuffix(".*")] = _parsed(name, option, members, url)
            continue
        if name in keywords:
            given = keywords[name]
        elif name in query:
            given = query[name]
        elif (variable := f"ITERLOG_{name.upper()}") in os.environ:
            given = os.environ[variable]
        else:
            values[name] = option.default
            continue
        values[name] = _parsed(name, option, given, url)
    return values


def _parsed(name: str, option: Option, given: object, url: str) -> Any:
    try:
        return option.parse(given)
    except ValueError as error:
        raise ConfigError(f"option {name!r} {error}", url=url) from None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean …?"`` for a word close to a known one, else the list of known ones."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are: {', '.join(known) or 'none'}"


def choice_of(kind: type[_E]) -> Callable[[object], _E]:
    """Accept a member of an enumeration or its value as text."""

    def parse(given: object) -> _E:
        if isinstance(given, kind):
            return given
        words = [str(member.value) for member in kind]
        for member in kind:
            if given == member.value:
                return member
        raise ValueError(f"takes one of {', '.join(words)}, not {given!r}{suggestion(str(given), words)}")

    return parse


def boolean(given: object) -> bool:
    """Accept a bool or one of true/false, yes/no, on/off, 1/0."""
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in _WORDS:
        return _WORDS[given.lower()]
    raise ValueError(f"takes true or false, not {given!r}")


def count(given: object) -> int:
    """Accept a positive whole number."""
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    if isinstance(given, str) and re.fullmatch(r"\d{1,18}", given, re.ASCII) and int(given) > 0:
        return int(given)
    raise ValueError(f"takes a positive whole number, not {given!r}")


def size(given: object) -> int:
    """Accept bytes: a positive whole number, or text such as ``64MB`` (10⁶) or ``64MiB`` (2²⁰)."""
    if isinstance(given, str) and (match := _QUANTITY.fullmatch(given.strip())):
        factor = _BYTES.get(match[2].lower())
        if factor is not None and (number := int(float(match[1]) * factor)) > 0:
            return number
    elif isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    raise ValueError(f"takes a size such as 64MB or 8MiB, not {given!r}")


def duration(given: object) -> dt.timedelta:
    """Accept a positive span of time: a timedelta, seconds, or text such as ``250ms``, ``90s``, ``15m``, ``7d``."""
    span: dt.timedelta | None = None
    try:
        if isinstance(given, dt.timedelta):
            span = given
        elif isinstance(given, str) and (match := _QUANTITY.fullmatch(given.strip())):
            factor = _SECONDS.get(match[2].lower())
            span = dt.timedelta(seconds=float(match[1]) * factor) if factor is not None else None
        elif isinstance(given, int | float) and not isinstance(given, bool):
            span = dt.timedelta(seconds=given)
    except (OverflowError, ValueError):  # NaN, or more days than a timedelta holds
        span = None
    if span is None or span <= dt.timedelta(0):
        raise ValueError(f"takes a time such as 90s, 15m or 7d, not {given!r}")
    return span
