"""The description of /api for programs.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import Any, ClassVar

from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Route
from toru.web.openapi import operation


class OpenApiHandler(ApiHandler):
    """``/api/openapi.json``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}

    @operation(summary="Describe every route as OpenAPI 3.1.", answer=dict[str, Any])
    def get(self) -> None:
        """Answer the document, made at the start from the types that check the requests."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(self.application.settings["openapi"])


ROUTES = [Route("/api/openapi.json", OpenApiHandler)]
