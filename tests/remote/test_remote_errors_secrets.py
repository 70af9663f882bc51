"""What a store's client was given in secret stays out of all that people and files get to see."""

from __future__ import annotations

import base64
import logging
import os
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from fault_proxy import FaultProxy, always
from places import history_url
from refusals import Refusal
from servers.azure import ACCOUNT
from servers.process import HOST, free_port

import iterlog
from iterlog.remote import filesystem

if TYPE_CHECKING:
    from fault_proxy import Fault
    from servers import Place

SECRET = "hunter2hunter2hunter2"
ENCODED = base64.b64encode(SECRET.encode()).decode().rstrip("=")
IN_A_STRING = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};BlobEndpoint=http://{{}}/{ACCOUNT};"

GIVEN: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "s3 environment": (
        "s3",
        {"AWS_ACCESS_KEY_ID": f"K{SECRET}", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SECRET},
        {},
    ),
    "s3 options": ("s3", {}, {"key": f"K{SECRET}", "secret": SECRET, "token": SECRET}),
    "s3 client": ("s3", {}, {"client_kwargs": {"aws_secret_access_key": SECRET, "aws_access_key_id": SECRET}}),
    "azure key": ("azure", {"AZURE_STORAGE_CONNECTION_STRING": f"{IN_A_STRING}AccountKey={ENCODED}"}, {}),
    "azure signature": (
        "azure",
        {"AZURE_STORAGE_CONNECTION_STRING": f"{IN_A_STRING}SharedAccessSignature=sv=2022-11-02&sp=rl&sig={ENCODED}%3D"},
        {},
    ),
    "azure options": ("azure", {}, {"connection_string": f"{IN_A_STRING}AccountKey={ENCODED}"}),
    "gcs options": ("gcs", {}, {"token": {"access_token": SECRET, "refresh_token": SECRET, "client_secret": SECRET}}),
    "gcs text": ("gcs", {}, {"token": SECRET}),
}


@pytest.fixture(params=GIVEN)
def given(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Place, dict[str, Any]]:
    """A bucket, and secrets for it in the environment or in options; ``{}`` stands for the server's address."""
    store, environment, options = GIVEN[request.param]
    place: Place = request.getfixturevalue(store)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return place, options


@pytest.mark.parametrize("fault", [Refusal(403, "SignatureDoesNotMatch"), Refusal(400, "ExpiredToken")])
def test_no_secret_is_in_what_a_refusal_leaves(
    fault: Fault,
    given: tuple[Place, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither message, repr, traceback and pickle of the error, nor the history's repr, nor any line of any log."""
    place, options = given
    caplog.set_level(logging.INFO)
    with FaultProxy(place.server.address) as proxy, proxy.failing(always(fault)):
        _check(place, options, proxy.address, monkeypatch, caplog)


def test_no_secret_is_in_what_a_store_that_is_away_leaves(
    given: tuple[Place, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same where nobody answers."""
    place, options = given
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(filesystem, "_AWAY_PATIENCE_S", 0.1)
    _check(place, options, f"{HOST}:{free_port()}", monkeypatch, caplog)


def _check(
    place: Place,
    options: dict[str, Any],
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    near = place.through(address)
    name = "AZURE_STORAGE_CONNECTION_STRING"
    if name in near.environment:
        monkeypatch.setenv(name, os.environ[name].replace("{}", address))
        options = {key: value.replace("{}", address) for key, value in options.items()}
    url = history_url(near).replace("&fs.anon=true", "")
    shown: list[str] = []
    for call in ("read", "write"):
        try:
            with iterlog.open_history(url, storage_options=options) as history:
                shown += [repr(history), str(history), history.url]
                if call == "read":
                    list(history.read())
                else:
                    history.save(code=None, metrics={}, feedback="")
        except iterlog.IterlogError as error:
            shown += [str(error), repr(error), "".join(traceback.format_exception(error)), str(pickle.dumps(error))]
    formatter = logging.Formatter()
    shown += [formatter.format(record) for record in caplog.records]
    assert len(shown) > 4
    for text in shown:
        assert SECRET not in text
        assert ENCODED not in text
