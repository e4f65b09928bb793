"""A WebSocket over protocol version 2: messages in fragments, credit both ways.

Runs on: the loop.
"""

from __future__ import annotations

from typing import Callable, Protocol

from .errors import Disconnected
from .frames import FLAG_END, FLAG_TEXT
from .inbox import Inbox
from .sockets import ABNORMAL, FAILED, POLICY, TOO_BIG

MAX_EMPTY_MESSAGES = 1000
"""So many may wait unread: they cost the sender no credit."""


class SocketPeer(Protocol):
    """The connection, as a WebSocket sees it."""

    async def send_data(self, stream_id: int, data: bytes, flags: int, sent: list[int]) -> None:
        """Send data as credit allows; counts in ``sent`` what is out."""

    def accept_socket(self, stream_id: int) -> None:
        """Say that a WebSocket is taken."""

    def close_socket(self, stream_id: int, code: int) -> None:
        """Say that a WebSocket is closed."""


class SocketV2:
    """What carries one WebSocket's messages.

    Args:
        stream_id: its id.
        inbox: what comes.
        peer: the connection.

    Attributes:
        on_lost: is told the close code when it is over.
    """

    def __init__(self, stream_id: int, inbox: Inbox, peer: SocketPeer) -> None:
        self._id = stream_id
        self._inbox = inbox
        self._peer = peer
        self.on_lost: Callable[[int], None] = lambda _: None
        self._partial = bytearray()
        self._empty = 0
        self._is_open = True

    def put(self, data: bytes, flags: int) -> None:
        """Take a fragment; raises `FrameError` when it is beyond the credit."""
        self._inbox.put(data, flags)
        self._empty += not data
        if self._empty > MAX_EMPTY_MESSAGES:
            self.close(POLICY)

    def accept(self) -> None:
        """Take the WebSocket."""
        if self._is_open:
            self._peer.accept_socket(self._id)

    async def receive(self, max_bytes: int) -> tuple[bytes, bool]:
        """Return the next message and whether it is text."""
        while True:
            data, flags = await self._inbox.next()
            self._empty -= not data
            self._partial += data
            if len(self._partial) > max_bytes:
                self.close(TOO_BIG)
                raise Disconnected(TOO_BIG, f"a message is longer than {max_bytes} bytes")
            if flags & FLAG_END:
                message = bytes(self._partial)
                self._partial.clear()
                return message, bool(flags & FLAG_TEXT)

    async def send(self, data: bytes, *, text: bool) -> None:
        """Send a message."""
        sent = [0]
        try:
            flags = FLAG_END | (FLAG_TEXT if text else 0)
            await self._peer.send_data(self._id, data, flags, sent)
        except BaseException:
            if sent[0]:  # half a message is out, and nothing can follow it
                self.close(FAILED)
            raise

    def close(self, code: int) -> None:
        """Close."""
        if self._is_open:
            self.lose(code)
            self._peer.close_socket(self._id, code)

    def lose(self, code: int = ABNORMAL) -> None:
        """Take it that the other side has closed it."""
        if self._is_open:
            self._is_open = False
            self._inbox.lose(Disconnected(code, f"the WebSocket is closed ({code})"))
            self.on_lost(code)
