"""The contract on a server that speaks Azure's blob storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from places import history_url
from remote_contract import RemoteContract

import iterlog

if TYPE_CHECKING:
    from servers import Place


class TestRemoteHistoryOnAzure(RemoteContract):
    """A remote history on Azure keeps the contract, processes included."""

    @pytest.fixture
    def place(self, azure: Place) -> Place:
        """A new container."""
        return azure


@pytest.mark.parametrize("scheme", ["abfs", "abfss"])
def test_a_container_has_several_schemes_and_needs_no_prefix(scheme: str, azure: Place) -> None:
    """What was written by one scheme is read and resumed by another, also where the container is the history."""
    url = history_url(azure).removesuffix("/runs")
    with iterlog.open_history(url) as history:
        history.save(code="pass", metrics={"loss": 1.0}, feedback="go on")
    with iterlog.open_history(url.replace("az://", f"{scheme}://")) as again:
        point = again.resume()
        again.save(code="pass", metrics={}, feedback="")
    assert (point.next_iteration, point.feedback) == (1, "go on")
    assert "log/0000000000/0000000000000000.jsonl" in azure.back_door.names()
    with iterlog.open_history(url) as history:
        assert [record.iteration for record in history.read()] == [0, 1]
