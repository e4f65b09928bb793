"""The requests and WebSockets of browsers at one plugin: counted, bounded, handed to its link.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from toru.actors.messages.plugins import (
    CloseSocket,
    Forward,
    GiveUpForward,
    OpenSocket,
    ReadBody,
    ReadSocket,
    WriteBody,
    WriteSocket,
)
from toru.actors.plugin_collected import Answer
from toru.actors.plugin_figures import Figures
from toru.actors.plugin_link import PluginLink, PluginRequests
from toru.clock import monotonic
from toru.errors import BadGateway, ToruError, Unavailable

WAITING_LIMIT = 256
"""Requests that may wait for the head of their answer; one more is refused with 503."""

ForwardMessage = (
    Forward
    | WriteBody
    | ReadBody
    | GiveUpForward
    | OpenSocket
    | WriteSocket
    | ReadSocket
    | CloseSocket
)


class Forwards:
    """What browsers ask of one plugin, over all its spawns."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._waiting = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def quiet(self, link: PluginLink | None) -> None:
        """Return when nobody waits for an answer, or there is nobody to give one any more."""
        await self._quiet.wait()
        with contextlib.suppress(BadGateway):
            await self._open(link).quiet()

    def handle(self, message: ForwardMessage, link: PluginLink | None) -> Any:
        """Handle a message, with the link that there is now.

        Raises:
            BadGateway, BadRequest, BodyNotText, NotFound, TooLarge, Unavailable: as the message
                says.
        """
        match message:
            case Forward(request=request):
                return self._begin(functools.partial(self._open(link).forward, request))
            case OpenSocket(request=request):
                return self._begin(functools.partial(self._open(link).open_socket, request))
            case ReadBody(id=request_id):
                return self._open(link).read(request_id)
            case ReadSocket(id=request_id):
                return self._open(link).read_socket(request_id)
        if link is None:
            return None  # the rest is about something that is over
        match message:
            case WriteBody(id=request_id, data=data, end=end):
                return self._open(link).write(request_id, data, end=end)
            case WriteSocket(id=request_id, message=said):
                return self._open(link).write_socket(request_id, said)
            case GiveUpForward(id=request_id):
                self._open(link).give_up(request_id)
            case CloseSocket(id=request_id, code=code):
                self._open(link).close_socket(request_id, code)
        return None

    def _open(self, link: PluginLink | None) -> PluginRequests:
        if link is None:
            raise BadGateway("The plugin is gone.")
        return link.requests

    def _begin(self, send: functools.partial[Answer]) -> Answer:
        if self._waiting >= WAITING_LIMIT:
            self._figures.failed()
            raise Unavailable("The plugin has too many requests open.", code="plugin_busy")
        try:
            future = send()
        except ToruError as error:
            if error.status >= 500:
                self._figures.failed()
            raise
        self._waiting += 1
        self._quiet.clear()
        future.add_done_callback(functools.partial(self._answered, monotonic()))
        return future

    def _answered(self, began: float, future: Answer) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self._quiet.set()
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._figures.answered(monotonic() - began)
        elif not isinstance(error, ToruError) or error.status >= 500:
            self._figures.failed()
