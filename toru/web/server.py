"""The HTTP server of one hub: limits, start, and a stop that lets requests finish.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from tornado.httpserver import HTTPServer

from toru.web.app import HubApplication
from toru.web.base import BODY_LIMIT_BYTES
from toru.web.services import Services

logger = logging.getLogger("toru.web")

HEADER_LIMIT_BYTES = 64 * 1024
HEADER_TIMEOUT_S = 60.0


class WebServer:
    """Serves the application on sockets that are bound already."""

    def __init__(self, services: Services) -> None:
        self.application = HubApplication(services)
        self._server = HTTPServer(
            self.application,
            idle_connection_timeout=HEADER_TIMEOUT_S,
            max_header_size=HEADER_LIMIT_BYTES,
            max_buffer_size=BODY_LIMIT_BYTES * 2,
        )

    def start(self, sockets: list[socket.socket]) -> None:
        """Accept connections from now on."""
        self._server.add_sockets(sockets)

    async def drain(self, limit_s: float) -> None:
        """Accept no more, let requests finish for ``limit_s`` seconds, then close."""
        self._server.stop()
        try:
            await asyncio.wait_for(self._server.close_all_connections(), limit_s)
        except TimeoutError:
            logger.warning("Some connections did not close within %g seconds.", limit_s)
