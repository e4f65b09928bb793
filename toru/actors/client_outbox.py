"""What a connection has been sent and has not read: at most 2 MiB, counted here.

Runs on: the event loop, owned by one `Client`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec

UNSENT_LIMIT_BYTES = 2 * 1024 * 1024
"""How much may wait for one connection; a viewer over it is read from disk later."""

HELD_EVENTS_BYTES = 256 * 1024
"""How much of events waits on top of that; then the oldest are left out, and that is said."""

_MISSED = msgspec.json.encode({"type": "missed"})


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


class Events:
    """The events for one connection: all of them in their order, as long as it reads at all.

    While the connection is full they wait. When too many do, the oldest are left out, and the
    client is told ``missed``: what it knows may be out of date, and has to be asked for anew.

    Args:
        outbox: where they go.
        background: runs a coroutine beside the client's mailbox.
    """

    def __init__(
        self, outbox: Outbox, background: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self._outbox = outbox
        self._background = background
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._missed = False

    def send(self, frame: bytes) -> None:
        """Send an event, at once or when there is room."""
        if not self._held and not self._outbox.is_full:
            self._outbox.send(frame)
            return
        if not self._held:
            self._background(self._send_held())
        self._held.append(frame)
        self._held_bytes += len(frame)
        while self._held_bytes > HELD_EVENTS_BYTES and len(self._held) > 1:
            self._held_bytes -= len(self._held.popleft())
            self._missed = True

    async def _send_held(self) -> None:
        await self._outbox.room()
        if self._missed:
            self._outbox.send(_MISSED)
        for frame in self._held:
            self._outbox.send(frame)
        self._held.clear()
        self._held_bytes, self._missed = 0, False
