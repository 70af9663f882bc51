"""The marker of a remote history: damaged, or of a format to come, it refuses appends and hides nothing."""

from __future__ import annotations

import pytest
from appended import record
from small_buckets import Objects, append_singles, opened, url

from iterlog import CorruptionError, IterlogError, UnsupportedOperationError
from iterlog.remote.layout import MARKER

__all__ = ["url"]  # a fixture

OF_A_NEWER_FORMAT = b'{"format":2,"records_per_bucket":1000}'


@pytest.mark.parametrize(
    ("marker", "refusal"),
    [
        (b"", CorruptionError),
        (b"\x00" * 100, CorruptionError),
        (b"[]", CorruptionError),
        (b"{}", CorruptionError),
        (b"[" * 100_000, CorruptionError),
        (b'{"format":1,"records_per_bucket":' + b"9" * 5000 + b"}", CorruptionError),
        (OF_A_NEWER_FORMAT, UnsupportedOperationError),
    ],
    ids=lambda value: value[:20].decode() if isinstance(value, bytes) else None,
)
def test_a_marker_that_cannot_be_read_refuses_appends_only(
    url: str, marker: bytes, refusal: type[IterlogError]
) -> None:
    """Whatever stands there, it is one error of ours, and all is read as before."""
    append_singles(url, 3)
    Objects(url).write(MARKER, marker)
    with opened(url) as history:
        with pytest.raises(refusal):
            history.append(record("four"))
        assert [each.iteration for each in history] == [0, 1, 2]
