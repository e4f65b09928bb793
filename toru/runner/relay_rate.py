"""How fast the output of one run may be relayed; what comes faster waits in its pipe.

Runs on: any thread; pure, time comes in as monotonic seconds.
"""

from __future__ import annotations

BURST_S = 4
LINE_BYTES = 256
"""A newline counts like so many bytes, because a line costs the hub more than its bytes do."""


class RelayRate:
    """The credit of one run: so many bytes a second, and at first of `BURST_S` seconds."""

    __slots__ = ("_at", "_credit", "_most", "_per_s")

    def __init__(self, bytes_per_s: int, now: float) -> None:
        self._per_s = bytes_per_s
        self._most = float(bytes_per_s * BURST_S)
        self._credit = self._most
        self._at = now

    def spend(self, data: bytes) -> None:
        """Take note of output that is relayed; it may be more than there is credit for."""
        self._credit -= len(data) + LINE_BYTES * data.count(b"\n")

    def pause_s(self, now: float) -> float:
        """Return how long to relay nothing: until there is credit again; 0 when there is."""
        self._credit = min(self._credit + (now - self._at) * self._per_s, self._most)
        self._at = now
        return max(0.0, -self._credit / self._per_s)
