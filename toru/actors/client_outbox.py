"""What a connection has been sent and has not read: at most 2 MiB, counted here.

Runs on: the event loop, owned by one `Client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

UNSENT_LIMIT_BYTES = 2 * 1024 * 1024
"""How much may wait for one connection; a viewer over it is read from disk later."""


class Connection(Protocol):
    """What the actor needs of the socket."""

    def send(self, frame: bytes) -> Awaitable[None]:
        """Send a text frame; the awaitable is done when the kernel has it. May raise OSError."""

    def close(self, code: int, reason: str) -> None:
        """Close in order."""


class Outbox:
    """Sends frames and knows how many bytes of them still wait.

    Args:
        connection: the socket.
        on_broken: called when it is closed already.
    """

    def __init__(self, connection: Connection, on_broken: Callable[[], None]) -> None:
        self._connection = connection
        self._on_broken = on_broken
        self._unsent = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._unsent >= UNSENT_LIMIT_BYTES

    async def room(self) -> None:
        """Return when there is room."""
        await self._room.wait()

    def send(self, frame: bytes) -> None:
        """Send a frame, room or not."""
        size = len(frame)
        try:
            flushed = self._connection.send(frame)
        except OSError:
            self._on_broken()
            return
        self._unsent += size
        if self.is_full:
            self._room.clear()
        asyncio.ensure_future(flushed).add_done_callback(lambda done: self._flushed(done, size))

    def send_json(self, value: object) -> None:
        """Send a value as JSON."""
        self.send(msgspec.json.encode(value))

    def send_error(self, sentence: str, task_id: str | None = None) -> None:
        """Send an ``error`` message, about a run if one is named."""
        about = {} if task_id is None else {"task_id": task_id}
        self.send_json({"type": "error", **about, "data": sentence})

    def _flushed(self, done: asyncio.Future[None], size: int) -> None:
        self._unsent -= size
        if not self.is_full:
            self._room.set()
        if not done.cancelled():
            done.exception()  # a connection that broke is told by its close
