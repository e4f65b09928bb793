"""Events of the core and of other plugins, which a plugin has subscribed to (protocol 2).

Runs on: the plugin's loop.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .errors import CallError
from .reports import write_line

if TYPE_CHECKING:
    import asyncio  # slow to import, and not needed for the metadata

    from .host import Host, Link

MAX_WAITING = 1000


class PluginEvent(NamedTuple):
    """Something that has happened.

    Attributes:
        name: what was subscribed to.
        data: what belongs to it.
        timestamp: when it happened, RFC 3339 UTC.
        dropped: how many events before this one were left out, because they came faster than they
            were handled.
    """

    name: str
    data: Any
    timestamp: str
    dropped: int = 0


class CoreEvents:
    """The handlers of a plugin, and the events that wait for them."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Callable[[PluginEvent], Any]]] = {}
        self._waiting: deque[PluginEvent] = deque()
        self._is_busy = False

    async def subscribe(self, link: Link) -> None:
        """Tell the core what is wanted; what it refuses is a line in the log."""
        for name in self.handlers:
            try:
                await link.call("event.subscribe", {"name": name})
            except CallError as error:
                link.log("error", f"There will be no event {name}: {error.sentence}", {})

    def received(self, message: dict[str, Any], host: Host) -> asyncio.Task[None] | None:
        """Take an event; return the work on it when none is under way."""
        name, timestamp = str(message.get("name", "")), str(message.get("timestamp", ""))
        dropped = _count(message.get("dropped"))
        self._waiting.append(PluginEvent(name, message.get("data"), timestamp, dropped))
        if len(self._waiting) > MAX_WAITING:
            lost = 1 + self._waiting.popleft().dropped
            oldest = self._waiting.popleft()
            self._waiting.appendleft(oldest._replace(dropped=oldest.dropped + lost))
        if self._is_busy:
            return None
        self._is_busy = True
        return host.loop.create_task(self._handle_all(host))

    async def _handle_all(self, host: Host) -> None:
        """Handle what waits, one after the other."""
        try:
            while self._waiting:
                await self.handle(self._waiting.popleft(), host)
        finally:
            self._is_busy = False

    async def handle(self, event: PluginEvent, host: Host) -> None:
        """Call the handlers of an event; their faults go to the log."""
        for handler in self.handlers.get(event.name, ()):
            try:
                await host.invoke(handler, event)
            except Exception:
                message = f"A handler of the event {event.name} failed."
                write_line("error", message, {"error": traceback.format_exc()})


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
