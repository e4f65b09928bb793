"""When to ping a peer, and when a ping counts as missed.

Runs on: any thread; pure. Moments are monotonic seconds.
"""

from __future__ import annotations

from typing import Literal

SILENCE_S = 10.0
"""After so long without any frame the peer is pinged."""
ANSWER_S = 5.0
"""How long each ping may take."""

Verdict = Literal["ping", "missed"]


class Liveness:
    """The silence of one connection.

    Attributes:
        misses: pings without an answer, in a row.
        pings: how many were sent; the number of the last.
    """

    def __init__(self, now: float) -> None:
        self.misses = 0
        self.pings = 0
        self._heard_at = now
        self._pinged_at: float | None = None

    def heard(self, now: float) -> bool:
        """Note a frame, of whatever kind; return whether pings had been missed before."""
        had_missed = self.misses > 0
        self.misses = 0
        self._heard_at = now
        self._pinged_at = None
        return had_missed

    def check(self, now: float) -> Verdict | None:
        """Return ``ping`` when one is to be sent, ``missed`` when also the last has no answer."""
        if self._pinged_at is None:
            if now - self._heard_at < SILENCE_S:
                return None
            verdict: Verdict = "ping"
        elif now - self._pinged_at < ANSWER_S:
            return None
        else:
            verdict = "missed"
            self.misses += 1
        self.pings += 1
        self._pinged_at = now
        return verdict
