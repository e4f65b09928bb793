"""The hub's figures about itself: for Prometheus, and actor by actor.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from toru.actors.messages.monitor import GetMetrics
from toru.actors.runtime import ActorStatistics
from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Route
from toru.web.openapi import operation


class MetricsHandler(ApiHandler):
    """``/api/metrics``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(summary="Give the hub's figures in the text format of Prometheus.", answer=bytes)
    async def get(self) -> None:
        """Answer with text, not JSON: it is for a program that reads only this."""
        text = await self.services.monitor.ask(GetMetrics())
        self.set_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        await self.finish(text)


class ActorsHandler(ApiHandler):
    """``/api/actors``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="List the actors with their mailboxes and counts.", answer=list[ActorStatistics]
    )
    def get(self) -> None:
        """Answer at once: the figures are the directory's, and no actor is asked."""
        self.answer(self.services.system.directory.statistics())


ROUTES = [
    Route("/api/metrics", MetricsHandler),
    Route("/api/actors", ActorsHandler),
]
