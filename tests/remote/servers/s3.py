"""Two servers that speak S3: moto, which keeps the conditions of a request, and rclone, which does not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from servers.place import BackDoor, ObjectServer
from servers.process import HOST, ServerProcess, our_modules

if TYPE_CHECKING:
    from pathlib import Path

KEY, SECRET = "fake-key", "fake-secret-key"
_REGION = "us-east-1"
_MOTO = [sys.executable, "-m", "servers.durable_moto"]


class S3Server(ObjectServer):
    """A server that speaks S3, path style."""

    def __init__(self, process: ServerProcess) -> None:
        super().__init__(process)
        self._client = boto3.client(
            "s3",
            endpoint_url=f"http://{self.address}",
            region_name=_REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}),
        )

    @property
    def scheme(self) -> str:
        """How its URLs begin."""
        return "s3"

    def options(self, address: str) -> dict[str, Any]:
        """Return the storage options of s3fs."""
        return {"endpoint_url": f"http://{address}"}

    def environment(self, address: str) -> dict[str, str]:  # noqa: ARG002  # the address is an option here
        """Return what botocore reads, and keep it from the files and the metadata server of a real account."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> BackDoor:
        """Make a bucket and return the door to it."""
        self._client.create_bucket(Bucket=name)
        return _S3Door(self._client, name)

    def close(self) -> None:
        """End the server and the door's connections."""
        self._client.close()
        super().close()


def start_moto(folder: Path) -> S3Server:
    """Start moto: it honours ``If-None-Match: *``, checks no credentials, and keeps its objects over a kill."""
    process = ServerProcess(lambda port: [*_MOTO, HOST, str(port), str(folder / "journal")], our_modules())
    process.start()
    return S3Server(process)


def start_rclone(program: str, folder: Path) -> S3Server:
    """Start ``rclone serve s3`` on a folder: it checks credentials and ignores ``If-None-Match``."""
    process = ServerProcess(
        lambda port: [program, "serve", "s3", "--addr", f"{HOST}:{port}", str(folder)],
        {"RCLONE_AUTH_KEY": f'"{KEY},{SECRET}"', "RCLONE_CONFIG": "/dev/null"},
    )
    process.start()
    return S3Server(process)


class _S3Door:
    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def get(self, key: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        with answer["Body"] as body:
            return bytes(body.read())

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def names(self, prefix: str = "") -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))
