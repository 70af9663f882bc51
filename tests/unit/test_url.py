"""A history is named strictly: what is meant is clear, and what is not clear is refused."""

from __future__ import annotations

import os
import pickle
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from iterlog import ConfigError, Durability, HistoryURL, open_history
from iterlog.url import DEFAULT_HISTORY

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the user's environment says out of the tests."""
    for name in [name for name in os.environ if name.startswith("ITERLOG_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "path", "query"),
    [
        ("run.jsonl", "file", "", "run.jsonl", {}),
        ("/abs/run.jsonl", "file", "", "/abs/run.jsonl", {}),
        ("run.jsonl?durability=flush&create=no", "file", "", "run.jsonl", {"durability": "flush", "create": "no"}),
        ("what?.jsonl", "file", "", "what?.jsonl", {}),
        ("what?/run=1.jsonl", "file", "", "what?/run=1.jsonl", {}),
        ("100%25.jsonl", "file", "", "100%25.jsonl", {}),
        ("a#b.jsonl", "file", "", "a#b.jsonl", {}),
        ("user@host.jsonl", "file", "", "user@host.jsonl", {}),
        ("file:///abs/run.jsonl", "file", "", "/abs/run.jsonl", {}),
        ("FILE:///abs/run.jsonl", "file", "", "/abs/run.jsonl", {}),
        ("file://localhost/abs/run.jsonl", "file", "localhost", "/abs/run.jsonl", {}),
        ("jsonl:///abs/a%20b%3F%23.jsonl?durability=sync", "jsonl", "", "/abs/a b?#.jsonl", {"durability": "sync"}),
        ("jsonl:///abs/%C3%A9.jsonl", "jsonl", "", "/abs/é.jsonl", {}),
        ("jsonl:///abs/%FF.jsonl", "jsonl", "", "/abs/\udcff.jsonl", {}),
        ("jsonl:///abs/a@b.jsonl", "jsonl", "", "/abs/a@b.jsonl", {}),
        ("memory://name", "memory", "name", "", {}),
        ("memory://my%20name/part", "memory", "my name", "/part", {}),
        ("s3://bucket/a/b?fs.endpoint_url=http%3A%2F%2Flocalhost%3A9000", "s3", "bucket", "/a/b",
         {"fs.endpoint_url": "http://localhost:9000"}),
        ("http://localhost:9000/x", "http", "localhost:9000", "/x", {}),
        ("http://[::1]:9000/x", "http", "[::1]:9000", "/x", {}),
        ("x+y-z.1://h", "x+y-z.1", "h", "", {}),
    ],
)  # fmt: skip
def test_paths_and_urls(text: str, scheme: str, host: str, path: str, query: dict[str, str]) -> None:
    """Scheme, host, path and options of each way to name a history."""
    url = HistoryURL.parse(text)
    assert (url.scheme, url.host, url.path, url.query) == (scheme, host, path, query)


def test_a_path_object_is_meant_literally() -> None:
    """A PathLike reaches any file name, also one that reads like a path with options or a URL."""
    for name in ("run.jsonl?durability=flush", "100%25", "memory:/name"):
        url = HistoryURL.parse(Path(name))
        assert (url.scheme, url.path, url.query, str(url)) == ("file", name, {}, name)


def test_what_is_meant_when_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is $ITERLOG_URL, and without that, or with an empty one, the default file."""
    assert HistoryURL.parse(None).path == DEFAULT_HISTORY == "iteration_history.jsonl"
    monkeypatch.setenv("ITERLOG_URL", "memory://x?create=false")
    assert str(HistoryURL.parse(None)) == "memory://x"
    assert HistoryURL.parse(None).query == {"create": "false"}
    monkeypatch.setenv("ITERLOG_URL", "")
    assert HistoryURL.parse(None).path == DEFAULT_HISTORY


def test_the_environment_does_not_override_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """$ITERLOG_URL counts only when no history is named."""
    monkeypatch.setenv("ITERLOG_URL", "memory://other")
    assert HistoryURL.parse("mine.jsonl").path == "mine.jsonl"


@pytest.mark.parametrize(
    "given",
    [
        "", b"run.jsonl", 5, ["run.jsonl"], "a\0b", "file:///a%00b", "file:///a\nb", "memory://a\tb", "file:///a#b",
        "my_scheme://x", " memory://x", "://x", "1s3://bucket", "http://[::1/x", "http://host:port/x",
        "jsonl:///x?create", "jsonl:///x?=1", "jsonl:///x?create=%FF", "jsonl:///x?create=1&create=0",
    ],
)  # fmt: skip
def test_what_names_no_history(given: Any) -> None:
    """Emptiness, other types, control characters, fragments, wrong schemes and queries are refused."""
    with pytest.raises(ConfigError):
        HistoryURL.parse(given)


class BytesPath:
    """A path-like object of bytes."""

    def __fspath__(self) -> bytes:
        return b"run.jsonl"


def test_a_path_of_bytes() -> None:
    """Bytes are no name; the message says how to make them one."""
    with pytest.raises(ConfigError, match="fsdecode"):
        HistoryURL.parse(BytesPath())  # type: ignore[arg-type]  # what os.fspath may give


def test_two_slashes_for_three() -> None:
    """``jsonl://name`` names a host: the message shows the URL that was meant."""
    for text, meant in (("jsonl://runs/a.jsonl", "jsonl:///runs/a.jsonl"), ("file://run.jsonl", "file:///run.jsonl")):
        with pytest.raises(ConfigError, match=meant):
            open_history(text)
    with pytest.raises(ConfigError, match="no file"):
        open_history("file://")
    with pytest.raises(ConfigError, match="memory://name"):
        open_history("memory://")


def test_localhost_is_this_machine(tmp_path: Path) -> None:
    """``file://localhost/…`` is the same file as ``file:///…``."""
    with open_history(f"file://localhost{tmp_path}/a.jsonl") as one, open_history(tmp_path / "a.jsonl") as two:
        one.save(code="x", metrics={}, feedback="")
        assert len(two) == 1


def test_options_of_a_path(tmp_path: Path) -> None:
    """A path given as text carries options; they are not part of the file's name."""
    with open_history(f"{tmp_path}/a.jsonl?durability=flush") as history:
        history.save(code="x", metrics={}, feedback="")
        assert history._durability is Durability.FLUSH
    assert (tmp_path / "a.jsonl").exists()


def test_what_is_shown_is_without_options() -> None:
    """``str`` names the place alone; the same for messages and logs."""
    for text in ("jsonl:///a/b%20c?durability=flush", "run.jsonl?durability=flush"):
        assert str(HistoryURL.parse(text)) == text.partition("?")[0]


SECRET = "hUnter2"
LEAKS = [
    f"s3://KEY:{SECRET}@bucket/path",
    f"s3://{SECRET}@bucket/path",
    f"s3://KEY:abc/{SECRET}@bucket/path",
    f"s3://KEY:abc/{SECRET}/x@y@bucket/path",
    f"s3://KEY:abc?{SECRET}@bucket/path",
    f"s3://KEY:{SECRET}?x@bucket/path?a=b",
    f"s3://KEY:{SECRET}#x@bucket/path",
    f"s3://KEY:abc#{SECRET}@bucket",
    f"s3://KEY:{SECRET}/bucket",
    f"s3://KEY%3A{SECRET}%40bucket/path",
    f"s3://KEY:{SECRET}%40bucket/path",
    f" s3://KEY:{SECRET}@bucket/path",
    f"s3 ://KEY:{SECRET}@bucket/path",
    f"s3://[{SECRET}@bucket",
    f"http://:{SECRET}@",
    f"jsonl:///x?{SECRET}",
    f"jsonl:///x#{SECRET}",
    *(
        f"{base}?{name}={SECRET}"
        for base in ("run.jsonl", "jsonl:///x", "s3://bucket/x")
        for name in (
            "password", "passwd", "pwd", "passphrase", "pass", "secret", "fs.secret", "token", "session_token",
            "apikey", "api_key", "API-KEY", "access_key", "fs.key", "account_key", "credential", "signature", "sig",
            "authorization", "private_key", "unknown_name",
        )
    ),
]  # fmt: skip


def _everything_of(error: BaseException) -> str:
    again = pickle.loads(pickle.dumps(error))
    shown = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(again), str(again)]
    return " ".join([*shown, *traceback.format_exception(error, limit=0)])


def _leaked(text: str, parse: Callable[[str], object], caplog: pytest.LogCaptureFixture) -> bool:
    try:
        parse(text)
    except ConfigError as error:
        return SECRET in _everything_of(error) or SECRET in caplog.text
    return True


@pytest.mark.parametrize("text", LEAKS)
def test_no_secret_is_accepted_or_shown(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Credentials in a URL are refused, and neither the message nor its repr, pickle, traceback or log shows them."""
    assert not _leaked(text, open_history, caplog)


def test_a_message_that_shows_the_url_as_given_is_noticed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken variant: were the URL put into the message as it came, the secret would be seen."""

    def show_all(text: str) -> None:
        raise ConfigError("wrong", url=text)

    assert _leaked(LEAKS[0], show_all, caplog)
    monkeypatch.setattr("iterlog.url._SECRET", re.compile("never"))
    assert _leaked(f"s3://bucket/x?token={SECRET}", HistoryURL.parse, caplog)


def test_no_keyword_is_shown() -> None:
    """The value of an option that is refused, or that a backend takes as a keyword, stays out of messages and reprs."""
    with pytest.raises(ConfigError) as caught:
        open_history("memory://x", password=SECRET)
    assert SECRET not in _everything_of(caught.value)
    assert SECRET not in repr(HistoryURL.parse("memory://x", password=SECRET))


def test_messages_say_where() -> None:
    """The place behind the credentials is shown, so that the user finds the URL."""
    with pytest.raises(ConfigError, match="bucket/path") as caught:
        HistoryURL.parse(f"s3://KEY:abc/{SECRET}@bucket/path?x=y")
    assert caught.value.url == "s3://…@bucket/path"
