"""Replacing a test of the contract: said aloud with a reason, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Test = TypeVar("_Test", bound="Callable[..., Any]")

_MARK = "iterlog_deviation"


def deviates(reason: str) -> Callable[[_Test], _Test]:
    """Mark a test that replaces one of the contract.

    Args:
        reason: Why this backend cannot keep what the contract's test asks for; never empty.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError("deviates() takes the reason, such as @deviates('the store has no clock')")

    def mark(test: _Test) -> _Test:
        setattr(test, _MARK, reason)
        return test

    return mark


def deviations_of(contract: type, cls: type) -> dict[str, str]:
    """Return the tests of a contract that a subclass replaces, each with its reason.

    Raises:
        TypeError: One is replaced, or set to None, without a reason.
    """
    reasons = {}
    for name in dir(contract):
        if not name.startswith("test_") or getattr(cls, name) is getattr(contract, name):
            continue
        reason = getattr(getattr(cls, name), _MARK, None)
        if reason is None:
            raise TypeError(
                f"{cls.__name__}.{name} replaces a test of {contract.__name__}: mark it with @deviates('reason'), "
                "or give it another name when it asks for more"
            )
        reasons[name] = reason
    return reasons
