"""Storage options, packages and protocols that do not fit: said before anything is asked, or at the first request."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.implementations.cached import SimpleCacheFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from places import history_url

import iterlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Place


def first_request(url: str, **options: object) -> None:
    """Open a history and look at its end."""
    with iterlog.open_history(url, **options) as history:
        history.last()


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("s3://bucket/runs?fs.endpint_url=http://x", "fs.endpoint_url"),
        ("gs://bucket/runs?fs.projekt=x", "fs.project"),
        ("az://bucket/runs?fs.acount_name=x", "fs.account_name"),
        ("s3://bucket/runs?fs.client_kwargs=x&fs.client_kwargs.region_name=x", "client_kwargs"),
        ("s3://bucket/runs?fs.endpoint_url=http://me:hunter2@host", "fs.endpoint_url"),
        ("s3://bucket/runs?fs.secret=hunter2", "fs.secret"),
        ("s3://bucket/runs?fs.client_kwargs.aws_secret_access_key=hunter2", "aws_secret_access_key"),
        ("az://bucket/runs?fs.connection_string=hunter2", "fs.connection_string"),
        ("az://bucket/runs?fs.sas_token=hunter2", "fs.sas_token"),
        ("s3://bucket/runs?level=23", "level"),
        ("s3://bucket/a//b", "empty parts"),
        ("s3://bucket/../b", "'..'"),
        ("s3:///b", "s3://bucket/prefix"),
    ],
)
def test_what_is_wrong_in_a_url_is_named_at_once(url: str, named: str) -> None:
    """A misspelt, misplaced or secret option, and a prefix that is none; a secret is not repeated."""
    with pytest.raises(iterlog.ConfigError) as caught:
        iterlog.open_history(url)
    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [{"storage_options": "key=x"}, {"filesystem": "s3"}, {"storage_options": {"nope": 1}}]
)
def test_keywords_of_a_wrong_kind_are_refused(given: dict[str, Any]) -> None:
    """A dict is a dict, a file system is one, and a name is one that the client knows."""
    with pytest.raises(iterlog.ConfigError, match=r"storage|fsspec"):
        iterlog.open_history("s3://bucket/runs", **given)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("fs.client_kwargs.nonsense=1", "nonsense"),
        ("fs.config_kwargs.nonsense=1", "nonsense"),
        ("fs.profile=nonsense", "ProfileNotFound"),
        ("fs.endpoint_url=nonsense", "options"),
    ],
)
def test_options_that_only_the_client_understands_are_named_by_the_first_request(
    option: str, named: str, s3: Place
) -> None:
    """It fails at once, with an error about options and not about the network."""
    with pytest.raises(iterlog.ConfigError, match=named):
        first_request(f"{s3.url}/runs?{option}")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("s3://b/r", "s3fs", "s3"), ("gs://b/r", "gcsfs.core", "gcs"), ("abfs://b/r", "adlfs", "azure")],
)
def test_a_missing_package_is_named_with_its_command(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message can be copied into a shell."""
    monkeypatch.setitem(sys.modules, module, None)
    for protocol in ("s3", "abfs"):
        monkeypatch.delitem(_registry, protocol, raising=False)
    with pytest.raises(iterlog.MissingDependencyError, match=rf"pip install 'iterlog\[{extra}\]'"):
        iterlog.open_history(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("local:///tmp/x/y", "path itself"),
        ("fsspec+file://tmp/y", "path itself"),
        ("http://host/x", "object store behind"),
        ("https://host:8080/x", "object store behind"),
        ("simplecache://x/y", "name that store itself"),
        ("dir://x/y", "name that store itself"),
        ("fsspec+zip://x/y", "name that store itself"),
        ("ftp://host/x", "where none stands"),
    ],
)
def test_protocols_that_cannot_hold_a_history_are_refused_with_words(url: str, words: str) -> None:
    """The words say what to name instead."""
    with pytest.raises(iterlog.UnsupportedOperationError, match=words):
        iterlog.open_history(url)


@pytest.mark.parametrize("url", ["simplecache::s3://bucket/x", "dir::s3://bucket/x"])
def test_chains_are_refused_with_words(url: str) -> None:
    """A chain is no scheme, and the message says what to give instead."""
    with pytest.raises(iterlog.ConfigError, match="filesystem="):
        iterlog.open_history(url)


@pytest.mark.parametrize(
    ("url", "words"), [("s33://bucket/x", "did you mean"), ("fsspec+nonsense://x/y", "no backend")]
)
def test_unknown_schemes_are_still_unknown(url: str, words: str) -> None:
    """What neither iterlog nor fsspec knows."""
    with pytest.raises(iterlog.ConfigError, match=words):
        iterlog.open_history(url)


class _LooksFirst(MemoryFileSystem):  # type: ignore[misc] # untyped
    """Creates as fsspec does in general: it looks first and writes then."""

    protocol = "looksfirst"
    pipe_file = fsspec.AbstractFileSystem.pipe_file


class _Overwrites(MemoryFileSystem):  # type: ignore[misc] # as above
    """Takes the condition and ignores it."""

    protocol = "overwrites"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:  # noqa: ARG002
        """Write over what is there."""
        super().pipe_file(path, value, mode="overwrite", **kwargs)


class _Creates(MemoryFileSystem):  # type: ignore[misc] # as above
    """A protocol of somebody else's that keeps the condition."""

    protocol = ("creates", "memory")


@pytest.fixture
def _others() -> Iterator[None]:
    for cls in (_LooksFirst, _Overwrites, _Creates):
        name = cls.protocol if isinstance(cls.protocol, str) else cls.protocol[0]
        fsspec.register_implementation(name, cls, clobber=True)
    yield
    for name in ("looksfirst", "overwrites", "creates"):
        _registry.pop(name)


@pytest.mark.usefixtures("_others")
@pytest.mark.parametrize("prefix", ["", "fsspec+"])
def test_any_protocol_of_fsspec_serves_that_passes_the_probe(prefix: str) -> None:
    """One that looks first is refused when it is opened, one that overwrites at its first append; others serve."""
    with pytest.raises(iterlog.UnsupportedOperationError, match="where none stands"):
        iterlog.open_history(f"{prefix}looksfirst://{prefix}x/runs")
    with (
        iterlog.open_history(f"{prefix}overwrites://{prefix}x/runs") as history,
        pytest.raises(iterlog.UnsupportedOperationError, match="If-None-Match"),
    ):
        history.save(code=None, metrics={}, feedback="")
    with iterlog.open_history(f"{prefix}creates://{prefix}x/runs") as history:
        history.save(code=None, metrics={}, feedback="")
        assert history.resume().next_iteration == 1


def test_a_given_cache_is_refused_also_behind_a_folder(tmp_path: object) -> None:
    """What keeps copies would not show what others append."""
    cache = SimpleCacheFileSystem(fs=fsspec.filesystem("memory"), cache_storage=str(tmp_path))
    for given in (cache, DirFileSystem("/x", cache)):
        with pytest.raises(iterlog.UnsupportedOperationError):
            iterlog.open_history("fsspec+memory://x/runs", filesystem=given)


def test_a_given_file_system_that_remembers_listings_is_asked_to_list_anew(s3: Place) -> None:
    """What another handle wrote since is there, although this client lists from memory by default."""
    given = fsspec.filesystem("s3", **s3.options, skip_instance_cache=True)
    url = history_url(s3)
    with iterlog.open_history(f"{s3.url}/runs", filesystem=given) as reader, iterlog.open_history(url) as writer:
        for i in range(3):
            writer.save(code=None, metrics={}, feedback="")
            assert [record.iteration for record in reader.read()] == list(range(i + 1))
    given.close_session(given.loop, given._s3creator)


def test_a_given_file_system_is_not_used_in_a_forked_child(s3: Place) -> None:
    """Its connections are the parent's: the child is told to open anew."""
    given = fsspec.filesystem("s3", **s3.options, skip_instance_cache=True)
    with iterlog.open_history(f"{s3.url}/runs", filesystem=given) as history:
        history.save(code=None, metrics={}, feedback="")
        child = os.fork()
        if not child:
            code = 1
            try:
                history.save(code=None, metrics={}, feedback="")
            except iterlog.ConfigError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert len(list(history.read())) == 1
    given.close_session(given.loop, given._s3creator)


def test_fsspecs_own_configuration_is_honoured_and_the_url_wins(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """``FSSPEC_S3_…`` and its files, which fsspec reads into one dict, say what the URL does not."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {**s3.options, "config_kwargs": {"read_timeout": 7}})
    with iterlog.open_history(f"{s3.url}/runs") as history:
        history.save(code=None, metrics={}, feedback="")
        assert history.last() is not None
    with pytest.raises(iterlog.ConfigError):
        first_request(f"{s3.url}/runs?fs.endpoint_url=nonsense")
