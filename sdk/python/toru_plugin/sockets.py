"""WebSockets as handlers see them.

Runs on: the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Union

from .errors import Disconnected, HttpError, PluginError

if TYPE_CHECKING:
    from .messages import Request

MAX_MESSAGE_BYTES = 1024 * 1024

NORMAL = 1000
GOING_AWAY = 1001
ABNORMAL = 1006
BAD_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
FAILED = 1011
"""Close codes of RFC 6455, 7.4.1."""

SocketMessage = Union[str, bytes]


class SocketWire(Protocol):
    """What carries a WebSocket's messages."""

    def accept(self) -> None:
        """Take the WebSocket."""

    async def receive(self, max_bytes: int) -> tuple[bytes, bool]:
        """Return the next message and whether it is text.

        Raises:
            Disconnected: none comes any more; with 1009 when one is over ``max_bytes``.
        """

    async def send(self, data: bytes, *, text: bool) -> None:
        """Send a message when the browser takes it; raises `Disconnected` when it has left."""

    def close(self, code: int) -> None:
        """Close."""


class WebSocket:
    """A WebSocket that a browser has opened; made by the library.

    It is taken by the first `receive` or `send`, or by `accept`; until then `HttpError` refuses
    it. When the handler returns, it is closed with 1000; when it fails, with 1011.

    Attributes:
        request: what it was opened with: path, query, headers, user, role.
        close_code: why it is closed; None while it is open.
    """

    def __init__(self, request: Request, wire: SocketWire) -> None:
        self.request = request
        self.close_code: int | None = None
        self.accepted = False
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self._wire = wire
        self._is_left = False
        from asyncio import Lock  # slow to import, and not needed to print the metadata

        self._sending = Lock()

    async def accept(self) -> None:
        """Take it; changes nothing when that was done.

        Raises:
            Disconnected: it is closed.
        """
        self._check_open()
        if not self.accepted:
            self.accepted = True
            self._wire.accept()

    async def receive(self) -> SocketMessage:
        """Return the next message: str or bytes, as it was sent.

        Raises:
            Disconnected: it is closed; `close_code` says why.
        """
        if not self.accepted or self._is_left:
            await self.accept()
        try:
            data, is_text = await self._wire.receive(self.max_message_bytes)
            return data.decode("utf-8") if is_text else data
        except Disconnected as error:
            self.lose(error.code)
            raise
        except UnicodeDecodeError:
            await self.close(BAD_TEXT)
            raise Disconnected(BAD_TEXT, "a message is not UTF-8") from None

    async def send(self, message: SocketMessage) -> None:
        """Send a message; waits while the browser takes no more.

        Raises:
            Disconnected: it is closed.
            TypeError: the message is neither str nor bytes.
        """
        is_text = isinstance(message, str)
        if not is_text and not isinstance(message, (bytes, bytearray, memoryview)):
            raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
        data = message.encode("utf-8", "replace") if isinstance(message, str) else bytes(message)
        async with self._sending:  # one message after the other, whoever sends
            await self.accept()
            await self._wire.send(data, text=is_text)

    async def close(self, code: int = NORMAL) -> None:
        """Close it; changes nothing when it is closed.

        Args:
            code: 1000, or 3000 to 4999 for reasons of the plugin's own.

        Raises:
            HttpError: it was not taken yet, and is refused.
            PluginError: the code may not be sent (RFC 6455, 7.4).
        """
        is_standard = 1000 <= code <= 1014 and code not in (1004, 1005, ABNORMAL)
        if not is_standard and not 3000 <= code <= 4999:
            raise PluginError(f"{code} is no close code that may be sent")
        if self.close_code is not None:
            return
        if not self.accepted:
            raise HttpError(403, "The WebSocket is refused.", "refused")
        self.close_code = code
        self._is_left = True
        self._wire.close(code)

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> SocketMessage:
        try:
            return await self.receive()
        except Disconnected:
            raise StopAsyncIteration from None

    def lose(self, code: int) -> None:
        """Take it that the other side has closed it."""
        if self.close_code is None:
            self.close_code = code

    def _check_open(self) -> None:
        if self.close_code is not None:
            raise Disconnected(self.close_code, "the WebSocket is closed")
