"""What can happen to a request. Each fault says what the client sees and whether the server was asked."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fault_proxy.exchange import Exchange


class Fault(ABC):
    """Something that happens to one request."""

    @abstractmethod
    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""


@dataclass(frozen=True)
class DropBefore(Fault):
    """The connection closes when the request has arrived; the server never hears of it."""

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.body.whole()
        exchange.drop()


@dataclass(frozen=True)
class DropAfter(Fault):
    """The server has done it, but the connection closes instead of an answer."""

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.ask()
        exchange.drop()


@dataclass(frozen=True)
class CutAnswer(Fault):
    """The server has done it, and the connection closes behind so many bytes of the answer; -1: before its last one."""

    after: int = -1

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        answer = await exchange.ask()
        await exchange.send(answer, slice(self.after))
        exchange.drop()


@dataclass(frozen=True)
class ResetInBody(Fault):
    """The connection is reset (RST) when at least so many bytes of the request's body have arrived; nobody is asked."""

    after: int = 1

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.body.at_least(self.after)
        exchange.reset()


@dataclass(frozen=True)
class Answer(Fault):
    """An error of the store's own kind comes back and the server was never asked."""

    status: int

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.body.whole()
        await exchange.refuse(self.status)


@dataclass(frozen=True)
class AnswerAfter(Fault):
    """The server has done it, and an error comes back all the same."""

    status: int = 500

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.ask()
        await exchange.refuse(self.status)


@dataclass(frozen=True)
class Slow(Fault):
    """The server is asked late, or its answer comes late, by so many seconds."""

    before: float = 0.0
    after: float = 0.0

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await asyncio.sleep(self.before)
        answer = await exchange.ask()
        await asyncio.sleep(self.after)
        await exchange.send(answer)


@dataclass(frozen=True)
class Hang(Fault):
    """No answer until the proxy's `release`; the server is asked at once (`asked`) or only then."""

    asked: bool = False

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.body.whole()
        if self.asked:
            answer = await exchange.ask()
            await exchange.released()
        else:
            await exchange.released()
            answer = await exchange.ask()
        await exchange.send(answer)


@dataclass(frozen=True)
class StaleList(Fault):
    """A listing is answered as it was answered so many listings of the same names ago, or the first time ever."""

    back: int = 1

    async def play(self, exchange: Exchange) -> None:
        """Let it happen."""
        await exchange.body.whole()
        earlier = exchange.earlier_lists()
        await exchange.send(earlier[max(0, len(earlier) - self.back)] if earlier else await exchange.ask())
