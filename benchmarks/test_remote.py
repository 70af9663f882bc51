"""The remote benchmarks run as tests, briefly, so that they cannot rot; times are not judged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.remote import append_contest, read_contest, resume_contest, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.remote import Server

pytest.importorskip("moto", reason="moto is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Moto's S3."""
    with served() as running:
        yield running


@pytest.mark.parametrize("writers", [1, 3])
def test_every_append_is_timed(server: Server, writers: int) -> None:
    """Both contestants make as many objects of the same records."""
    before = dict.fromkeys(server.system.ls(""))
    assert append_contest(server, writers, 4).rounds == 3
    made = [bucket for bucket in server.system.ls("") if bucket not in before]
    assert len(made) == writers
    for bucket in made:
        keys = server.system.find(bucket)
        ours, bare = ([key for key in keys if f"/run/{folder}/" in key] for folder in ("log", "bare"))
        assert (len(ours), len(bare)) == (4, 3)


def test_resume_goes_on_behind_the_last_record(server: Server) -> None:
    """The contest checks what it times."""
    assert resume_contest(server, 20, 2).rounds == 2


def test_sealed_records_are_all_read(server: Server) -> None:
    """The contest seals its buckets and reads every record."""
    assert read_contest(server, 1, 2).bytes_each > 4000
