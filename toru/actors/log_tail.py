"""The live end of a log: its newest lines as events for admins, while anybody is subscribed.

Runs on: the thread of the LogSink that it belongs to.
"""

from __future__ import annotations

from collections import deque

import msgspec

from toru import clock
from toru.actors.messages.hub import CountSubscribers, Publish
from toru.actors.runtime import Address, Reply
from toru.errors import Unavailable

TICK_S = 0.1
LINES_A_TICK = 20
BYTES_A_TICK = 128 * 1024
"""More than this is left out, the oldest first, and counted: a tail is for eyes."""

_ANSWER_S = 5.0


class LogTail:
    """Gathers encoded lines and publishes them on the topic ``plugin-logs``, one event a line.

    Each is ``{"type":"log","plugin","line":{…}}``; what is left out comes before them as
    ``{"type":"log_gap","plugin","lines":n}``. Whether anybody is subscribed is asked each time, so
    a log that nobody watches costs one small message a tick.
    """

    def __init__(self, hub: Address, plugin: str) -> None:
        """Create it.

        Args:
            hub: who knows the subscribers.
            plugin: the id in the events.
        """
        self._hub = hub
        self._plugin = msgspec.json.encode(plugin)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._watchers: Reply[int] | None = None
        self._asked_at = 0.0

    def add(self, lines: list[bytes]) -> None:
        """Take lines as they are in the file, and ask whether anybody wants them."""
        self._left_out += max(0, len(lines) - LINES_A_TICK)
        for line in lines[-LINES_A_TICK:]:
            self._waiting.append(line)
            self._size += len(line)
        while len(self._waiting) > LINES_A_TICK or (
            self._size > BYTES_A_TICK and len(self._waiting) > 1
        ):
            self._size -= len(self._waiting.popleft())
            self._left_out += 1
        if self._watchers is None:
            self._asked_at = clock.monotonic()
            self._watchers = self._hub.ask(CountSubscribers("plugin-logs"), deadline_s=_ANSWER_S)

    def tick(self) -> bool:
        """Publish what waits, if somebody wants it; return whether to come again in `TICK_S`."""
        watchers = self._watchers
        if watchers is None:
            return False
        if not watchers.settled and clock.monotonic() < self._asked_at + _ANSWER_S:
            return True
        self._watchers = None
        if watchers.settled and not watchers.failed and watchers.get() > 0:
            self._publish()
        self._waiting.clear()
        self._size = self._left_out = 0
        return False

    def _publish(self) -> None:
        try:
            if self._left_out:
                self._tell(b"log_gap", b'"lines":%d' % self._left_out)
            for line in self._waiting:
                self._tell(b"log", b'"line":' + line.rstrip(b"\n"))
        except Unavailable:
            return  # the hub is being replaced, and its clients read the log itself

    def _tell(self, kind: bytes, rest: bytes) -> None:
        data = b'{"type":"%s","plugin":%s,%s}' % (kind, self._plugin, rest)
        self._hub.tell(Publish("plugin-logs", msgspec.Raw(data), admin_only=True))
