"""The web application in the test's own process, for limits and handlers of the test's making.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tornado.testing import bind_unused_port

from toru.actors.plugin_places import PluginPlaces
from toru.actors.runtime import ActorSystem
from toru.config import load_config
from toru.storage.static_files import StaticFiles
from toru.web.app import HubApplication
from toru.web.base import Route
from toru.web.http_server import HubServer
from toru.web.services import Services, services_of


class WebStage:
    """One application on a free port, with no actor behind it unless the test starts some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, routes: list[Route] | None = None, **limits: Any) -> int:
        """Serve and return the port."""
        self.system = ActorSystem()
        self.application = HubApplication(
            self.services(), routes, StaticFiles(self.folder / "static")
        )
        self.server = HubServer(self.application, **limits)
        listener, self.port = bind_unused_port()
        self.server.add_sockets([listener])
        return self.port

    def services(self) -> Services:
        """Return services whose actors nobody has started."""
        environ = {
            "ADMIN_PASSWORD": "Admin-pass-1",
            "TORU_DATA_DIR": str(self.folder / "data"),
            "TORU_LOG_DIR": str(self.folder / "logs"),
        }
        return services_of(
            self.system,
            load_config(environ),
            PluginPlaces(self.system),
            open_client=lambda _connection, _session: self.system.address("client/1"),
            open_plugin_socket=lambda *_: self.system.address("plugin_socket/1"),
            close_client=lambda _address: None,
        )

    async def stop(self) -> None:
        """Stop serving; safe to call twice."""
        for writer in self.writers:
            writer.close()
        if self.port:
            self.server.stop()
            await self.server.close_all_connections()
            await self.system.stop()
            self.port = 0
