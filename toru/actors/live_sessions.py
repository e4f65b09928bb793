"""The live sessions, written through: opened durably, ended at once, removed for certain.

Runs on: the event loop, inside the Auth actor.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable

from toru.actors.messages.auth import RetryDeletes, Session
from toru.actors.messages.hub import SessionsEnded
from toru.actors.messages.storage import DeleteSessions, InsertSession, SessionRow, User
from toru.actors.runtime import Address, Timers
from toru.actors.session_cache import SessionCache
from toru.errors import ToruError, Unavailable

logger = logging.getLogger("toru.auth")

RETRY_DELETES_S = 5.0


class LiveSessions:
    """Sessions in memory, in the database and, through the hub, on the connections.

    An ended session is refused from that moment on; removing its row may fail and is then tried
    again. A login that began before its user was changed must not outlive the change: it asks
    `began` first and opens its session with that.
    """

    def __init__(self, db_writer: Address, hub: Address, timers: Callable[[], Timers]) -> None:
        self._writer = db_writer
        self._hub = hub
        self._timers = timers
        self._cache = SessionCache()
        self._undeleted: set[str] = set()
        self._changes = 0
        self._changed_at: dict[int | None, int] = {}

    @property
    def next_expiry(self) -> float | None:
        """When the next session expires, in seconds since the Unix epoch."""
        return self._cache.next_expiry()

    def find(self, session_id: str) -> Session | None:
        """Return a session that lives."""
        return self._cache.get(session_id, time.time())

    def began(self) -> int:
        """Return the moment, as a number of changes, at which a login begins."""
        return self._changes

    def is_unchanged(self, user_id: int | None, since: int) -> bool:
        """Return whether nothing has ended the user's sessions since a login began."""
        return self._changed_at.get(user_id, 0) <= since

    def mark_change(self, user_id: int) -> None:
        """Say that the user is being changed; logins that are under way will fail."""
        self._changes += 1
        self._changed_at[user_id] = self._changes

    def restore(self, session: Session) -> None:
        """Take a session that the database has."""
        self._cache.put(session)

    def drop(self, ids: Iterable[str]) -> None:
        """Have rows removed whose sessions are not to live; before any connection was there."""
        ids = tuple(ids)
        self._cache.remove(ids)
        self._undeleted.update(ids)

    async def open(self, row: SessionRow, since: int) -> Session | None:
        """Make a session durable and let it live; None when its user was changed meanwhile."""
        await self._writer.ask(InsertSession(row))
        if not self.is_unchanged(row.user_id, since):
            self._undeleted.add(row.id)
            await self.delete_ended()
            return None
        session = session_of(row)
        too_many = self._cache.put(session)
        if too_many:
            self.end(too_many)
            await self.delete_ended()
        return session

    def rename(self, user: User) -> None:
        """Show a user's new names in the user's sessions."""
        self._cache.rename(user)

    def of_user(self, user_id: int | None) -> tuple[str, ...]:
        """Return the ids of a user's sessions."""
        return self._cache.of_user(user_id)

    def end(self, ids: Iterable[str]) -> None:
        """End sessions now; `delete_ended` is to follow."""
        gone = self._cache.remove(ids)
        if not gone:
            return
        self._undeleted.update(gone)
        with contextlib.suppress(Unavailable):  # without a hub there are no connections
            self._hub.tell(SessionsEnded(gone))

    async def end_of_user(self, user_id: int, keep: str | None = None) -> None:
        """End a user's sessions, but ``keep``, after the user was changed."""
        self.mark_change(user_id)
        self.end(tuple(each for each in self._cache.of_user(user_id) if each != keep))
        await self.delete_ended()

    async def end_expired(self) -> None:
        """End the sessions whose time is over."""
        self.end(self._cache.expired(time.time()))
        await self.delete_ended()

    async def log_out(self, session_id: str) -> None:
        """End one session, durably; one that is not known is no error.

        Raises:
            StorageUnavailable: it is ended, but would live again after a restart.
        """
        self.end((session_id,))
        if session_id in self._undeleted:
            await self._delete()

    async def delete_ended(self) -> None:
        """Remove the rows of ended sessions; what fails is tried again later."""
        try:
            await self._delete()
        except ToruError as error:
            logger.warning("Ended sessions stay in the database for now: %s", error.sentence)
            self._timers().after("retry", RETRY_DELETES_S, RetryDeletes())

    async def _delete(self) -> None:
        ids = tuple(self._undeleted)
        if ids:
            await self._writer.ask(DeleteSessions(ids))
            self._undeleted.difference_update(ids)


def session_of(row: SessionRow) -> Session:
    """Return the session that a row keeps."""
    return Session(
        row.id, row.user_id, row.username, row.display_name, row.user_role, row.expires_at
    )
