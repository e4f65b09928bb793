"""The lockouts of all (name, address) pairs, and the turns in which their attempts are looked at.

Runs on: the event loop, inside the Auth actor. The rule itself is ``toru.domain.lockout``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from toru import clock
from toru.actors.messages.storage import LOCKED, LoginAttempt
from toru.domain.lockout import Event, Lockout, decide, lockout_address

Key = tuple[str, str]

KEYS_LIMIT = 20_000
"""More keys than this forget those that are not locked, then those that failed first."""

NOTES_PER_LOCK = 200
"""So many refused attempts of one lock are recorded; a flood of them fills no disk."""


class _Turn:
    """The queue of one key's attempts."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Lockouts:
    """What is remembered of each key. Moments are those of the monotonic clock."""

    def __init__(self, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._monotonic = monotonic
        self._states: dict[Key, Lockout] = {}
        self._notes: dict[Key, int] = {}
        self._turns: dict[Key, _Turn] = {}

    def __len__(self) -> int:
        return len(self._states)

    def restore(self, attempts: Iterable[LoginAttempt], wall_now: float) -> None:
        """Go through recorded attempts, the newest first as the database answers them."""
        monotonic_now = self._monotonic()
        for attempt in reversed(list(attempts)):
            if attempt.failure_reason == LOCKED:
                continue
            age_s = max(0.0, wall_now - clock.parse_time(attempt.attempted_at))
            event: Event = "success" if attempt.success else "failure"
            key = key_of(attempt.username, attempt.ip_address)
            self._happened(key, event, monotonic_now - age_s)

    @asynccontextmanager
    async def turn(self, key: Key) -> AsyncIterator[None]:
        """Wait until the attempts of this key that came earlier are over."""
        turn = self._turns.setdefault(key, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if turn.waiting == 0:
                del self._turns[key]

    def locked_s(self, key: Key) -> int:
        """Return the seconds that a key stays locked; 0 when a password may be looked at."""
        return self._happened(key, "attempt", self._monotonic())

    def failed(self, key: Key) -> int:
        """Count a failure; return the seconds that the key is locked from now on."""
        return self._happened(key, "failure", self._monotonic())

    def succeeded(self, key: Key) -> None:
        """Forget the failures of a key."""
        self._happened(key, "success", self._monotonic())

    def is_noted(self, key: Key) -> bool:
        """Return whether a refused attempt is to be recorded, and count it."""
        noted = self._notes.get(key, 0) + 1
        self._notes[key] = noted
        return noted <= NOTES_PER_LOCK

    def _happened(self, key: Key, event: Event, now: float) -> int:
        decision = decide(self._states.get(key, Lockout()), event, now)
        self._states.pop(key, None)
        if not decision.locked_s:
            self._notes.pop(key, None)
        if not decision.state.is_empty:
            self._states[key] = decision.state
            if len(self._states) > KEYS_LIMIT:
                self._forget_some(now)
        return decision.locked_s

    def _forget_some(self, now: float) -> None:
        """Drop a tenth, so that this is rare; the dict is in the order of the last event."""
        unlocked = [key for key, state in self._states.items() if state.locked_until <= now]
        locked = [key for key, state in self._states.items() if state.locked_until > now]
        for key in (unlocked + locked)[: KEYS_LIMIT // 10]:
            del self._states[key]
            self._notes.pop(key, None)


def key_of(username: str, ip_address: str) -> Key:
    """Return what a lockout is counted by."""
    return username, lockout_address(ip_address)
