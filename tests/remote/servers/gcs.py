"""Two servers that speak the JSON interface of Google's storage: our strict fake, and an emulator that is lax."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from servers.place import BackDoor, ObjectServer
from servers.process import HOST, ServerProcess, our_modules

if TYPE_CHECKING:
    from pathlib import Path

_JSON = "application/json"
_FAKE = [sys.executable, "-m", "servers.strict_gcs"]


class GCSServer(ObjectServer):
    """A server that speaks the JSON interface, anonymously."""

    @property
    def scheme(self) -> str:
        """How its URLs begin."""
        return "gs"

    def options(self, address: str) -> dict[str, Any]:
        """Return the storage options of gcsfs; without ``anon`` it looks for a real account."""
        return {"endpoint_url": f"http://{address}", "token": "anon"}

    def environment(self, address: str) -> dict[str, str]:  # noqa: ARG002  # the address is an option here
        """Return what keeps gcsfs from asking Google, over gRPC, which kind of bucket it has before it."""
        return {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}

    def make_bucket(self, name: str) -> BackDoor:
        """Make a bucket and return the door to it."""
        _call("POST", f"http://{self.address}/storage/v1/b?project=tests", json.dumps({"name": name}).encode(), _JSON)
        return _GCSDoor(self.address, name)

    def requests(self) -> list[dict[str, str]]:
        """Return what the strict fake was asked, oldest first: method, path, and the query's parameters."""
        answer: list[dict[str, str]] = json.loads(_call("GET", f"http://{self.address}/_requests"))
        return answer


def start_strict_gcs(folder: Path) -> GCSServer:
    """Start our own fake: it keeps ``ifGenerationMatch=0``, tells what it was asked, and keeps objects over a kill."""
    process = ServerProcess(lambda port: [*_FAKE, HOST, str(port), str(folder / "journal")], our_modules())
    process.start()
    return GCSServer(process)


def start_gcs_emulator(program: str) -> GCSServer:
    """Start gcp-storage-emulator, which ignores ``ifGenerationMatch``."""
    process = ServerProcess(lambda port: [program, "start", "--host", HOST, "--port", str(port), "--in-memory"])
    process.start()
    return GCSServer(process)


class _GCSDoor:
    def __init__(self, address: str, bucket: str) -> None:
        self._objects = f"http://{address}/storage/v1/b/{bucket}/o"
        self._upload = f"http://{address}/upload/storage/v1/b/{bucket}/o"

    def put(self, key: str, data: bytes) -> None:
        _call("POST", f"{self._upload}?{urlencode({'uploadType': 'media', 'name': key})}", data)

    def get(self, key: str) -> bytes | None:
        try:
            return _call("GET", f"{self._objects}/{quote(key, safe='')}?alt=media")
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        try:
            _call("DELETE", f"{self._objects}/{quote(key, safe='')}")
        except FileNotFoundError:
            return

    def names(self, prefix: str = "") -> list[str]:
        names: list[str] = []
        wanted = {"prefix": prefix}
        while True:
            page = json.loads(_call("GET", f"{self._objects}?{urlencode(wanted)}"))
            names += [found["name"] for found in page.get("items", [])]
            if "nextPageToken" not in page:
                return sorted(names)
            wanted["pageToken"] = page["nextPageToken"]


def _call(method: str, url: str, data: bytes | None = None, kind: str = "application/octet-stream") -> bytes:
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(url) from None
            raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode()}") from None
