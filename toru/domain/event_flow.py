"""How fast the events of one source are passed on, and which of them when there are too many.

Runs on: any thread, one at a time; pure. Moments are monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Event = TypeVar("Event")

EVENTS_PER_S = 50.0
BURST_EVENTS = 100.0
BYTES_PER_S = 512 * 1024.0
BURST_BYTES = 1024 * 1024.0


class _Bucket:
    """Allows so much at once, and so much more each second."""

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._at = now

    def fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._at) * self._per_s)
        self._at = now

    def wait_s(self, amount: float) -> float:
        return max(0.0, (amount - self._level) / self._per_s)

    def take(self, amount: float) -> None:
        self._level -= amount


class EventFlow(Generic[Event]):
    """Events that wait until they may be passed on; of too many, the oldest go.

    The burst is also what may wait: at most `BURST_EVENTS` events and `BURST_BYTES` bytes.

    Attributes:
        dropped: events that were not passed on.
    """

    def __init__(self, now: float) -> None:
        self.dropped = 0
        self._waiting: deque[tuple[Event, int]] = deque()
        self._waiting_bytes = 0
        self._events = _Bucket(EVENTS_PER_S, BURST_EVENTS, now)
        self._bytes = _Bucket(BYTES_PER_S, BURST_BYTES, now)

    def add(self, event: Event, size_bytes: int) -> bool:
        """Let an event wait for its turn; return False when others had to go for it."""
        self._waiting.append((event, size_bytes))
        self._waiting_bytes += size_bytes
        dropped = self.dropped
        while self._waiting_bytes > BURST_BYTES or len(self._waiting) > BURST_EVENTS:
            _, size_bytes = self._waiting.popleft()
            self._waiting_bytes -= size_bytes
            self.dropped += 1
        return self.dropped == dropped

    def due(self, now: float) -> list[Event]:
        """Return the events whose turn it is, the oldest first."""
        self._events.fill(now)
        self._bytes.fill(now)
        due: list[Event] = []
        while self._waiting and self._wait_s() == 0.0:
            event, size_bytes = self._waiting.popleft()
            self._waiting_bytes -= size_bytes
            self._events.take(1)
            self._bytes.take(size_bytes)
            due.append(event)
        return due

    def next_s(self) -> float | None:
        """Return the seconds from the last `due` to the next event's turn; None when none waits."""
        return self._wait_s() if self._waiting else None

    def _wait_s(self) -> float:
        return max(self._events.wait_s(1), self._bytes.wait_s(self._waiting[0][1]))
