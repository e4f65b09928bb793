"""How late the event loop is: the figure that says whether anything keeps it from its work.

Runs on: the event loop; read on any thread.
"""

from __future__ import annotations

import asyncio
from collections import deque

INTERVAL_S = 0.02
KEPT = 15_000
"""Five minutes of samples."""


class LoopLag:
    """Sets itself an alarm every 20 ms and keeps how much too late each one rang."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._samples: deque[float] = deque(maxlen=KEPT)
        self._due = loop.time() + INTERVAL_S
        self._handle = loop.call_at(self._due, self._ring)

    def close(self) -> None:
        """Set no more alarms."""
        self._handle.cancel()

    def quantile_s(self, share: float) -> float:
        """Return the lag in seconds that this share of the last five minutes stayed below."""
        samples = sorted(self._samples.copy())
        return samples[min(int(share * len(samples)), len(samples) - 1)] if samples else 0.0

    def _ring(self) -> None:
        now = self._loop.time()
        self._samples.append(now - self._due)
        self._due = now + INTERVAL_S
        self._handle = self._loop.call_at(self._due, self._ring)
