"""How many bytes of bodies and messages may be on their way, in either direction.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
from typing import Callable

from .errors import Disconnected, FrameError


class _Stream:
    """What one stream may still send, and who waits for more."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.more = asyncio.Event()


class Credit:
    """What may be sent before the core has taken what was sent before.

    Args:
        connection_bytes: what all streams together may send at first.
        stream_bytes: what each may.
    """

    def __init__(self, connection_bytes: int, stream_bytes: int) -> None:
        self._connection = connection_bytes
        self._first = stream_bytes
        self._streams: dict[int, _Stream] = {}

    def open(self, stream_id: int) -> None:
        """Begin a stream."""
        self._streams[stream_id] = _Stream(self._first)

    def close(self, stream_id: int) -> None:
        """End a stream; whoever waits for its credit gets `Disconnected`."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            stream.more.set()

    def add(self, stream_id: int, count: int) -> None:
        """Take what the core gives back; id 0 is the connection."""
        if stream_id == 0:
            self._connection += count
            for stream in self._streams.values():
                stream.more.set()
        elif stream_id in self._streams:
            self._streams[stream_id].left += count
            self._streams[stream_id].more.set()

    async def take(self, stream_id: int, wanted: int) -> int:
        """Wait for credit of a stream; return how much may be sent, 1 to ``wanted``.

        Raises:
            Disconnected: the stream is over.
        """
        while True:
            stream = self._streams.get(stream_id)
            if stream is None:
                raise Disconnected
            count = min(wanted, self._connection, stream.left)
            if count > 0:
                self._connection -= count
                stream.left -= count
                return count
            stream.more.clear()
            await stream.more.wait()


class Allowance:
    """What the core may send: granted once, and given back when half of it was taken.

    Args:
        limit: bytes that it may be ahead.
        give: gives so many bytes back to it.
    """

    def __init__(self, limit: int, give: Callable[[int], None]) -> None:
        self._limit = limit
        self._give = give
        self._left = limit
        self._taken = 0

    def spend(self, count: int) -> None:
        """Count what the core has sent.

        Raises:
            FrameError: it was not allowed to.
        """
        self._left -= count
        if self._left < 0:
            raise FrameError("FLOW", "data came beyond the credit")

    def take(self, count: int) -> None:
        """Count what has been taken of it."""
        self._taken += count
        if self._taken * 2 >= self._limit:
            self._left += self._taken
            self._give(self._taken)
            self._taken = 0
