"""How many bytes of bodies may be sent before the core has taken those before.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio


class Credit:
    """The credit of one connection and of the streams on it.

    Args:
        connection_bytes: what all streams together may send at first.
        stream_bytes: what each may.
    """

    def __init__(self, connection_bytes: int, stream_bytes: int) -> None:
        self._connection = connection_bytes
        self._first = stream_bytes
        self._streams: dict[int, int] = {}
        self._more = asyncio.Event()

    def open(self, stream_id: int) -> None:
        """Begin a stream."""
        self._streams[stream_id] = self._first

    def close(self, stream_id: int) -> None:
        """End a stream."""
        self._streams.pop(stream_id, None)

    def add(self, stream_id: int, count: int) -> None:
        """Take what the core gives back; id 0 is the connection."""
        if stream_id == 0:
            self._connection += count
        elif stream_id in self._streams:
            self._streams[stream_id] += count
        self._more.set()

    async def take(self, stream_id: int, wanted: int) -> int:
        """Wait for credit of an open stream; return how much may be sent, 1 to ``wanted``."""
        while True:
            count = min(wanted, self._connection, self._streams[stream_id])
            if count > 0:
                self._connection -= count
                self._streams[stream_id] -= count
                return count
            self._more.clear()
            await self._more.wait()
