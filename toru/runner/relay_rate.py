"""How fast the output of one run may be relayed; what comes faster waits in its pipe.

Runs on: any thread; pure, time comes in as monotonic seconds.
"""

from __future__ import annotations

BYTES_PER_S = 4 * 1024 * 1024
BURST_BYTES = 16 * 1024 * 1024
LINE_BYTES = 256
"""A newline counts like so many bytes, because a line costs the hub more than its bytes do: so
about 15,000 lines a second."""


class RelayRate:
    """The credit of one run."""

    __slots__ = ("_at", "_credit")

    def __init__(self, now: float) -> None:
        self._credit = float(BURST_BYTES)
        self._at = now

    def spend(self, data: bytes) -> None:
        """Take note of output that is relayed; it may be more than there is credit for."""
        self._credit -= len(data) + LINE_BYTES * data.count(b"\n")

    def pause_s(self, now: float) -> float:
        """Return how long to relay nothing: until there is credit again; 0 when there is."""
        self._credit = min(self._credit + (now - self._at) * BYTES_PER_S, float(BURST_BYTES))
        self._at = now
        return max(0.0, -self._credit / BYTES_PER_S)
