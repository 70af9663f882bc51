"""Errors as each kind of object store words them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from fault_proxy.wire import Head

if TYPE_CHECKING:
    from fault_proxy.wire import Dialect

_S3 = {
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
_AZURE = {
    409: "BlobAlreadyExists",
    412: "ConditionNotMet",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServerBusy",
}


@dataclass(frozen=True)
class Message:
    """An answer: its head, its body, and whether the connection carries another one after it."""

    head: Head
    body: bytes
    framed: bool = True

    def encoded(self) -> bytes:
        """Return it as sent."""
        return self.head.encoded() + self.body


def error(status: int, dialect: Dialect, method: str) -> Message:
    """Return an error in the words of a store; without a body where the method has none."""
    told = {"s3": _s3, "azure": _azure, "gcs": _gcs}[dialect](status)
    lines = (*told.head.lines, ("Content-Length", str(len(told.body))))
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return Message(Head(first, lines), b"" if method == "HEAD" else told.body)


def _s3(status: int) -> Message:
    code = _S3.get(status, "Unknown")
    condition = "<Condition>If-None-Match</Condition>" if code == "PreconditionFailed" else ""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on purpose</Message>{condition}</Error>"
    return Message(Head("", (("Content-Type", "application/xml"),)), body.encode())


def _azure(status: int) -> Message:
    code = _AZURE.get(status, "Unknown")
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on purpose</Message></Error>"
    return Message(Head("", (("Content-Type", "application/xml"), ("x-ms-error-code", code))), body.encode())


def _gcs(status: int) -> Message:
    body = json.dumps({"error": {"code": status, "message": "on purpose"}})
    return Message(Head("", (("Content-Type", "application/json"),)), body.encode())
