"""The web application: collects the routes of all handlers behind one gate.

Runs on: the event loop.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec
import tornado.web
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest

from toru.config import static_dir
from toru.errors import ToruError
from toru.storage.static_files import StaticFiles
from toru.web import forwarding, handlers
from toru.web.base import (
    BODY_LIMIT_BYTES,
    BODY_TIMEOUT_S,
    LOGGED_PATH_MAX,
    ApiHandler,
    Route,
    UnknownPath,
)
from toru.web.forwarding import ForwardExchange
from toru.web.gate import Arrival, Gate
from toru.web.handlers import plugin_frame
from toru.web.handlers.plugin_socket import PluginSocketHandler
from toru.web.handlers.plugins import ForwardHandler
from toru.web.handlers.static import StaticHandler
from toru.web.headers import fixed_headers, security_headers
from toru.web.http_server import BodyGuard, UnderWay
from toru.web.openapi import describe
from toru.web.services import Services

logger = logging.getLogger("toru.web")

FORWARDED = "/api/plugins/"
"""Below it are plugins' own paths, but for those that routes name."""

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


def _any_of(routes: Iterable[Route]) -> re.Pattern[str]:
    """Return what matches the path of any of these routes, where they are beside plugins."""
    patterns = (pattern_of(route.path) for route in routes if route.path.startswith(FORWARDED))
    unnamed = (re.sub(r"\(\?P<\w+>", "(?:", pattern) for pattern in patterns)
    return re.compile("|".join(unnamed) or "(?!)")


def _grouped(routes: list[Route]) -> list[Any]:
    """Return Tornado's rules, those of one second segment (``/api/<it>``) under a common one.

    A path is then compared with the groups and the routes of its own, not with all there are.
    """
    groups: dict[str, list[Any]] = {}
    for route in routes:
        segment = route.path.split("/")[2]
        groups.setdefault(segment, []).append((pattern_of(route.path), route.handler))
    return [(f"/api/{re.escape(name)}(?:/.*)?$", rules) for name, rules in groups.items()]


class HubApplication(tornado.web.Application):
    """The application of one hub: the gate first, then the routes.

    Attributes:
        routes: the routes under ``/api``, in the order in which they are tried.
        under_way: the requests that are not answered, WebSockets left out.
    """

    def __init__(
        self,
        services: Services,
        routes: list[Route] | None = None,
        static_files: StaticFiles | None = None,
    ) -> None:
        """Create an application.

        Args:
            services: what handlers may use.
            routes: instead of those of ``toru.web.handlers``.
            static_files: instead of the installed dashboard.
        """
        self.routes = collect_routes() if routes is None else routes
        self.under_way = UnderWay()
        self._gate = Gate(services.config)
        self._hsts = services.config.secure_cookies
        self._fixed = fixed_headers(hsts=self._hsts)
        self._named = _any_of(route for route in self.routes if route.handler is not ForwardHandler)
        self._services = services
        super().__init__(
            [
                *_grouped(self.routes),
                (r"/api(?:/.*)?$", UnknownPath),
                *plugin_frame.PAGES,
                (r"/(?P<path>.*)$", StaticHandler),
            ],
            transforms=cast("Any", [security_headers(hsts=self._hsts)]),
            services=services,
            openapi=msgspec.json.encode(describe(self.routes)),
            static_files=static_files or StaticFiles(static_dir()),
            websocket_max_message_size=BODY_LIMIT_BYTES,
        )

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return what takes the request: its route's handler, or a refusal. Tornado calls it."""
        header = request.headers.get_list
        request.remote_ip = self._gate.client_address(request.remote_ip or "", header)
        try:
            self._gate.check(Arrival(request.method or "", request.path, request.version, header))
        except ToruError as error:
            found = self.get_handler_delegate(request, RefusedRequest, {"error": error})
        else:
            if self._is_forwarded(request):
                return self._guarded(self._forward(request), request, ForwardHandler)
            found = super().find_handler(request, **kwargs)
        return self._guarded(found, request, found.handler_class)

    def _is_forwarded(self, request: HTTPServerRequest) -> bool:
        """Return whether a request is for a plugin; what else is under that path has a name."""
        return (
            request.path.startswith(FORWARDED)
            and request.method in forwarding.METHODS
            and not self._named.match(request.path)
        )

    def _forward(self, request: HTTPServerRequest) -> HTTPMessageDelegate:
        if request.headers.get("Upgrade", "").lower() == "websocket" and request.method == "GET":
            return self.get_handler_delegate(request, PluginSocketHandler)
        return ForwardExchange(request, self._services, self.under_way, self._fixed)

    def _guarded(
        self,
        delegate: HTTPMessageDelegate,
        request: HTTPServerRequest,
        handler: type[tornado.web.RequestHandler],
    ) -> BodyGuard:
        return BodyGuard(
            delegate,
            cast("HTTP1Connection", request.connection),
            is_head=request.method == "HEAD",
            limit=getattr(handler, "body_limit", BODY_LIMIT_BYTES),
            timeout_s=getattr(handler, "body_timeout_s", BODY_TIMEOUT_S),
            idle_s=getattr(handler, "body_idle_s", None),
            hsts=self._hsts,
        )

    def log_request(self, handler: tornado.web.RequestHandler) -> None:
        """Note that a request is answered, and log it for those who look for it."""
        self.under_way.leave(handler)
        if not logger.isEnabledFor(logging.DEBUG):
            return
        request = handler.request
        logger.debug(
            "%s %s %d %.1f ms",
            request.method,
            request.path[:LOGGED_PATH_MAX],
            handler.get_status(),
            1000 * request.request_time(),
        )


class RefusedRequest(ApiHandler):
    """Answers what the gate has refused."""

    def initialize(self, error: ToruError) -> None:
        """Take the refusal."""
        self._error = error

    async def prepare(self) -> None:
        """Refuse."""
        raise self._error
