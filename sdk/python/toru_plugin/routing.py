"""Which handler a request goes to.

Runs on: any thread.
"""

from __future__ import annotations

import re
from typing import Any, Callable, NamedTuple
from urllib.parse import unquote

from .errors import HttpError, PluginError

Handler = Callable[..., Any]

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")


class Route(NamedTuple):
    """A method and a pattern of paths, and what serves them.

    Attributes:
        method: in capitals.
        pattern: as it was written.
        regex: what a path must match.
        handler: what serves it.
        stream: whether the handler reads the request's body piece by piece.
        max_body_bytes: of a request's body; None: as for the plugin.
        max_message_bytes: of a WebSocket's messages; None: as usual.
    """

    method: str
    pattern: str
    regex: re.Pattern[str]
    handler: Handler
    stream: bool = False
    max_body_bytes: int | None = None
    max_message_bytes: int | None = None


class MethodNotAllowed(HttpError):
    """The path exists, with other methods."""

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(405, f"{method} is not possible here.", "method_not_allowed")
        self.allowed = allowed


class Router:
    """The routes of a plugin; the first that fits wins."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def add(self, method: str, pattern: str, handler: Handler, **more: Any) -> None:
        """Add a route.

        Args:
            method: such as ``GET``; that also serves ``HEAD``.
            pattern: a path; ``{name}`` stands for one segment, ``{name:path}`` for all that follow.
            handler: called with the request, and the placeholders as keywords.
            more: further fields of `Route`.

        Raises:
            PluginError: the pattern is wrong, or there already.
        """
        method = method.upper()
        if self.has(method, pattern):
            raise PluginError(f"{method} {pattern} has two handlers")
        self.routes.append(Route(method, pattern, _compiled(pattern), handler, **more))

    def has(self, method: str, pattern: str) -> bool:
        """Return whether a route has this method and is written like this."""
        return any((route.method, route.pattern) == (method, pattern) for route in self.routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and what the placeholders stand for.

        Raises:
            HttpError: 404 when there is none, 405 when there is one for other methods.
        """
        allowed: list[str] = []
        for route in self.routes:
            found = route.regex.fullmatch(path)
            if found is None:
                continue
            if route.method == method or (method == "HEAD" and route.method == "GET"):
                values = found.groupdict()
                return route, {name: unquote(value) for name, value in values.items()}
            allowed.append(route.method)
        if allowed:
            raise MethodNotAllowed(method, sorted({*allowed, *(["HEAD"] * ("GET" in allowed))}))
        raise HttpError(404, "There is nothing at this path.", "not_found")


def _compiled(pattern: str) -> re.Pattern[str]:
    if not pattern.startswith("/"):
        raise PluginError(f'the path of a route must begin with "/", not {pattern!r}')
    parts, position = [], 0
    for found in _PLACEHOLDER.finditer(pattern):
        parts.append(re.escape(pattern[position : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
        position = found.end()
    rest = pattern[position:]
    if "{" in rest or "}" in rest or "{" in _PLACEHOLDER.sub("", pattern):
        raise PluginError(f"{pattern!r} has a placeholder that is not {{name}} or {{name:path}}")
    try:
        return re.compile("".join(parts) + re.escape(rest), re.DOTALL)
    except re.error as error:
        raise PluginError(f"{pattern!r} is no path of a route: {error}") from None
