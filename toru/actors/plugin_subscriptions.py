"""What one plugin has subscribed to: to the Hub its actor is one more client.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import contextlib

from toru.actors.messages.auth import Session
from toru.actors.messages.hub import Join, Leave, Subscribe
from toru.actors.runtime import Address
from toru.domain.plugin_topics import CoreEvent, event_in, topic_of
from toru.errors import BadRequest, Unavailable

MAX_NAMES = 64


class PluginSubscriptions:
    """The names that a plugin wants to hear of, for as long as its connection lasts.

    Args:
        actor: the name of the plugin's actor, which gets the Hub's frames.
        hub: the Hub.
    """

    def __init__(self, actor: str, hub: Address) -> None:
        self._actor = actor
        self._hub = hub
        self._names: set[str] = set()

    async def add(self, name: str) -> None:
        """Subscribe to a name; twice is as once.

        Raises:
            NotFound: there is no such event.
            BadRequest: it is one too many.
            Unavailable: the Hub is not there.
        """
        topic = topic_of(name)
        if name not in self._names and len(self._names) >= MAX_NAMES:
            raise BadRequest(f"A plugin may subscribe to {MAX_NAMES} events at most.")
        if not self._names:
            self._hub.tell(Join(self._actor, self._session()))
        self._names.add(name)
        await self._hub.ask(Subscribe(self._actor, (topic,)))

    def heard(self, frame: bytes) -> CoreEvent | None:
        """Return the event of a frame of the Hub's; None when the plugin does not want it."""
        if not self._names:
            return None
        event = event_in(frame)
        return event if event is not None and event.name in self._names else None

    def clear(self) -> None:
        """Hear of nothing any more."""
        if self._names:
            self._names.clear()
            with contextlib.suppress(Unavailable):
                self._hub.tell(Leave(self._actor))

    def _session(self) -> Session:
        """Return whom the Hub sees: plugins may do with runs what the admin may."""
        return Session(
            id="",
            user_id=None,
            username=self._actor,
            display_name=self._actor,
            role="admin",
            expires_at="",
        )
