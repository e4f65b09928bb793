"""What a plugin emits, passed on to those who watch: bounded in size and in rate.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from toru.actors.messages.hub import Publish
from toru.actors.messages.logs import LogLine, LogLines
from toru.actors.plugin_services import PluginServices
from toru.clock import monotonic, utc_now
from toru.domain.event_flow import EventFlow
from toru.domain.plugin_topics import EMITTED
from toru.errors import TooLarge, Unavailable

MAX_DATA_BYTES = 64 * 1024
MAX_NAME_CHARS = 128
_LEAST_PAUSE_S = 0.01

_TOO_FAST = (
    "It emits events faster than they are passed on (50 a second, 512 KiB a second); "
    "the oldest are left out."
)


class EmittedEvent(msgspec.Struct, frozen=True, tag_field="type", tag="emitted"):
    """An event of a plugin, as watchers get it.

    Attributes:
        plugin: the plugin's id.
        name: what the plugin calls it.
        data: what it says.
        timestamp: when it came, RFC 3339 UTC.
        number: one more than that of the plugin's event before, so that a watcher knows how many
            did not reach it. It begins anew with the hub and with the plugin's actor.
    """

    plugin: str
    name: str
    data: msgspec.Raw
    timestamp: str
    number: int


class EmittedEvents:
    """The events of one plugin on their way to the Hub."""

    def __init__(self, plugin_id: str, services: PluginServices) -> None:
        self._id = plugin_id
        self._services = services
        self._flow: EventFlow[msgspec.Raw] = EventFlow(monotonic())
        self._number = 0
        self._is_dropping = False
        self._timer: asyncio.TimerHandle | None = None

    def emit(self, name: str, data: Any) -> None:
        """Pass an event on, at once or when it is its turn.

        Raises:
            TooLarge: the data has more than 64 KiB of JSON.
        """
        encoded = msgspec.json.encode(data)
        if len(encoded) > MAX_DATA_BYTES:
            limit = MAX_DATA_BYTES // 1024
            raise TooLarge(f"The data of an event has at most {limit} KiB of JSON.")
        self._number += 1
        event = EmittedEvent(self._id, name, msgspec.Raw(encoded), utc_now(), self._number)
        frame = msgspec.json.encode(event)
        if not self._flow.add(msgspec.Raw(frame), len(frame)):
            self._note_drop()
        if self._timer is None:
            self._pass_on()

    def close(self) -> None:
        """Pass on nothing that waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass_on(self) -> None:
        self._timer = None
        for frame in self._flow.due(monotonic()):
            with contextlib.suppress(Unavailable):
                self._services.hub.tell(Publish(f"{EMITTED}{self._id}", frame))
        pause_s = self._flow.next_s()
        if pause_s is None:
            self._is_dropping = False
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(pause_s, _LEAST_PAUSE_S), self._pass_on)

    def _note_drop(self) -> None:
        """Tell the author once, until all that waited is through."""
        if self._is_dropping:
            return
        self._is_dropping = True
        line = LogLine(utc_now(), "warn", self._id, _TOO_FAST)
        with contextlib.suppress(Unavailable):
            self._services.log_sink(self._id).tell(LogLines((line,)))
