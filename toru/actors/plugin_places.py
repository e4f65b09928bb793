"""Which plugin serves which path.

Runs on: the event loop; written by the plugin manager, read by the web, so that a request goes
to its plugin's actor by one message.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from toru.actors.runtime import ActorSystem, Address
from toru.domain.plugin_routes import RouteTable, find_by_id
from toru.errors import NotFound, Unavailable


def actor_name(plugin_id: str, number: int = 1) -> str:
    """Return the name of an actor of a plugin; while its version changes there are two."""
    return f"plugin/{plugin_id}" if number == 1 else f"plugin/{plugin_id}_{number}"


def tag_of_actor(name: str) -> str:
    """Return what tells the runs and the socket of an actor from those of others."""
    return name.removeprefix(actor_name(""))


class PluginPlaces:
    """The book of routes and ids.

    Attributes:
        are_known: whether all plugins that were there at the start have been looked at; until then
            a path that nobody serves may yet have its plugin.
    """

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._routes = RouteTable()
        self._actors: dict[str, Address] = {}
        self._requests = itertools.count(1)
        self.are_known = False

    def next_request_id(self) -> int:
        """Return a number that no other request to a plugin has, as long as the hub runs."""
        return next(self._requests)

    def assign(self, routes: Iterable[tuple[str, str]], actors: Mapping[str, str]) -> None:
        """Replace all places by these of (route, plugin id).

        Args:
            routes: who serves what.
            actors: the name of the actor of each plugin.
        """
        every = tuple(routes)
        self._routes = RouteTable(every)
        self._actors = {
            plugin_id: self._system.address(actors[plugin_id]) for _, plugin_id in every
        }

    def find(self, uri: str) -> tuple[Address, str]:
        """Return the actor of the plugin that serves a path, and the path that the plugin sees.

        Args:
            uri: path and query as they came.

        Raises:
            NotFound: there is none.
            Unavailable: there is none yet.
        """
        target = self._routes.find(uri) or find_by_id(uri)
        actor = None if target is None else self._actors.get(target.plugin_id)
        if target is None or actor is None:
            if target is not None and not self.are_known:
                raise Unavailable("The plugins are being looked for.", code="plugin_starting")
            raise NotFound("There is no plugin at this path.")
        return actor, target.path
