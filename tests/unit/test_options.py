"""Options are strict, typed and human; nothing is ignored."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any

import pytest

from iterlog import ConfigError, Durability, OnDamage, open_history
from iterlog.options import Option, boolean, choice_of, count, duration, resolve_options, size, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the user's environment says out of the tests."""
    for name in [name for name in os.environ if name.startswith("ITERLOG_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("parse", "given", "expected"),
    [
        *((boolean, text, True) for text in (True, "1", "true", "TRUE", "yes", "on")),
        *((boolean, text, False) for text in (False, "0", "false", "No", "off")),
        (count, 5, 5), (count, "1000", 1000),
        (size, 5, 5), (size, "5", 5), (size, "5b", 5), (size, "64MB", 64_000_000), (size, "64 mb", 64_000_000),
        (size, "8MiB", 8 * 2**20), (size, "1.5kB", 1500), (size, "2GiB", 2**31), (size, "1TB", 10**12),
        (duration, 5, dt.timedelta(seconds=5)), (duration, 0.5, dt.timedelta(seconds=0.5)),
        (duration, "7d", dt.timedelta(days=7)), (duration, "2w", dt.timedelta(weeks=2)),
        (duration, "250ms", dt.timedelta(milliseconds=250)), (duration, "1.5h", dt.timedelta(minutes=90)),
        (duration, "15m", dt.timedelta(minutes=15)), (duration, "15min", dt.timedelta(minutes=15)),
        (duration, "90", dt.timedelta(seconds=90)), (duration, dt.timedelta(1), dt.timedelta(1)),
        (choice_of(Durability), "flush", Durability.FLUSH), (choice_of(Durability), Durability.SYNC, Durability.SYNC),
    ],
)  # fmt: skip
def test_values(parse: Callable[[object], Any], given: object, expected: Any) -> None:
    """Text of a URL and Python values become the option's value."""
    value = parse(given)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("parse", "given"),
    [
        *((boolean, given) for given in ("", "2", "maybe", 1, None, 0.0)),
        *((count, given) for given in (0, -1, True, 1.0, "0", "1.5", "-3", "", "٣", "1" * 19, None)),
        *((size, given) for given in (0, -1, True, 1.5, "", "MB", "64XB", "-1MB", "0", "0.1", "1e3", "64M", None)),
        *((duration, given) for given in (0, -5, True, "", "d", "7y", "-1d", "0s", float("nan"), float("inf"), None)),
        *((duration, given) for given in (dt.timedelta(0), "9" * 18 + "w", 1e300)),
        *((choice_of(Durability), given) for given in ("", "fsync", "SYNC", None, 5, OnDamage.SKIP)),
    ],
)
def test_refused_values(parse: Callable[[object], Any], given: object) -> None:
    """What is not accepted says what would be."""
    with pytest.raises(ValueError, match="takes"):
        parse(given)


def test_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword wins over the query, the query over the environment, the environment over the default."""
    declared = {"max_records": Option(count, 1000, "records per segment")}

    def resolved(keywords: dict[str, object], query: dict[str, str]) -> Any:
        return resolve_options(declared, keywords, query, url="x")["max_records"]

    assert resolved({}, {}) == 1000
    monkeypatch.setenv("ITERLOG_MAX_RECORDS", "1")
    assert resolved({}, {}) == 1
    assert resolved({}, {"max_records": "2"}) == 2
    assert resolved({"max_records": 3}, {"max_records": "2"}) == 3


def test_precedence_through_open_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same through the front door."""
    monkeypatch.setenv("ITERLOG_DURABILITY", "flush")
    assert open_history("memory://p")._durability is Durability.FLUSH
    assert open_history("memory://p?durability=sync")._durability is Durability.SYNC
    assert open_history("memory://p?durability=sync", durability="flush")._durability is Durability.FLUSH


@pytest.mark.parametrize("wrong", [{"keyword": {"durabilty": "flush"}}, {"query": "?durabilty=flush"}])
def test_an_unknown_option_is_never_ignored(wrong: dict[str, Any]) -> None:
    """It is refused, with the one that was probably meant."""
    with pytest.raises(ConfigError, match="did you mean 'durability'"):
        open_history(f"memory://x{wrong.get('query', '')}", **wrong.get("keyword", {}))


def test_a_wrong_value_names_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the value came from, the message names the option, what is accepted, and the near miss."""
    with pytest.raises(ConfigError, match=r"'durability' takes one of sync, flush.*did you mean 'flush'"):
        open_history("memory://x?durability=flsh")
    with pytest.raises(ConfigError, match="'create'"):
        open_history("memory://x", create=None)
    monkeypatch.setenv("ITERLOG_ON_DAMAGE", "ignore")
    with pytest.raises(ConfigError, match="'on_damage'"):
        open_history("memory://x")


def test_an_option_of_another_backend_is_unknown() -> None:
    """``write`` is an option of files; memory refuses it."""
    with pytest.raises(ConfigError, match="'write'"):
        open_history("memory://x?write=replace")


def test_suggestions() -> None:
    """A near miss is named; otherwise what there is."""
    assert suggestion("durabilty", ["durability", "create"]) == "; did you mean 'durability'?"
    assert suggestion("zzz", ["b", "a"]) == "; known are: a, b"
    assert suggestion("zzz", []) == "; known are: none"
