"""What a plugin's connection holds of one request or WebSocket until it is passed on.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque

from toru.actors.messages.plugins import (
    BodyPiece,
    PluginAnswer,
    SocketMessage,
    SocketMessages,
)
from toru.errors import ToruError

READ_WAIT_S = 5.0
"""How long a reader is kept waiting before it is told that there is nothing yet."""
READ_BYTES = 256 * 1024
"""About the most that one answer to a reader has."""
MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024
"""The most that one message of a WebSocket may have."""


class Stream:
    """One request or WebSocket: its answer to come, and who waits to read or to write.

    Attributes:
        wire_id: its id on the connection.
        head: the answer to come; None as an answer is a WebSocket that is open.
        held_bytes: what came and was not read yet.
    """

    def __init__(self, wire_id: int, loop: asyncio.AbstractEventLoop) -> None:
        self.wire_id = wire_id
        self.head: asyncio.Future[PluginAnswer | None] = loop.create_future()
        self.held_bytes = 0
        self._loop = loop
        self._error: ToruError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    def fail(self, error: ToruError) -> None:
        """End it with an error: for who waits for the head, for who reads and who writes."""
        self._error = error
        if not self.head.done():
            self.head.set_exception(error)
        self.wake_reader()
        self.may_write()

    def wait_to_write(self) -> asyncio.Future[None]:
        """Return a future that `may_write` settles."""
        self._writer = self._loop.create_future()
        return self._writer

    def may_write(self) -> None:
        """Let whoever writes go on."""
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        self._writer = None

    def wake_reader(self) -> None:
        """Let whoever reads look again."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def wait_to_read(self) -> None:
        """Return when there may be something to read, after `READ_WAIT_S` at the latest.

        Raises:
            BadGateway, DeadlineExceeded, Unavailable: nothing more comes.
        """
        self._reader = self._loop.create_future()
        timer = self._loop.call_later(READ_WAIT_S, self.wake_reader)
        try:
            await self._reader
        finally:
            timer.cancel()

    def check(self) -> None:
        """Raise what it was ended with."""
        if self._error is not None:
            raise self._error


class Body(Stream):
    """A request, and the pieces of its answer's body that nobody has read yet."""

    def __init__(self, wire_id: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(wire_id, loop)
        self._pieces: deque[bytes] = deque()
        self._ended = False

    def add(self, data: bytes, *, end: bool) -> None:
        """Take a piece."""
        self._pieces.append(data)
        self.held_bytes += len(data)
        self._ended = end
        self.wake_reader()

    async def read(self) -> BodyPiece:
        """Return what came, nothing when nothing did for a while.

        Raises:
            BadGateway, DeadlineExceeded, Unavailable: the rest does not come.
        """
        if not self._pieces:
            self.check()
            await self.wait_to_read()
        if not self._pieces:
            self.check()
        taken, size = [], 0
        while self._pieces and size < READ_BYTES:
            size += len(self._pieces[0])
            taken.append(self._pieces.popleft())
        self.held_bytes -= size
        return BodyPiece(b"".join(taken), end=self._ended and not self._pieces)


class Socket(Stream):
    """A WebSocket, and the messages from the plugin that nobody has read yet."""

    def __init__(self, wire_id: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(wire_id, loop)
        self._messages: deque[SocketMessage] = deque()
        self._partial = bytearray()
        self._untaken_bytes = 0
        self._code: int | None = None

    def add(self, data: bytes, *, text: bool, end: bool) -> None:
        """Take a fragment."""
        self._partial += data
        self._untaken_bytes += len(data)
        self.held_bytes += len(data)
        if end:
            self._messages.append(SocketMessage(bytes(self._partial), text))
            self._partial.clear()
            self.wake_reader()

    @property
    def is_too_long(self) -> bool:
        """Whether a message has more than it may."""
        return len(self._partial) > MESSAGE_LIMIT_BYTES

    def take(self) -> int:
        """Return the bytes whose credit is to be given back, once.

        While messages wait to be read it is kept; not for a message's beginning that waits for the
        rest, because that may be longer than all credit.
        """
        if self._messages:
            return 0
        taken, self._untaken_bytes = self._untaken_bytes, 0
        return taken

    def close(self, code: int) -> None:
        """Take it that the plugin has closed it."""
        self._code = code
        self.wake_reader()
        self.may_write()

    async def read(self) -> SocketMessages:
        """Return the messages that came, none when none did for a while, and whether it is closed.

        Raises:
            BadGateway, Unavailable: the connection to the plugin is lost.
        """
        if not self._messages and self._code is None:
            self.check()
            await self.wait_to_read()
        if not self._messages and self._code is None:
            self.check()
        taken: list[SocketMessage] = []
        size = 0
        while self._messages and size < READ_BYTES:
            size += len(self._messages[0].data)
            taken.append(self._messages.popleft())
        self.held_bytes -= size
        return SocketMessages(tuple(taken), None if self._messages else self._code)
