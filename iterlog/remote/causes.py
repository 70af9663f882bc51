"""Why a request failed, read from what the clients of the object stores raise.

s3fs turns most answers into FileNotFoundError, PermissionError or an OSError without a number, and what tells a missing
bucket from a missing key, or an unknown key from a wrong secret, is only in the exception behind it. So the whole chain
is looked at: codes of S3 and Azure, statuses of HTTP, and the names of the exceptions of those who connect.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Any

from iterlog.errors import AccessDeniedError, ConfigError, HistoryNotFoundError, IterlogError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Cause(enum.Enum):
    """What is known of a request that failed."""

    EXISTS = "an object of this name stands there"
    MISSING = "there is no such object"
    EMPTY = "the object has no bytes there"
    NO_BUCKET = "the bucket does not exist; create it, or check its name"
    UNKNOWN_KEY = "the store does not know the access key; check the credentials"
    WRONG_SECRET = "the secret does not belong to the access key; check the credentials"  # noqa: S105 - words
    EXPIRED = "the credentials have expired; renew them"
    NO_CREDENTIALS = "no credentials were found; give them as the store's own tools take them, in environment or files"
    NOT_ACCEPTED = "the store asks who this is: credentials are missing, wrong or expired"
    DENIED = "these credentials may not do this; the store's policy must allow to list, to read and to create"
    WRONG_ADDRESS = "the store does not serve this address; check region and endpoint"
    UNSUPPORTED = "the store does not implement what was asked"
    BUSY = "the store is busy"
    AWAY = "the store cannot be reached; check the network and the endpoint"
    SLOW = "the store gave no answer in time"
    OPTIONS = "the storage options do not fit"
    UNKNOWN = "the request failed"


_CODES = {
    "NoSuchBucket": Cause.NO_BUCKET,
    "ContainerNotFound": Cause.NO_BUCKET,
    "ContainerBeingDeleted": Cause.NO_BUCKET,
    "InvalidBucketName": Cause.NO_BUCKET,
    "InvalidResourceName": Cause.NO_BUCKET,
    "InvalidRange": Cause.EMPTY,
    "NoSuchKey": Cause.MISSING,
    "BlobNotFound": Cause.MISSING,
    "InvalidAccessKeyId": Cause.UNKNOWN_KEY,
    "InvalidClientTokenId": Cause.UNKNOWN_KEY,
    "SignatureDoesNotMatch": Cause.WRONG_SECRET,
    "AuthenticationFailed": Cause.WRONG_SECRET,
    "ExpiredToken": Cause.EXPIRED,
    "ExpiredTokenException": Cause.EXPIRED,
    "TokenRefreshRequired": Cause.EXPIRED,
    "InvalidToken": Cause.EXPIRED,
    "RequestExpired": Cause.EXPIRED,
    "AccessDenied": Cause.DENIED,
    "AllAccessDisabled": Cause.DENIED,
    "AuthorizationFailure": Cause.DENIED,
    "AuthorizationPermissionMismatch": Cause.DENIED,
    "InsufficientAccountPermissions": Cause.DENIED,
    "PublicAccessNotPermitted": Cause.DENIED,
    "NoAuthenticationInformation": Cause.NO_CREDENTIALS,
    "PermanentRedirect": Cause.WRONG_ADDRESS,
    "AuthorizationHeaderMalformed": Cause.WRONG_ADDRESS,
    "IllegalLocationConstraintException": Cause.WRONG_ADDRESS,
    "PreconditionFailed": Cause.EXISTS,
    "BlobAlreadyExists": Cause.EXISTS,
    "ConditionNotMet": Cause.EXISTS,
    "NotImplemented": Cause.UNSUPPORTED,
    "ConditionalRequestConflict": Cause.BUSY,
    "OperationAborted": Cause.BUSY,
    "SlowDown": Cause.BUSY,
    "ServiceUnavailable": Cause.BUSY,
    "ServerBusy": Cause.BUSY,
    "RequestTimeout": Cause.BUSY,
    "TooManyRequests": Cause.BUSY,
}
_STATUSES = {
    401: Cause.NOT_ACCEPTED,
    403: Cause.DENIED,
    404: Cause.MISSING,
    409: Cause.BUSY,
    412: Cause.EXISTS,
    416: Cause.EMPTY,
    429: Cause.BUSY,
    501: Cause.UNSUPPORTED,
    503: Cause.BUSY,
}
_NAMES = {
    "NoCredentialsError": Cause.NO_CREDENTIALS,
    "PartialCredentialsError": Cause.NO_CREDENTIALS,
    "CredentialRetrievalError": Cause.NO_CREDENTIALS,
    "DefaultCredentialsError": Cause.NO_CREDENTIALS,
    "ClientAuthenticationError": Cause.NO_CREDENTIALS,
    "RefreshError": Cause.EXPIRED,
    "SSOTokenLoadError": Cause.EXPIRED,
    "TokenRetrievalError": Cause.EXPIRED,
    "UnauthorizedSSOTokenError": Cause.EXPIRED,
    "ProfileNotFound": Cause.OPTIONS,
    "NoRegionError": Cause.OPTIONS,
    "InvalidRegionError": Cause.OPTIONS,
    "ConnectTimeoutError": Cause.AWAY,
    "ConnectionTimeoutError": Cause.AWAY,
    "ServiceRequestTimeoutError": Cause.AWAY,
    "ClientConnectorError": Cause.AWAY,
    "ClientConnectorDNSError": Cause.AWAY,
    "ConnectionRefusedError": Cause.AWAY,
    "gaierror": Cause.AWAY,
}
"""Exceptions of clients, by name: their packages are not imported to look for them.

Only those that prove that no connection was made. EndpointConnectionError and ServiceRequestError do not: they also
stand for a connection that was reset when the request had been sent.
"""

_BUILT_IN = (
    (FileExistsError, Cause.EXISTS),
    (FileNotFoundError, Cause.MISSING),
    (PermissionError, Cause.DENIED),
    (TimeoutError, Cause.SLOW),
    ((TypeError, ValueError, LookupError, AttributeError), Cause.OPTIONS),
)

FINAL = {
    Cause.NO_BUCKET,
    Cause.UNKNOWN_KEY,
    Cause.WRONG_SECRET,
    Cause.EXPIRED,
    Cause.NO_CREDENTIALS,
    Cause.NOT_ACCEPTED,
    Cause.DENIED,
    Cause.WRONG_ADDRESS,
    Cause.UNSUPPORTED,
}
"""Answers that another request would get as well."""

_OF_CREDENTIALS = {
    Cause.UNKNOWN_KEY,
    Cause.WRONG_SECRET,
    Cause.EXPIRED,
    Cause.NO_CREDENTIALS,
    Cause.NOT_ACCEPTED,
    Cause.DENIED,
}
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w{1,40})'")


def cause_of(error: BaseException, before: BaseException | None = None) -> Cause:
    """Return why a request failed: the most exact thing that any exception of the chain says.

    Args:
        error: What it raised.
        before: What was being handled when it was made, which Python chains to it: it has nothing to say here.
    """
    chain = list(_chain(error, before))
    for look in (_by_code, _by_status, _by_name, _by_type):
        for each in chain:
            cause = look(each)
            if cause is not None:
                return cause
    return Cause.UNKNOWN


def error_of(cause: Cause, detail: str, url: str) -> IterlogError:
    """Return what the user is told when a request was refused and nothing was done."""
    message = f"{cause.value} ({detail})" if detail else cause.value
    if cause is Cause.NO_BUCKET:
        return HistoryNotFoundError(message, url=url)
    if cause in _OF_CREDENTIALS:
        return AccessDeniedError(message, url=url)
    if cause in {Cause.WRONG_ADDRESS, Cause.OPTIONS}:
        return ConfigError(message, url=url)
    return UnavailableError(f"{message}; nothing was written, and the same call may be made again", url=url)


def detail_of(error: BaseException, before: BaseException | None = None) -> str:
    """Return an exception's kind and code, for messages: never its text, which may hold what a header held."""
    parts = [type(error).__name__]
    for each in _chain(error, before):
        code = _code_of(each) or _status_of(each)
        if code:
            parts.append(str(code))
            break
        if isinstance(each, TypeError) and (unexpected := _UNEXPECTED.search(str(each))):
            parts.append(f"about {unexpected[1]!r}")
    return " ".join(parts)


def _chain(error: BaseException, before: BaseException | None) -> Iterator[BaseException]:
    seen = {id(before)}
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, None if each.__suppress_context__ else each.__context__]
        waiting += [
            inner for inner in (getattr(each, "os_error", None), getattr(each, "inner_exception", None)) if inner
        ]


def _code_of(error: BaseException) -> str | None:
    response: Any = getattr(error, "response", None)
    is_botos = isinstance(response, dict)
    code = response.get("Error", {}).get("Code") if is_botos else getattr(error, "error_code", None)
    code = getattr(code, "value", code)
    return code if isinstance(code, str) else None


def _status_of(error: BaseException) -> int | None:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = response.get("Error", {}).get("Code")
        if status is None and isinstance(code, str) and code.isdigit():
            status = int(code)
    else:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _by_code(error: BaseException) -> Cause | None:
    code = _code_of(error)
    return _CODES.get(code) if code else None


def _by_name(error: BaseException) -> Cause | None:
    return next((_NAMES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _NAMES), None)


def _by_status(error: BaseException) -> Cause | None:
    status = _status_of(error)
    return _STATUSES.get(status) if status else None


def _by_type(error: BaseException) -> Cause | None:
    if type(error) is OSError and str(error).startswith("Forbidden: "):  # all that gcsfs leaves of a 403
        return Cause.DENIED
    return next((cause for kind, cause in _BUILT_IN if isinstance(error, kind)), None)
