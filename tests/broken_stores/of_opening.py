"""Broken at opening, closing and saying what is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import iterlog
from broken_stores.catalogue import breaks
from iterlog.backends.memory import MemoryHistory, Shared


@breaks("test_new_history_is_empty")
class BeginsWithAHeader(MemoryHistory):
    """Writes a line of its own into each new history."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        if not self._shared.lines:
            self._shared.lines.append(b'{"format":1}')


@breaks("test_missing_history_is_refused_with_create_false")
class AlwaysCreates(MemoryHistory):
    """Takes no notice of create=false."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **{**options, "create": True})


@breaks("test_only_an_append_creates_a_history")
class CreatesOnOpening(MemoryHistory):
    """Takes a history for existing once somebody looked at it."""

    _opened: ClassVar[set[str]] = set()

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        seen = str(url) in self._opened
        super().__init__(url, **({**options, "create": True} if seen else options))
        self._opened.add(str(url))


@breaks("test_unknown_option_is_refused_with_a_hint")
class IgnoresUnknownOptions(MemoryHistory):
    """Passes over options that it does not know."""

    @classmethod
    def from_url(cls, url: iterlog.HistoryURL) -> Self:
        """Open with the options that are known."""
        known = {name: value for name, value in url.keywords.items() if name in cls.OPTIONS}
        query = {name: value for name, value in url.query.items() if name in cls.OPTIONS}
        return super().from_url(dataclasses.replace(url, keywords=known, query=query))


@breaks("test_unusable_value_of_an_option_is_refused")
class FallsBackToDefaults(MemoryHistory):
    """Takes the defaults where the options make no sense."""

    @classmethod
    def from_url(cls, url: iterlog.HistoryURL) -> Self:
        """Open with the options, else without them."""
        try:
            return super().from_url(url)
        except iterlog.ConfigError:
            return cls(url)


@breaks("test_keyword_wins_over_the_query")
class QueryWins(MemoryHistory):
    """Lets the query win over keywords."""

    @classmethod
    def from_url(cls, url: iterlog.HistoryURL) -> Self:
        """Open with the query laid over the keywords."""
        return super().from_url(dataclasses.replace(url, keywords={**url.keywords, **url.query}))


@breaks("test_reopened_history_goes_on")
class BeginsAnew(MemoryHistory):
    """Clears what it finds on opening, as a file opened with "w" is cleared."""

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._shared.lines.clear()


@breaks("test_histories_at_two_urls_do_not_mix")
class OnePlaceForAll(MemoryHistory):
    """Stores every history at one place."""

    _everything: ClassVar[Shared] = Shared()

    def __init__(self, url: iterlog.HistoryURL, **options: Any) -> None:
        super().__init__(url, **options)
        self._shared = self._everything


@breaks("test_closed_handle_refuses_everything", _check_open=lambda _self: None)
class WorksWhenClosed(MemoryHistory):
    """Goes on after it was closed."""


def _close_once(history: iterlog.HistoryStore) -> None:
    if history.closed:
        raise iterlog.HistoryClosedError("closed already", url=history.url)
    history._closed = True


@breaks("test_close_twice_is_harmless", close=_close_once)
class ClosesOnce(MemoryHistory):
    """Complains about a second close."""


@breaks("test_url_and_repr_show_where_and_nothing_else")
class ShowsItsOptions(MemoryHistory):
    """Has a repr with everything in it."""

    def __repr__(self) -> str:
        return f"<{self.url} {self._url.query}{' closed' if self.closed else ''}>"


@breaks("test_errors_name_the_history_without_secrets")
class ShowsSecrets(MemoryHistory):
    """Prints the options that it complains about."""

    @classmethod
    def from_url(cls, url: iterlog.HistoryURL) -> Self:
        """Open, or say what was given."""
        if set(url.keywords) - set(cls.OPTIONS):
            raise iterlog.ConfigError(f"what is {dict(url.keywords)}?", url=str(url))
        return super().from_url(url)
