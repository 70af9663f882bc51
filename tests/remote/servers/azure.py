"""Azure's blob storage, as azurite speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from servers.place import BackDoor, ObjectServer
from servers.process import HOST, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

# The account that emulators of this service have built in, published by its maker; it opens nothing else.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class AzureServer(ObjectServer):
    """Azurite, in memory: it creates a blob only once when asked to, and checks credentials."""

    def __init__(self, process: ServerProcess) -> None:
        super().__init__(process)
        self._client = BlobServiceClient.from_connection_string(_connection(self.address))

    @property
    def scheme(self) -> str:
        """How its URLs begin."""
        return "az"

    def options(self, address: str) -> dict[str, Any]:  # noqa: ARG002  # adlfs takes plain HTTP from the environment only
        """Return the storage options of adlfs: none."""
        return {}

    def environment(self, address: str) -> dict[str, str]:
        """Return the connection string, which is where adlfs looks first."""
        return {"AZURE_STORAGE_CONNECTION_STRING": _connection(address)}

    def make_bucket(self, name: str) -> BackDoor:
        """Make a container and return the door to it."""
        return _AzureDoor(self._client.create_container(name))

    def close(self) -> None:
        """End the server and the door's connections."""
        self._client.close()
        super().close()


def start_azurite(program: Sequence[str]) -> AzureServer:
    """Start azurite's blob service; what it holds is gone when it ends."""
    process = ServerProcess(
        lambda port: [
            *program,
            "--inMemoryPersistence",
            "--skipApiVersionCheck",  # adlfs follows the service's versions faster than azurite does
            "--disableTelemetry",
            "--silent",
            "--blobHost",
            HOST,
            "--blobPort",
            str(port),
        ]
    )
    process.start()
    return AzureServer(process)


def _connection(address: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://{address}/{ACCOUNT};"
    )


class _AzureDoor:
    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def put(self, key: str, data: bytes) -> None:
        self._container.upload_blob(key, data, overwrite=True)

    def get(self, key: str) -> bytes | None:
        try:
            return self._container.download_blob(key).readall()
        except ResourceNotFoundError:
            return None

    def delete(self, key: str) -> None:
        try:
            self._container.delete_blob(key)
        except ResourceNotFoundError:
            return

    def names(self, prefix: str = "") -> list[str]:
        return sorted(self._container.list_blob_names(name_starts_with=prefix or None))
