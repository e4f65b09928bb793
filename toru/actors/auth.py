"""Auth: who may log in, and which sessions live.

Sessions are kept in memory and written through: a login is answered after its session is
durable, and an ended session is refused at once, everywhere.

Runs on: the event loop.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Coroutine
from typing import Any, ClassVar

import msgspec

from toru import clock
from toru.actors.accounts import Accounts
from toru.actors.hasher_pool import HasherPool
from toru.actors.live_sessions import LiveSessions, session_of
from toru.actors.lockouts import Key, Lockouts, key_of
from toru.actors.messages.auth import (
    ChangeOwnPassword,
    ChangeUser,
    CheckSession,
    CountLogins,
    CreateUser,
    EndExpired,
    GetSession,
    ListLogins,
    LoggedIn,
    LogIn,
    LogOut,
    Purge,
    RemoveUser,
    ResetPassword,
    RetryDeletes,
)
from toru.actors.messages.storage import (
    LOCKED,
    CountLoginAttempts,
    GetCredentials,
    GetSettings,
    InsertLoginAttempt,
    ListLoginAttempts,
    ListSessions,
    ListUsers,
    PurgeOld,
    Role,
    SaveSetting,
    SessionRow,
    SetPasswordHash,
    User,
)
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.config import Secret
from toru.domain.lockout import WINDOW_S
from toru.domain.passwords import PASSWORD_MAX
from toru.errors import BadRequest, LockedOut, ToruError, Unauthorized, Unavailable

logger = logging.getLogger("toru.auth")

SESSION_LIFETIME_S = 7 * 86_400.0
ATTEMPTS_KEPT_S = 90 * 86_400.0
PURGE_INTERVAL_S = 3600.0
LONGEST_TIMER_S = 3600.0
"""Expiry is wall time, timers are not: this often the two are compared."""

LOGINS_LIMIT = 512
"""Logins under way; one more is refused."""

RESTORED_ATTEMPTS = 200_000
ADMIN_HASH_KEY = "admin_password_hash"
"""Where the hash of the admin's password is kept, to notice at a start that it was changed."""

REFUSED = "The user name or the password is not right."


class Admin(msgspec.Struct, frozen=True):
    """The admin of the environment."""

    username: str
    display_name: str
    password: Secret


class _Identity(msgspec.Struct, frozen=True):
    """Who has proved to be whom, in a login that began at ``since``."""

    user_id: int | None
    username: str
    display_name: str
    role: Role
    since: int


class Auth(LoopActor):
    """Keeps sessions and lockouts, and the rules about users."""

    mailbox_limit: ClassVar[int] = 5000

    def __init__(
        self,
        context: ActorContext,
        *,
        admin: Admin,
        db_writer: Address,
        db_reader: Address,
        hub: Address,
        hashers: tuple[Address, ...],
        session_lifetime_s: float = SESSION_LIFETIME_S,
    ) -> None:
        """Create the actor; the database actors and the hashers must be running.

        Args:
            context: its place in the system.
            admin: the admin of the environment.
            db_writer: makes changes durable.
            db_reader: answers questions.
            hub: is told which sessions have ended; it may come later.
            hashers: hash passwords, off the loop.
            session_lifetime_s: seconds that a session lives.
        """
        super().__init__(context)
        self._admin = admin
        self._writer = db_writer
        self._reader = db_reader
        self._hashers = HasherPool(hashers)
        self._lifetime_s = session_lifetime_s
        self._sessions = LiveSessions(db_writer, hub, lambda: self.timers)
        self._accounts = Accounts(
            admin.username, db_writer, db_reader, self._hashers, self._sessions
        )
        self._lockouts = Lockouts()
        self._logins = 0

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Read the sessions and lockouts back; those of who may no longer log in are ended."""
        now = time.time()
        since = clock.format_time(now - WINDOW_S)
        attempts = await self._reader.ask(ListLoginAttempts(RESTORED_ATTEMPTS, since))
        self._lockouts.restore(attempts, now)
        users = {user.id: user for user in await self._reader.ask(ListUsers())}
        for row in await self._reader.ask(ListSessions(clock.format_time(now))):
            self._restore_session(row, users)
        if not await self._is_same_admin_password():
            self._sessions.drop(self._sessions.of_user(None))
        await self._sessions.delete_ended()
        self._arm_expiry()
        self.timers.every("purge", PURGE_INTERVAL_S, Purge())

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message; what needs others is a coroutine beside the mailbox."""
        match message:
            case GetSession(token):
                return self._sessions.find(id_of(token))
            case CheckSession(session_id):
                return self._sessions.find(session_id)
            case LogIn():
                return self._admit(self._log_in(message))
            case LogOut(token):
                return self._sessions.log_out(id_of(token))
            case ChangeOwnPassword():
                return self._admit(self._change_own_password(message))
            case CreateUser():
                return self._accounts.create(message)
            case ChangeUser():
                return self._accounts.change(message)
            case RemoveUser(user_id):
                return self._accounts.remove(user_id)
            case ResetPassword(user_id, password):
                return self._accounts.reset_password(user_id, password)
            case ListLogins(limit, failed_only):
                return self._reader.ask(ListLoginAttempts(limit, failed_only=failed_only))
            case CountLogins(since):
                return self._reader.ask(CountLoginAttempts(since))
            case EndExpired():
                return self._end_expired()
            case RetryDeletes():
                return self._sessions.delete_ended()
            case Purge():
                return self._purge()
            case _:
                raise TypeError(f"{type(message).__name__} is no message for Auth.")

    async def _admit(self, login: Coroutine[Any, Any, Any]) -> Any:
        if self._logins >= LOGINS_LIMIT:
            login.close()
            raise Unavailable("Too many people log in at once; try again in a moment.")
        self._logins += 1
        try:
            return await login
        finally:
            self._logins -= 1

    async def _log_in(self, message: LogIn) -> LoggedIn:
        if len(message.password) > PASSWORD_MAX:
            raise BadRequest(f"A password has at most {PASSWORD_MAX:,} characters.")
        key = key_of(message.username, message.ip_address)
        async with self._lockouts.turn(key):
            await self._refuse_locked(key, message.username, message.ip_address)
            proved = await self._identify(message.username, message.password)
            if isinstance(proved, str):
                self._lockouts.failed(key)
                await self._record(message.username, message.ip_address, proved)
                raise Unauthorized(REFUSED)
            logged_in = await self._open_session(proved, message)
            self._lockouts.succeeded(key)
            return logged_in

    async def _refuse_locked(self, key: Key, username: str, ip_address: str) -> None:
        locked_s = self._lockouts.locked_s(key)
        if not locked_s:
            return
        if self._lockouts.is_noted(key):
            with contextlib.suppress(ToruError):  # the refusal matters more than its record
                await self._record(username, ip_address, LOCKED)
        raise LockedOut("Too many failed attempts; please wait.", locked_s)

    async def _identify(self, username: str, password: str) -> _Identity | str:
        """Return who it is, or why not, after exactly one verification, whatever is wrong."""
        since = self._sessions.began()
        found = await self._reader.ask(GetCredentials(username))
        is_admin = username == self._admin.username
        known = None if is_admin else found
        verdict = await self._hashers.verify(password, known.password_hash if known else None)
        if is_admin:
            return self._identify_admin(password, since)
        if known is None:
            return "unknown user"
        if not verdict.matches:
            return "wrong password"
        if not known.user.is_active:
            return "account disabled"
        if verdict.new_hash is not None:
            self._rehash(known.user.id, verdict.new_hash, since)
        user = known.user
        return _Identity(user.id, user.username, user.display_name, user.role, since)

    def _identify_admin(self, password: str, since: int) -> _Identity | str:
        admin = self._admin
        given = hashlib.sha256(_bytes(password)).digest()
        right = hashlib.sha256(_bytes(admin.password.reveal())).digest()
        if not hmac.compare_digest(given, right):
            return "wrong password"
        return _Identity(None, admin.username, admin.display_name, "admin", since)

    def _rehash(self, user_id: int, new_hash: str, since: int) -> None:
        """Store the stronger hash, unless the password is being changed: that one must win."""
        if self._sessions.is_unchanged(user_id, since):
            with contextlib.suppress(Unavailable):  # the next login does it
                self._writer.tell(SetPasswordHash(user_id, new_hash))

    async def _open_session(self, who: _Identity, message: LogIn) -> LoggedIn:
        token = secrets.token_urlsafe(32)
        session = await self._sessions.open(self._new_row(who, token, message), who.since)
        if session is None:
            raise Unauthorized(REFUSED)
        self._arm_expiry()
        await self._record(message.username, message.ip_address, None)
        return LoggedIn(token, session)

    def _new_row(self, who: _Identity, token: str, message: LogIn) -> SessionRow:
        now = time.time()
        return SessionRow(
            id=id_of(token),
            user_id=who.user_id,
            user_role=who.role,
            username=who.username,
            display_name=who.display_name,
            created_at=clock.format_time(now),
            expires_at=clock.format_time(now + self._lifetime_s),
            ip_address=message.ip_address,
            user_agent=message.user_agent,
        )

    async def _record(self, username: str, ip_address: str, failure: str | None) -> None:
        storable = username.replace("\0", "\N{REPLACEMENT CHARACTER}")
        await self._writer.ask(
            InsertLoginAttempt(storable, ip_address, failure is None, failure, clock.utc_now())
        )

    async def _change_own_password(self, message: ChangeOwnPassword) -> None:
        credentials = await self._accounts.own_credentials(message)
        user = credentials.user
        key = key_of(user.username, message.ip_address)
        async with self._lockouts.turn(key):
            await self._refuse_locked(key, user.username, message.ip_address)
            verdict = await self._hashers.verify(
                message.current_password, credentials.password_hash
            )
            if not verdict.matches:
                self._lockouts.failed(key)
                await self._record(user.username, message.ip_address, "wrong current password")
                raise BadRequest("The current password is not right.", code="wrong_password")
            await self._accounts.set_password(user.id, message.new_password)
        await self._sessions.end_of_user(user.id, keep=message.session_id)

    async def _end_expired(self) -> None:
        await self._sessions.end_expired()
        self._arm_expiry()

    def _arm_expiry(self) -> None:
        moment = self._sessions.next_expiry
        if moment is not None:
            delay_s = min(max(moment - time.time(), 0.0) + 0.005, LONGEST_TIMER_S)
            self.timers.after("expiry", delay_s, EndExpired())

    async def _purge(self) -> None:
        now = time.time()
        attempts_before = clock.format_time(now - ATTEMPTS_KEPT_S)
        try:
            await self._writer.ask(PurgeOld(clock.format_time(now), attempts_before))
        except ToruError as error:
            logger.warning("Old sessions and attempts stay for now: %s", error.sentence)

    def _restore_session(self, row: SessionRow, users: dict[int, User]) -> None:
        known: Admin | User | None = self._admin if row.user_id is None else users.get(row.user_id)
        if isinstance(known, User) and (not known.is_active or known.role != row.user_role):
            known = None
        if known is None:
            self._sessions.drop((row.id,))
            return
        session = msgspec.structs.replace(
            session_of(row), username=known.username, display_name=known.display_name
        )
        self._sessions.restore(session)

    async def _is_same_admin_password(self) -> bool:
        """Return whether the admin's password is that of the last start, and remember it."""
        password = self._admin.password.reveal()
        stored = (await self._reader.ask(GetSettings())).get(ADMIN_HASH_KEY)
        is_same = False
        if stored is not None:
            verdict = await self._hashers.verify(password, stored)
            if verdict.matches and verdict.new_hash is None:
                return True
            is_same = verdict.matches
        new_hash = await self._hashers.hash(password)
        await self._writer.ask(SaveSetting(ADMIN_HASH_KEY, new_hash))
        return is_same


def id_of(token: str) -> str:
    """Return the id of the session that a token opens: its SHA-256 in hexadecimal."""
    return hashlib.sha256(_bytes(token)).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
