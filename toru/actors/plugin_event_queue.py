"""Events that wait until a plugin has read those before.

Runs on: the event loop, owned by one `LinkV2`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from toru.domain.plugin_topics import CoreEvent

QUEUE_BYTES = 1024 * 1024
UNSENT_BYTES = 64 * 1024
"""No event is sent while as much as this waits in the socket."""

_ENVELOPE_BYTES = 200


class EventQueue:
    """At most 1 MiB of events; of more, the oldest go.

    Args:
        send: sends an event and the number of those that were left out before it; ValueError when
            the plugin takes no frame of that length.
        unsent_bytes: how much waits in the socket.
    """

    def __init__(
        self, send: Callable[[CoreEvent, int], None], unsent_bytes: Callable[[], int]
    ) -> None:
        self._send = send
        self._unsent_bytes = unsent_bytes
        self._waiting: deque[CoreEvent] = deque()
        self._bytes = 0
        self._dropped = 0

    def add(self, event: CoreEvent) -> None:
        """Send an event, or have it wait."""
        self._waiting.append(event)
        self._bytes += _size(event)
        while self._bytes > QUEUE_BYTES:
            self._bytes -= _size(self._waiting.popleft())
            self._dropped += 1
        self.go_on()

    def go_on(self) -> None:
        """Send what may be sent now."""
        room = UNSENT_BYTES - self._unsent_bytes()
        while self._waiting and room > 0:
            event = self._waiting.popleft()
            self._bytes -= _size(event)
            room -= _size(event)
            try:
                self._send(event, self._dropped)
            except ValueError:  # over the limit that the plugin has set for its frames
                self._dropped += 1
            else:
                self._dropped = 0


def _size(event: CoreEvent) -> int:
    return memoryview(event.data).nbytes + len(event.name) + _ENVELOPE_BYTES
