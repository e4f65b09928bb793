"""WebSockets of browsers to plugins: each that a plugin takes has an actor, which passes both on.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from toru.actors.messages.plugins import CloseSocket, OpenSocket, PluginAnswer, SocketMessage
from toru.actors.plugin_socket import BrowserClosed, FromBrowser
from toru.actors.runtime import Address
from toru.domain.permissions import Access
from toru.domain.plugin_headers import answer_headers
from toru.errors import DeadlineExceeded, ToruError, Unavailable
from toru.web.base import ApiHandler
from toru.web.forwarding import plugin_request

OPEN_DEADLINE_S = 60.0
"""Longer than a plugin may take to say whether it takes the WebSocket."""
MESSAGE_DEADLINE_S = 90.0

_GOING_AWAY = 1001
_TRY_AGAIN_LATER = 1013


class PluginSocketHandler(ApiHandler, WebSocketHandler):
    """A WebSocket under a plugin's route; messages go to the plugin and back as they are."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    _plugin: Address
    _request_id = 0
    _actor: Address | None = None

    async def get(self) -> None:
        """Ask the plugin whether it takes the connection, and upgrade it (RFC 6455)."""
        self._plugin, wanted = plugin_request(
            self.request, self.services.plugin_places, self.session
        )
        self._request_id = wanted.id
        refusal = await self._plugin.ask(OpenSocket(wanted), deadline_s=OPEN_DEADLINE_S)
        if refusal is not None:
            self._pass_back(refusal)
            return
        try:
            await WebSocketHandler.get(self)  # returns when the connection is over
        finally:
            if self._actor is None:  # at the latest now the plugin has to know
                self._let_go(_GOING_AWAY)

    def open(self) -> None:
        """Give the connection its actor."""
        self.set_nodelay(True)
        self._actor = self.services.open_plugin_socket(
            self, self.session, self._plugin, self._request_id
        )

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message on; the next is read when the plugin has taken this one."""
        if self._actor is None:
            return
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        wish = FromBrowser(SocketMessage(data, is_text))
        try:
            await self._actor.ask(wish, deadline_s=MESSAGE_DEADLINE_S)
        except (Unavailable, DeadlineExceeded):
            self.close(_TRY_AGAIN_LATER, "The plugin does not take this now.")

    def on_close(self) -> None:
        """The connection is gone, and with it its actor."""
        if self._actor is not None:
            code = self.close_code or _GOING_AWAY
            try:
                self._actor.tell(BrowserClosed(code))
            except Unavailable:
                self._let_go(code)
            self.services.close_client(self._actor)
            self._actor = None

    async def send_message(self, message: SocketMessage) -> None:
        """Send a message of the plugin.

        Raises:
            OSError: the connection is closed.
        """
        try:
            await self.write_message(message.data, binary=not message.text)
        except WebSocketClosedError as error:
            raise BrokenPipeError("The WebSocket is closed.") from error

    def _pass_back(self, answer: PluginAnswer) -> None:
        self.set_status(answer.status if 400 <= answer.status <= 599 else 502)
        for name, value in answer_headers(answer.headers):
            self.add_header(name, value)
        self.finish(answer.body or b"")

    def _let_go(self, code: int) -> None:
        try:
            self._plugin.tell(CloseSocket(self._request_id, code))
        except ToruError:
            return  # the plugin's actor is being replaced, and all of its connections with it
