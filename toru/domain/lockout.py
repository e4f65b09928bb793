"""The lockout rule: how failed logins of one (name, address) lock it, and for how long.

Runs on: any thread; pure. Moments are monotonic seconds; a failure that a restart has outlived
is given the negative moment that its age makes of it.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Literal

import msgspec

WINDOW_S = 3600.0
"""Failures count for this long."""

STEPS: tuple[tuple[int, float], ...] = ((3, 60.0), (6, 180.0), (9, 600.0), (12, 1800.0))
"""Failures within the window, and the seconds that the key is locked from that failure on."""

EVERY = 3
"""Over the last step, each so many failures lock for as long as the last step does."""

Event = Literal["attempt", "failure", "success"]


class Lockout(msgspec.Struct, frozen=True):
    """What is remembered of one key.

    Attributes:
        failures: the moments of the failures that count, the oldest first.
        locked_until: the moment until which attempts are refused.
    """

    failures: tuple[float, ...] = ()
    locked_until: float = -math.inf

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remember; pruned by `decide`."""
        return not self.failures and self.locked_until == -math.inf


class Decision(msgspec.Struct, frozen=True):
    """What follows an event.

    Attributes:
        state: what to remember now.
        locked_s: whole seconds that the key stays locked, rounded up; 0 when it is not.
    """

    state: Lockout
    locked_s: int


def decide(state: Lockout, event: Event, now: float) -> Decision:
    """Decide what an event at ``now`` makes of a key.

    An ``attempt`` asks whether a password may be looked at; ``failure`` and ``success`` say how
    that ended. Whatever happens during a lockout neither counts nor lengthens it.
    """
    current = _pruned(state, now)
    if current.locked_until > now:
        return Decision(current, _whole_seconds(current.locked_until - now))
    if event == "success":
        return Decision(Lockout(), 0)
    if event == "attempt":
        return Decision(current, 0)
    failures = (*current.failures, now)
    lock_s = _lock_s(len(failures))
    if lock_s == 0:
        return Decision(Lockout(failures), 0)
    return Decision(Lockout(failures, now + lock_s), _whole_seconds(lock_s))


def _pruned(state: Lockout, now: float) -> Lockout:
    failures = tuple(moment for moment in state.failures if now - moment < WINDOW_S)
    locked_until = state.locked_until if state.locked_until > now else -math.inf
    return Lockout(failures, locked_until)


def _lock_s(count: int) -> float:
    last, longest = STEPS[-1]
    if count > last:
        return longest if count % EVERY == 0 else 0.0
    return dict(STEPS).get(count, 0.0)


def _whole_seconds(left_s: float) -> int:
    """Round up, but not for what adding floats has added."""
    return max(1, math.ceil(round(left_s, 3)))


def lockout_address(address: str) -> str:
    """Return what counts as one address: a whole /64 of IPv6, because one customer has all of it.

    RFC 6177 tells providers to give every site at least that much.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
