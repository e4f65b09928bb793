"""Whether the hub is there.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Route
from toru.web.openapi import operation


class Health(msgspec.Struct, frozen=True):
    """The answer of a hub that serves."""

    status: str = "ok"


class HealthHandler(ApiHandler):
    """``/api/health``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}

    @operation(summary="Say that the hub serves.", answer=Health)
    def get(self) -> None:
        """Answer at once, without asking any actor."""
        self.answer(Health())


ROUTES = [Route("/api/health", HealthHandler)]
