"""How many requests a call of fsspec's is, for the counts: each package has ways of its own, seen on the wire."""

from __future__ import annotations

from iterlog.remote.kinds import AZURE, GOOGLE, S3

_PAGE = 1000
_AZURE_PAGE = 5000


def lists_of(protocol: str, names: int | None) -> dict[str, int]:
    """Return what listing a folder of so many names takes; None when there is no such folder."""
    if protocol in AZURE:  # the folder's name among its neighbours, and then what is in it
        return {"lists": 2, "gets": 1} if names is None else {"lists": 1 + _pages(names, _AZURE_PAGE)}
    if names is not None:
        return {"lists": _pages(names, _PAGE)}
    if protocol in S3:  # is there a file of the folder's name?
        return {"lists": 2}
    return {"lists": 1, "gets": 1} if protocol in GOOGLE else {"lists": 1}


def deletes_of(protocol: str, objects: int) -> dict[str, int]:
    """Return what deleting so many objects takes."""
    if protocol in S3:
        return {"deletes": _pages(objects, _PAGE)}
    return {"gets": objects, "deletes": objects} if protocol in AZURE else {"deletes": objects}


def _pages(names: int, page: int) -> int:
    return max(1, -(-names // page))
