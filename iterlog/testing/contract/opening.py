"""The contract about opening, closing and saying what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import iterlog
from iterlog.testing.contract.base import ContractBase
from iterlog.testing.samples import fill, filled, numbers, sample, with_option

if TYPE_CHECKING:
    from collections.abc import Callable


class Opening(ContractBase):
    """Tests of handles: options, names, ends, errors."""

    def test_new_history_is_empty(self, url: str) -> None:
        """A history nobody wrote to has no records and no damage, and is true all the same."""
        with iterlog.open_history(url) as history:
            assert (list(history), list(reversed(history)), len(history)) == ([], [], 0)
            assert (history.last(), history.get(0), history.tail()) == (None, None, [])
            assert history.verify() == iterlog.VerifyReport(0, iterlog.START)
            assert bool(history)

    def test_missing_history_is_refused_with_create_false(self, url: str) -> None:
        """With create=false a missing history is an error of its own kind, and one that is there opens."""
        with pytest.raises(iterlog.HistoryNotFoundError) as caught:
            iterlog.open_history(url, create=False)
        assert isinstance(caught.value, FileNotFoundError)
        filled(url, 1)
        with iterlog.open_history(url, create=False) as history:
            assert len(history) == 1

    def test_only_an_append_creates_a_history(self, url: str) -> None:
        """Opening, reading and closing leave a missing history missing (promise 6)."""
        with iterlog.open_history(url) as history:
            assert list(history) == []
        with pytest.raises(iterlog.HistoryNotFoundError):
            iterlog.open_history(url, create=False)

    def test_unknown_option_is_refused_with_a_hint(self, url: str) -> None:
        """A misspelt option is never ignored, and the message names the one that was meant (promise 10)."""
        with pytest.raises(iterlog.ConfigError, match="'durability'"):
            iterlog.open_history(url, durabilty="sync")
        with pytest.raises(iterlog.ConfigError, match="'durability'"):
            iterlog.open_history(with_option(url, "durabilty=sync"))

    def test_unusable_value_of_an_option_is_refused(self, url: str) -> None:
        """A value that an option does not take is refused by the option's name (promise 10)."""
        with pytest.raises(iterlog.ConfigError, match="durability"):
            iterlog.open_history(url, durability="perhaps")
        with pytest.raises(iterlog.ConfigError, match="on_damage"):
            iterlog.open_history(with_option(url, "on_damage=ignore"))

    def test_keyword_wins_over_the_query(self, url: str) -> None:
        """An option given as a keyword wins over the same option in the URL."""
        with iterlog.open_history(with_option(url, "create=false"), create=True) as history:
            fill(history, 1)
        assert numbers(url) == [0]

    def test_reopened_history_goes_on(self, url: str) -> None:
        """What was stored is there after closing and opening again, and the next record goes behind it (promise 3)."""
        filled(url, 2)
        filled(url, 2, first=2)
        assert numbers(url) == [0, 1, 2, 3]

    def test_histories_at_two_urls_do_not_mix(self, url: str, make_url: Callable[[], str]) -> None:
        """Two URLs that differ are two histories."""
        other = make_url()
        filled(url, 2)
        filled(other, 1, first=7)
        assert (numbers(url), numbers(other)) == ([0, 1], [7])

    def test_closed_handle_refuses_everything(self, url: str) -> None:
        """A closed handle says so, whatever it is asked, and writes nothing (promise 10)."""
        history = iterlog.open_history(url)
        fill(history, 1)
        history.close()
        assert history.closed
        calls: list[Callable[[], object]] = [
            lambda: history.append(sample(1)),
            lambda: history.extend([sample(1)]),
            lambda: history.save(code=None, metrics={}, feedback="", iteration=1),
            lambda: list(history.read()),
            lambda: list(reversed(history)),
            lambda: len(history),
            history.last,
            history.tail,
            lambda: history.get(0),
            lambda: list(history.lines()),
            lambda: list(history.follow(idle_s=0)),
            history.resume,
            history.verify,
            history.repair,
            history.flush,
        ]
        for call in calls:
            with pytest.raises(iterlog.HistoryClosedError):
                call()
        assert numbers(url) == [0]

    def test_close_twice_is_harmless(self, url: str) -> None:
        """A second close does nothing, and the end of a with statement is a close."""
        with iterlog.open_history(url) as history:
            fill(history, 1)
            history.close()
        history.close()
        assert history.closed
        with iterlog.open_history(url) as again:
            assert not again.closed
        assert again.closed

    def test_url_and_repr_show_where_and_nothing_else(self, url: str) -> None:
        """The url and the repr of a handle name the place, without options, and the repr tells when it is closed."""
        with iterlog.open_history(with_option(url, "on_damage=raise")) as history:
            assert "on_damage" not in history.url
            assert history.url == url.partition("?")[0]
            assert history.url in repr(history)
            opened = repr(history)
            assert "on_damage" not in opened
        assert repr(history) != opened

    def test_errors_name_the_history_without_secrets(self, url: str) -> None:
        """An error carries where it happened, and never a value that was given as an option (promise 10)."""
        secret = "hunter2-and-more"  # noqa: S105 - what must not be shown
        with pytest.raises(iterlog.ConfigError) as caught:
            iterlog.open_history(url, iterlog_contract_key=secret)
        shown = f"{caught.value} {caught.value!r} {caught.value.args} {caught.value.url}"
        assert secret not in shown
        assert caught.value.url == url.partition("?")[0]

        history = iterlog.open_history(url)
        history.close()
        with pytest.raises(iterlog.HistoryClosedError) as closed:
            history.last()
        assert closed.value.url == url.partition("?")[0]
