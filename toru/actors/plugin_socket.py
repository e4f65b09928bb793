"""A browser's WebSocket to a plugin: what either says goes to the other, no faster than it reads.

Runs on: the event loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import Any, Protocol

from toru.actors.messages.auth import Session
from toru.actors.messages.hub import EndSession, Join, Leave
from toru.actors.messages.plugins import CloseSocket, ReadSocket, SocketMessage, WriteSocket
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.errors import ToruError, Unavailable

READ_DEADLINE_S = 30.0
WRITE_DEADLINE_S = 60.0
"""How long a plugin may not read before the connection is given up."""

_GOING_AWAY = 1001
_NOT_TEXT = 1007
_INTERNAL = 1011
_SESSION_ENDED = 4401
_CLOSABLE = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
"""The codes that a close frame may have (RFC 6455, 7.4)."""


class SocketConnection(Protocol):
    """What the actor needs of the socket."""

    def send_message(self, message: SocketMessage) -> Awaitable[None]:
        """Send a message; done when the kernel has it. Raises OSError when it is closed."""

    def close(self, code: int, reason: str) -> None:
        """Close in order."""


class FromBrowser(Message[None], frozen=True):
    """The browser has said something; answered when it may say more."""

    message: SocketMessage


class BrowserClosed(Message[None], frozen=True):
    """The browser has closed the connection, with this code."""

    code: int


class PluginSocket(LoopActor):
    """The actor of one WebSocket that a plugin has taken; it ends with it."""

    mailbox_limit = 100

    def __init__(
        self,
        context: ActorContext,
        connection: SocketConnection,
        session: Session,
        plugin: Address,
        request_id: int,
        hub: Address,
    ) -> None:
        """Create the actor.

        Args:
            context: given by the supervisor.
            connection: to the browser.
            session: whose it is.
            plugin: the plugin's actor.
            request_id: of the WebSocket.
            hub: says when the session ends.
        """
        super().__init__(context)
        self._connection = connection
        self._session = session
        self._plugin = plugin
        self._request_id = request_id
        self._hub = hub
        self._code = _GOING_AWAY

    def on_start(self) -> None:
        """Be known to the Hub, and pass on what the plugin says."""
        self._hub.tell(Join(self.context.name, self._session))
        self.background(self._pump())

    def on_stop(self) -> None:
        """Close both ends."""
        self._sign_off()
        self._connection.close(_GOING_AWAY, "Toru is stopping.")

    def on_failure(self, *_exc_info: Any) -> None:
        """Close both ends."""
        self._sign_off()
        self._connection.close(_INTERNAL, "Something went wrong inside Toru.")

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case FromBrowser(message=said):
                wish = WriteSocket(self._request_id, said)
                return self._plugin.ask(wish, deadline_s=WRITE_DEADLINE_S)
            case BrowserClosed(code=code):
                self._code = code
            case EndSession():
                self._connection.close(_SESSION_ENDED, "The session has ended.")
            case _:
                return super().on_receive(message)
        return None

    async def _pump(self) -> None:
        try:
            while True:
                wish = ReadSocket(self._request_id)
                found = await self._plugin.ask(wish, deadline_s=READ_DEADLINE_S)
                for message in found.messages:
                    await self._connection.send_message(_checked(message))
                if found.code is not None:
                    code = found.code if found.code in _CLOSABLE else _INTERNAL
                    self._connection.close(code, "")
                    return
        except ToruError as error:
            self._connection.close(_INTERNAL, error.sentence[:100])
        except UnicodeDecodeError:
            self._connection.close(_NOT_TEXT, "The plugin sent text that is no UTF-8.")
        except OSError:
            return  # the browser has gone, and its handler ends this actor

    def _sign_off(self) -> None:
        for address, message in (
            (self._plugin, CloseSocket(self._request_id, self._code)),
            (self._hub, Leave(self.context.name)),
        ):
            with contextlib.suppress(Unavailable):
                address.tell(message)


def _checked(message: SocketMessage) -> SocketMessage:
    """Return a message that a browser takes (RFC 6455, 8.1). UnicodeDecodeError."""
    if message.text:
        message.data.decode("utf-8")
    return message
