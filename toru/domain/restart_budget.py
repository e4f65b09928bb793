"""The restart budget: how often in which time an actor may crash, and how long to wait.

Runs on: any thread; pure. The sliding window is Erlang/OTP's "intensity" and "period".
"""

from __future__ import annotations

import msgspec


class RestartBudget(msgspec.Struct, frozen=True):
    """How many restarts are tolerated in which time.

    Attributes:
        limit: restarts within the window before the supervisor gives up.
        window_s: the length of the window in seconds.
        first_delay_s: seconds before the first restart in a window.
        max_delay_s: the most seconds before a restart; each is twice the one before.
    """

    limit: int = 10
    window_s: float = 60.0
    first_delay_s: float = 0.02
    max_delay_s: float = 5.0


_MAX_DOUBLINGS = 64
"""Far more than any delay needs, and few enough to stay a finite number."""


class RestartAfter(msgspec.Struct, frozen=True):
    """Restart in ``delay_s`` seconds; ``crashes`` are the moments to remember."""

    delay_s: float
    crashes: tuple[float, ...]


class GiveUp(msgspec.Struct, frozen=True):
    """The budget is spent."""

    sentence: str


def decide_restart(
    budget: RestartBudget, crashes: tuple[float, ...], now: float
) -> RestartAfter | GiveUp:
    """Decide what follows a crash at ``now`` (monotonic seconds) after earlier ``crashes``."""
    recent = tuple(moment for moment in crashes if now - moment < budget.window_s)
    if len(recent) >= budget.limit:
        return GiveUp(f"crashed {len(recent) + 1} times in {budget.window_s:g} seconds; given up.")
    doublings = min(len(recent), _MAX_DOUBLINGS)
    delay_s = min(budget.first_delay_s * 2.0**doublings, budget.max_delay_s)
    return RestartAfter(delay_s, (*recent, now))
