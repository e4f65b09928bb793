"""The WebSocket: each connection has an actor, and this handler only passes frames to it.

Runs on: the event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import ClassVar

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from toru.actors.messages.hub import Received
from toru.actors.runtime import Address
from toru.domain.permissions import Access
from toru.errors import BadRequest, DeadlineExceeded, Unavailable
from toru.web.base import ApiHandler, Route
from toru.web.openapi import operation

RECEIVE_DEADLINE_S = 60.0
_TRY_AGAIN_LATER = 1013
_UNSUPPORTED_DATA = 1003


class SocketHandler(ApiHandler, WebSocketHandler):
    """``/api/ws``: JSON text frames both ways, as the contract has them."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    _client: Address | None = None

    @operation(
        summary="Open the WebSocket: run, cancel, attach, subscribe", answer=None, status=101
    )
    async def get(self) -> None:
        """Upgrade the connection (RFC 6455)."""
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise BadRequest("This path opens a WebSocket; the request asks for none.")
        await WebSocketHandler.get(self)

    def open(self) -> None:
        """Give the connection its actor."""
        self.set_nodelay(True)  # without it the first byte waits for the peer's delayed ACK
        self._client = self.services.open_client(self, self.session)

    async def on_message(self, message: str | bytes) -> None:
        """Pass a text frame on; the next is read when this one is dealt with."""
        if isinstance(message, bytes):
            self.close(_UNSUPPORTED_DATA, "Only text frames are understood.")
            return
        if self._client is None:
            return
        try:
            await self._client.ask(Received(message), deadline_s=RECEIVE_DEADLINE_S)
        except (Unavailable, DeadlineExceeded):
            self.close(_TRY_AGAIN_LATER, "Toru has too much to do; please come again.")

    def on_close(self) -> None:
        """The connection is gone, and with it its actor."""
        if self._client is not None:
            self.services.close_client(self._client)
            self._client = None

    def send(self, frame: bytes) -> Awaitable[None]:
        """Send a text frame that is UTF-8 already.

        Raises:
            OSError: the connection is closed.
        """
        try:
            return self.write_message(frame)
        except WebSocketClosedError as error:
            raise BrokenPipeError("The WebSocket is closed.") from error


ROUTES = [Route("/api/ws", SocketHandler)]
