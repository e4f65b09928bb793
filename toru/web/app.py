"""The web application: collects the routes of all handlers behind one gate.

Runs on: the event loop.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from typing import Any

import tornado.web

from toru.web import handlers
from toru.web.base import Route, UnknownPath
from toru.web.services import Services

logger = logging.getLogger("toru.web")

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_PATTERNS = {"": "[^/]+", "int": "[0-9]{1,18}", "path": ".*"}


def collect_routes() -> list[Route]:
    """Return the ``ROUTES`` of every module in ``toru.web.handlers``, by module name."""
    routes: list[Route] = []
    for module in sorted(pkgutil.iter_modules(handlers.__path__), key=lambda found: found.name):
        loaded = importlib.import_module(f"{handlers.__name__}.{module.name}")
        routes.extend(getattr(loaded, "ROUTES", ()))
    return routes


def pattern_of(path: str) -> str:
    """Return the regular expression of a route's path template."""
    parts: list[str] = []
    end = 0
    for found in _PARAMETER.finditer(path):
        parts.append(re.escape(path[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{_PATTERNS[found[2] or '']})")
        end = found.end()
    return "".join([*parts, re.escape(path[end:]), "$"])


class HubApplication(tornado.web.Application):
    """The application of one hub.

    Attributes:
        routes: the routes it serves, in the order in which they are tried.
    """

    def __init__(self, services: Services, routes: list[Route] | None = None) -> None:
        self.routes = collect_routes() if routes is None else routes
        rules: list[Any] = [(pattern_of(route.path), route.handler) for route in self.routes]
        rules.append((r"/api(?:/.*)?$", UnknownPath))
        super().__init__(rules, services=services)

    def log_request(self, handler: tornado.web.RequestHandler) -> None:
        """Log an answered request; only for those who look for it."""
        request = handler.request
        logger.debug(
            "%s %s %d %.1f ms",
            request.method,
            request.path,
            handler.get_status(),
            1000 * request.request_time(),
        )
