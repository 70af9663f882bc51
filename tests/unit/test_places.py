"""Which history a URL means: what has one spool, and one place for each copy."""

from __future__ import annotations

import pytest

from iterlog import HistoryURL
from iterlog.places import identity_of

PLAIN = "s3://bucket/run"
HERE, THERE = "http://here:9000", "http://there:9000"


def identity(url: str, **options: object) -> str:
    """Return what tells the history at a URL from others."""
    return identity_of(HistoryURL.parse(url, **options))


@pytest.mark.parametrize(
    "storage_options",
    [{"endpoint_url": HERE}, {"client_kwargs": {"endpoint_url": HERE}}, {"account_name": "ours"}],
    ids=".".join,
)
def test_another_endpoint_is_another_history(storage_options: dict[str, object]) -> None:
    """The same bucket and prefix in another store, named by a dict: no spool of the one is drained into the other."""
    changed = {name: {"endpoint_url": THERE} if name == "client_kwargs" else THERE for name in storage_options}
    found = {identity(PLAIN), identity(PLAIN, storage_options=storage_options)}
    assert len(found | {identity(PLAIN, storage_options=changed)}) == 3


def test_an_endpoint_is_the_same_however_it_is_given() -> None:
    """In the query, as a keyword, or in a dict."""
    in_query = identity(f"{PLAIN}?fs.endpoint_url={HERE}")
    assert in_query == identity(PLAIN, storage_options={"endpoint_url": HERE})
    assert in_query == identity(PLAIN, **{"fs.endpoint_url": HERE})


def test_new_credentials_leave_a_history_what_it_is() -> None:
    """What waits in a spool is found again when a key was changed, and no secret makes a name."""
    old = identity(PLAIN, storage_options={"key": "one", "secret": "hunter2", "endpoint_url": HERE})
    assert old == identity(PLAIN, storage_options={"key": "two", "secret": "swordfish", "endpoint_url": HERE})
