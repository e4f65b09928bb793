"""The scripts that can be run.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from toru.actors.messages.scripts import ListScripts, Script
from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Query, Route
from toru.web.openapi import operation


class ScriptsQuery(Query, frozen=True):
    """How much to say of each script."""

    detail: bool = False


class ScriptsHandler(ApiHandler):
    """``/api/scripts``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="List the scripts: their names, or with detail=1 what their headers say too.",
        query=ScriptsQuery,
        answer=list[str | Script],
    )
    async def get(self) -> None:
        """Answer with the scripts, sorted by name."""
        detail = self.query(ScriptsQuery).detail
        scripts = await self.services.scripts.ask(ListScripts())
        self.answer(scripts if detail else [script.name for script in scripts])


ROUTES = [Route("/api/scripts", ScriptsHandler)]
