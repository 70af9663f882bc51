"""What the tests of remote histories share: the URL of a history in a bucket, and a door to its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bucket_doors import corrupt_commit

if TYPE_CHECKING:
    from servers import BackDoor, Place


def history_url(place: Place, scheme: str = "", **options: object) -> str:
    """Return the URL of a history in a bucket, with what reaches its server in the query.

    Args:
        place: The bucket.
        scheme: How the URL begins; the bucket's own scheme by default.
        **options: More for the query.
    """
    query = {f"fs.{name}": value for name, value in place.options.items() if name != "token"}
    if place.options.get("token") == "anon":
        query["fs.anon"] = "true"
    options = {**query, **options}
    mark = "?" if options else ""
    return f"{scheme or place.url.partition(':')[0]}://{place.bucket}/runs{mark}{urlencode(options, safe=':/')}"


def key_in_bucket(url: str, key: str) -> str:
    """Return the key of an object of a history, inside its bucket."""
    return f"{url.partition('?')[0].partition('://')[2].partition('/')[2]}/{key}"


class PlaceBucket:
    """The objects of a place, for `corrupt_commit`."""

    def __init__(self, door: BackDoor) -> None:
        self._door = door

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin so."""
        return self._door.names(prefix)

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        data = self._door.get(key)
        assert data is not None
        return data

    def write(self, key: str, data: bytes) -> None:
        """Put an object."""
        self._door.put(key, data)


def corrupt_at(place: Place, url: str, index: int) -> None:
    """Change a byte of a record of the history at a URL in this place."""
    corrupt_commit(PlaceBucket(place.back_door), key_in_bucket(url, "").rstrip("/"), index)
