"""Which plugin a request is for, and the path that the plugin sees.

Runs on: any thread; pure.

Everything is done on the path as it came, never decoded: a route has one spelling (see
``plugin_metadata``), and what follows it reaches the plugin byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

import msgspec

ROUTE_PREFIX = "/api/plugins/route"
ID_PREFIX = "/api/plugins"

_DECODINGS = 3
_TRICK = re.compile(rb"[\x00-\x20\x7f\\]|^//|(?:^|/)\.{1,2}(?:/|;|$)")
_RAW = re.compile(r"/[!-~]*")


class Registration(msgspec.Struct, frozen=True):
    """A plugin that wants its place.

    Attributes:
        file_name: of its ``.binary``; decides who was first.
        id: from its metadata.
        route: from its metadata.
    """

    file_name: str
    id: str
    route: str


class Collision(msgspec.Struct, frozen=True):
    """A plugin that cannot have its place.

    Attributes:
        file_name: of its ``.binary``.
        reason: one sentence for people.
    """

    file_name: str
    reason: str


class Target(msgspec.Struct, frozen=True):
    """Where a request goes.

    Attributes:
        plugin_id: to whom.
        path: what the plugin sees: ``/<rest>?query``.
    """

    plugin_id: str
    path: str


class RouteTable:
    """The routes of the plugins that have their place; immutable."""

    def __init__(self, routes: Iterable[tuple[str, str]] = ()) -> None:
        """Create a table of (route, plugin id)."""
        self._ids = {tuple(route.split("/")[1:]): plugin_id for route, plugin_id in routes}
        self._longest = max(map(len, self._ids), default=0)

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, uri: str) -> Target | None:
        """Return where ``/api/plugins/route/<route>/<rest>?query`` goes; None when nowhere.

        The longest route wins, and routes match whole segments only.

        Args:
            uri: the path and query as they came.
        """
        rest = _behind(uri, ROUTE_PREFIX)
        if rest is None:
            return None
        path, mark, query = rest.partition("?")
        segments = path.split("/")[1:]
        for count in range(min(self._longest, len(segments)), 0, -1):
            plugin_id = self._ids.get(tuple(segments[:count]))
            if plugin_id is not None:
                return _target(plugin_id, "/".join(segments[count:]), mark + query)
        return None


def find_by_id(uri: str) -> Target | None:
    """Return where ``/api/plugins/<id>/<rest>?query`` goes; None when it is no such path.

    Whether there is such a plugin is for the caller to find out.
    """
    rest = _behind(uri, ID_PREFIX)
    if rest is None:
        return None
    path, mark, query = rest.partition("?")
    plugin_id, _, inner = path[1:].partition("/")
    return _target(plugin_id, inner, mark + query) if plugin_id else None


def assign(plugins: Iterable[Registration]) -> tuple[list[Registration], list[Collision]]:
    """Decide who has which id and route: the first by file name.

    Ids that differ only in case collide too, because they name files.
    """
    placed: list[Registration] = []
    collisions: list[Collision] = []
    by_id: dict[str, str] = {}
    by_route: dict[str, str] = {}
    for plugin in sorted(plugins, key=lambda one: one.file_name):
        reason = _taken(plugin, by_id, by_route)
        if reason is not None:
            collisions.append(Collision(plugin.file_name, reason))
            continue
        by_id[plugin.id.lower()] = by_route[plugin.route] = plugin.file_name
        placed.append(plugin)
    return placed, collisions


def _taken(plugin: Registration, by_id: dict[str, str], by_route: dict[str, str]) -> str | None:
    owner = by_id.get(plugin.id.lower())
    if owner is not None:
        return f'Its id "{plugin.id}" is already that of {owner}; change one of them.'
    owner = by_route.get(plugin.route)
    if owner is not None:
        return f'Its route "{plugin.route}" is already that of {owner}; change one of them.'
    return None


def _behind(uri: str, prefix: str) -> str | None:
    """Return what follows ``prefix``, beginning with a slash."""
    rest = uri[len(prefix) :]
    return rest if uri.startswith(prefix) and rest.startswith("/") else None


def _target(plugin_id: str, inner: str, query: str) -> Target | None:
    path = "/" + inner
    if not _RAW.fullmatch(path + query) or _is_trick(path):
        return None
    return Target(plugin_id, path + query)


def _is_trick(path: str) -> bool:
    """Return whether a path could mean another place than it says, however often it is decoded.

    The web's gate has refused most of these before; a plugin's own server must not be fooled by
    the rest either, such as ``//host/``.
    """
    decoded = path.encode("ascii")
    for _ in range(_DECODINGS):
        once_more = unquote_to_bytes(decoded)
        if once_more == decoded:
            break
        decoded = once_more
        if _dots(decoded):
            return True
    return bool(_TRICK.search(path.encode("ascii"))) or _dots(decoded)


def _dots(decoded: bytes) -> bool:
    return bool(re.search(rb"\x00|(?:^|[/\\])\.{1,2}(?:[/\\;]|$)", decoded))
