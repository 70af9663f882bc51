"""Refusals in the words of a store that its stand-ins on this machine never use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from fault_proxy import Fault
from fault_proxy.answers import Message
from fault_proxy.wire import Head

if TYPE_CHECKING:
    from fault_proxy.exchange import Exchange


@dataclass(frozen=True)
class Refusal(Fault):
    """An error with a code of its own comes back, and the server was never asked."""

    status: int
    code: str

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.body.whole()
        if exchange.request.dialect == "gcs":
            body = json.dumps({"error": {"code": self.status, "message": self.code}}).encode()
        else:
            body = f"<?xml version='1.0'?><Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        lines = (
            ("Content-Type", "application/json" if exchange.request.dialect == "gcs" else "application/xml"),
            ("x-ms-error-code", self.code),
            ("Content-Length", str(len(body))),
        )
        first = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        await exchange.send(Message(Head(first, lines), b"" if exchange.request.method == "HEAD" else body))
