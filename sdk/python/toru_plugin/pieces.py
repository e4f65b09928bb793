"""What a streamed answer yields, one piece at a time, and closed in every case.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from .events import KEEP_ALIVE
from .thread_items import ThreadItems, report_close

if TYPE_CHECKING:
    from .host import Host
    from .messages import Response


class _Items(Protocol):
    async def next(self) -> list[Any]:
        """Return the next items, at least one; none at the end."""

    async def close(self) -> None:
        """Have no more of it."""


class Pieces:
    """The pieces of an answer's stream.

    Args:
        response: the answer.
        host: where plain iterators run.
    """

    def __init__(self, response: Response, host: Host) -> None:
        self._items = _items_of(response.stream, host)
        self._encode = response.encode
        self._keep_alive_s = response.keep_alive_s
        self._waiting: asyncio.Future[list[Any]] | None = None
        self._first: list[bytes | None] = []

    async def prepare(self) -> None:
        """Get the first piece, so that a fault before it can still become another answer."""
        self._first.append(await self.next())

    async def next(self) -> bytes | None:
        """Return the next piece, None at the end; raises what the author's code raises."""
        if self._first:
            return self._first.pop()
        while True:
            items = await self._next_items()
            if items is None:
                return KEEP_ALIVE
            if not items:
                return None
            piece = b"".join([self._encode(item) for item in items])
            if piece:
                return piece

    async def close(self) -> None:
        """Close the iterator."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        try:
            await self._items.close()
        except Exception as error:
            report_close(error)

    async def _next_items(self) -> list[Any] | None:
        """Return the next items; None when there was silence for too long."""
        if self._keep_alive_s is None:
            return await self._items.next()
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._items.next())
        done, _ = await asyncio.wait({self._waiting}, timeout=self._keep_alive_s)
        if not done:
            return None
        waiting, self._waiting = self._waiting, None
        return waiting.result()


def _items_of(stream: Any, host: Host) -> _Items:
    if hasattr(stream, "__aiter__"):
        return _AsyncItems(stream)
    return ThreadItems(stream, host)


class _AsyncItems:
    """The items of an asynchronous iterator."""

    def __init__(self, stream: Any) -> None:
        self._iterator = stream.__aiter__()

    async def next(self) -> list[Any]:
        try:
            return [await self._iterator.__anext__()]
        except StopAsyncIteration:
            return []

    async def close(self) -> None:
        if hasattr(self._iterator, "aclose"):
            await self._iterator.aclose()
