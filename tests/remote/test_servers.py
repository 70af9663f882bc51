"""The servers themselves: that they are what the tests on them take them for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servers import Place
    from servers.s3 import S3Server


def test_the_back_door_of_each_server_reaches_what_it_wrote(honest: Place) -> None:
    """Objects come and go through the back door alone."""
    _holds_what_it_is_given(honest)


def test_the_back_door_of_each_careless_server_reaches_what_it_wrote(careless: Place) -> None:
    """Objects come and go through the back door of a server that ignores conditions."""
    _holds_what_it_is_given(careless)


def _holds_what_it_is_given(place: Place) -> None:
    door = place.back_door
    assert door.names() == []
    assert door.get("log/1") is None
    door.put("log/1", b"one\n--==0==--\n")
    door.put("log/1", b"two\n--==0==--\n")
    door.put("seg/1", bytes(range(256)))
    assert (door.get("log/1"), door.get("seg/1")) == (b"two\n--==0==--\n", bytes(range(256)))
    assert (door.names(), door.names("log/")) == (["log/1", "seg/1"], ["log/1"])
    door.delete("log/1")
    door.delete("log/1")
    assert door.names() == ["seg/1"]


def test_each_bucket_is_new(moto_server: S3Server) -> None:
    """Two buckets of one server share nothing."""
    one, other = moto_server.fresh(), moto_server.fresh()
    one.back_door.put("key", b"")
    assert other.back_door.names() == []
