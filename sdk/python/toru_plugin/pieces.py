"""What a streamed answer yields, one piece at a time, and closed in every case.

Runs on: the loop; plain iterators run on threads.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from .events import KEEP_ALIVE
from .reports import write_line

if TYPE_CHECKING:
    from .host import Host
    from .messages import Response

FILE_PIECE_BYTES = 64 * 1024
_END = object()
_SILENCE = object()


class _Items(Protocol):
    async def next(self) -> Any:
        """Return the next item, or `_END`."""

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
        self._waiting: asyncio.Future[Any] | None = None
        self._first: list[bytes | None] = []

    async def prepare(self) -> None:
        """Get the first piece, so that a fault before it can still become another answer."""
        self._first.append(await self.next())

    async def next(self) -> bytes | None:
        """Return the next piece, None at the end; raises what the author's code raises."""
        if self._first:
            return self._first.pop()
        while True:
            item = await self._next_item()
            if item is _END:
                return None
            piece = KEEP_ALIVE if item is _SILENCE else self._encode(item)
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
            _report(error)

    async def _next_item(self) -> Any:
        if self._keep_alive_s is None:
            return await self._items.next()
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._items.next())
        done, _ = await asyncio.wait({self._waiting}, timeout=self._keep_alive_s)
        if not done:
            return _SILENCE
        waiting, self._waiting = self._waiting, None
        return waiting.result()


def _items_of(stream: Any, host: Host) -> _Items:
    if hasattr(stream, "__aiter__"):
        return _AsyncItems(stream)
    return _ThreadItems(stream, host)


class _AsyncItems:
    """The items of an asynchronous iterator."""

    def __init__(self, stream: Any) -> None:
        self._iterator = stream.__aiter__()

    async def next(self) -> Any:
        try:
            return await self._iterator.__anext__()
        except StopAsyncIteration:
            return _END

    async def close(self) -> None:
        if hasattr(self._iterator, "aclose"):
            await self._iterator.aclose()


class _ThreadItems:
    """The items of a plain iterator, each of which is got on a thread."""

    def __init__(self, stream: Any, host: Host) -> None:
        self._stream = stream
        self._host = host
        self._iterator: Iterator[Any] | None = None
        self._busy: asyncio.Future[Any] | None = None

    async def next(self) -> Any:
        self._busy = self._host.in_stream_thread(self._next)
        return await asyncio.shield(self._busy)

    def _next(self) -> Any:
        if self._iterator is None:
            self._iterator = _iterator_of(self._stream)
        return next(self._iterator, _END)

    async def close(self) -> None:
        """Close it, as soon as the thread that is in it comes back."""
        if self._busy is not None and not self._busy.done():
            self._busy.add_done_callback(self._close_soon)
        else:
            await self._host.in_stream_thread(self._close)

    def _close_soon(self, busy: asyncio.Future[Any]) -> None:
        if not busy.cancelled():
            busy.exception()  # nobody else looks at it any more
        with suppress(RuntimeError):  # the plugin has ended
            self._host.in_stream_thread(self._close)

    def _close(self) -> None:
        for one in (self._iterator, self._stream):
            if hasattr(one, "close"):
                try:
                    one.close()  # type: ignore[union-attr] # seen above
                except Exception as error:
                    _report(error)


def _iterator_of(stream: Any) -> Iterator[Any]:
    """Return an iterator; of a file, over pieces and not over lines."""
    if hasattr(stream, "read"):
        return iter(functools.partial(stream.read, FILE_PIECE_BYTES), b"")
    return iter(stream)


def _report(error: Exception) -> None:
    write_line("error", "A stream could not be closed.", {"error": f"{error!r}"})
