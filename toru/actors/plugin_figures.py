"""What is counted of one plugin: requests, errors, how long answers take.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

from collections import deque

from toru.actors.messages.monitor import ProcessFigures
from toru.actors.messages.plugins import PluginFigures

ANSWERS_KEPT = 1000


class Figures:
    """Running counts; the times of the last 1,000 answers."""

    def __init__(self) -> None:
        self._requests = 0
        self._errors = 0
        self._times_s: deque[float] = deque(maxlen=ANSWERS_KEPT)

    def answered(self, took_s: float) -> None:
        """Count a request that the plugin has answered."""
        self._requests += 1
        self._times_s.append(took_s)

    def failed(self) -> None:
        """Count a request that the hub had to answer for it."""
        self._requests += 1
        self._errors += 1

    def view(
        self, process: ProcessFigures | None, *, restarts: int, uptime_s: float | None
    ) -> PluginFigures:
        """Return the figures as the API shows them."""
        times = sorted(self._times_s)
        return PluginFigures(
            cpu_percent=None if process is None else process.cpu_percent,
            memory_bytes=None if process is None else process.memory_bytes,
            requests=self._requests,
            errors=self._errors,
            latency_p50_ms=_quantile_ms(times, 0.5),
            latency_p99_ms=_quantile_ms(times, 0.99),
            restarts=restarts,
            uptime_s=None if uptime_s is None else round(uptime_s, 1),
        )


def _quantile_ms(times: list[float], share: float) -> float | None:
    if not times:
        return None
    return round(times[min(int(share * len(times)), len(times) - 1)] * 1000, 3)
