"""The live sessions in memory: by id, by user, and the one that expires next.

Runs on: the event loop, inside the Auth actor; no I/O and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from toru import clock
from toru.actors.messages.auth import Session
from toru.actors.messages.storage import User

SESSIONS_PER_USER = 256
"""One more ends the user's oldest."""


class SessionCache:
    """Sessions that have not ended; times are seconds since the Unix epoch."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._expires: dict[str, float] = {}
        self._by_user: dict[int | None, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._sessions

    def put(self, session: Session) -> tuple[str, ...]:
        """Add a session; return the ids of the user's oldest that are now too many."""
        self._sessions[session.id] = session
        self._expires[session.id] = clock.parse_time(session.expires_at)
        mine = self._by_user.setdefault(session.user_id, {})
        mine[session.id] = None
        return tuple(mine)[: max(0, len(mine) - SESSIONS_PER_USER)]

    def get(self, session_id: str, now: float) -> Session | None:
        """Return a session that has not expired at ``now``."""
        session = self._sessions.get(session_id)
        if session is None or self._expires[session_id] <= now:
            return None
        return session

    def remove(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Forget sessions; return the ids of those that were there."""
        gone = []
        for session_id in ids:
            session = self._sessions.pop(session_id, None)
            if session is None:
                continue
            gone.append(session_id)
            del self._expires[session_id]
            mine = self._by_user[session.user_id]
            del mine[session_id]
            if not mine:
                del self._by_user[session.user_id]
        return tuple(gone)

    def of_user(self, user_id: int | None) -> tuple[str, ...]:
        """Return the ids of a user's sessions, the oldest first; None is the admin's."""
        return tuple(self._by_user.get(user_id, ()))

    def expired(self, now: float) -> tuple[str, ...]:
        """Return the ids of the sessions whose time is over at ``now``."""
        return tuple(name for name, moment in self._expires.items() if moment <= now)

    def next_expiry(self) -> float | None:
        """Return when the next session expires; None when there is none."""
        return min(self._expires.values(), default=None)

    def rename(self, user: User) -> None:
        """Take a user's new names into the user's sessions."""
        for session_id in self.of_user(user.id):
            self._sessions[session_id] = msgspec.structs.replace(
                self._sessions[session_id],
                username=user.username,
                display_name=user.display_name,
            )
