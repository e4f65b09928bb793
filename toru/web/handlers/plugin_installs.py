"""Installs of plugins: begun here, done by the plugin manager, asked for until they are over.

What is installed lies in the plugins folder already: somebody who may write there has offered it
(``toru plugin install``). To be an admin of the hub is not enough to bring a program.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from toru.actors.messages.plugin_install import (
    GetInstall,
    InstallPlugin,
    InstallState,
    RollBackPlugin,
)
from toru.domain.permissions import Access
from toru.domain.plugin_install import checked_sha256
from toru.errors import BadRequest
from toru.web.base import ApiHandler, Body, Route
from toru.web.openapi import operation


class InstallWish(Body, frozen=True):
    """What is to be installed: a file that is offered, or the version before of a plugin.

    One of both: the checksum of ``.metadata/incoming/<sha256>`` in the plugins folder, or the id
    of the plugin that is to be rolled back.
    """

    sha256: str | None = None
    rollback: str | None = None


class InstallsHandler(ApiHandler):
    """``/api/plugin-installs``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "admin"}

    @operation(
        summary="Begin to install a plugin that is offered in the plugins folder, or to roll back.",
        body=InstallWish,
        answer=InstallState,
        errors=(409, 503),
    )
    async def post(self) -> None:
        """Answer as soon as it has begun."""
        wish = self.body(InstallWish)
        if (wish.sha256 is None) == (wish.rollback is None):
            raise BadRequest('Say either "sha256" or "rollback".')
        if wish.sha256 is not None:
            message = InstallPlugin(checked_sha256(wish.sha256))
            self.answer(await self.services.plugins.ask(message))
        elif wish.rollback is not None:
            self.answer(await self.services.plugins.ask(RollBackPlugin(wish.rollback)))


class InstallHandler(ApiHandler):
    """``/api/plugin-installs/{id}``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(summary="How far an install is.", answer=InstallState, errors=(404,))
    async def get(self, install_id: str) -> None:
        """Answer with its state."""
        self.answer(await self.services.plugins.ask(GetInstall(install_id)))


ROUTES = [
    Route("/api/plugin-installs", InstallsHandler),
    Route("/api/plugin-installs/{install_id}", InstallHandler),
]
