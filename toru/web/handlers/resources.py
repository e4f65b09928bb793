"""The machine's figures.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from toru.actors.messages.monitor import GetResources, Resources
from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Route
from toru.web.openapi import operation


class ResourcesHandler(ApiHandler):
    """``/api/resources``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="Say how busy the machine is; sizes are bytes, shares per cent.", answer=Resources
    )
    async def get(self) -> None:
        """Answer with a sample that is at most a second old."""
        self.answer(await self.services.monitor.ask(GetResources()))


ROUTES = [Route("/api/resources", ResourcesHandler)]
