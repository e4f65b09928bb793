"""The HTTP server of one hub: start, and a stop that lets requests finish.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from toru.web.app import HubApplication
from toru.web.http_server import HubServer
from toru.web.services import Services

logger = logging.getLogger("toru.web")


class WebServer:
    """Serves the application on sockets that are bound already."""

    def __init__(self, services: Services) -> None:
        self.application = HubApplication(services)
        self._server = HubServer(self.application)

    def start(self, sockets: list[socket.socket]) -> None:
        """Accept connections from now on."""
        self._server.add_sockets(sockets)

    def stop(self) -> None:
        """Accept no more; what is under way goes on."""
        self._server.stop()

    async def drain(self, limit_s: float) -> None:
        """Let requests finish for ``limit_s`` seconds, then close every connection."""
        await self.application.under_way.wait(limit_s)
        try:
            await asyncio.wait_for(self._server.close_all_connections(), 1.0)
        except TimeoutError:
            logger.warning("Some connections did not close after %g seconds.", limit_s)
