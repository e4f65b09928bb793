"""The rules about users: making, changing and removing them, and their passwords.

Runs on: the event loop, inside the Auth actor.
"""

from __future__ import annotations

import msgspec

from toru import clock
from toru.actors.hasher_pool import HasherPool
from toru.actors.live_sessions import LiveSessions
from toru.actors.messages.auth import ChangeOwnPassword, ChangeUser, CreateUser
from toru.actors.messages.storage import (
    Credentials,
    DeleteUser,
    GetCredentialsById,
    GetUser,
    InsertUser,
    SetPasswordHash,
    UpdateUser,
    User,
)
from toru.actors.runtime import Address
from toru.domain.passwords import (
    PASSWORD_MAX,
    check_display_name,
    check_password,
    check_username,
    same_name,
)
from toru.errors import BadRequest, Conflict, NotFound, Unauthorized


class Accounts:
    """Changes users, and ends the sessions that a change ends.

    Each change is marked before it is written and again after, so that a login under way either
    sees the change or is refused.
    """

    def __init__(
        self,
        admin_username: str,
        db_writer: Address,
        db_reader: Address,
        hashers: HasherPool,
        sessions: LiveSessions,
    ) -> None:
        self._admin_username = admin_username
        self._writer = db_writer
        self._reader = db_reader
        self._hashers = hashers
        self._sessions = sessions

    async def create(self, message: CreateUser) -> User:
        """Add a user."""
        check_username(message.username)
        check_display_name(message.display_name)
        check_password(message.password)
        self._refuse_admins_name(message.username)
        password_hash = await self._hashers.hash(message.password)
        return await self._writer.ask(
            InsertUser(
                message.username,
                password_hash,
                message.display_name,
                message.role,
                clock.utc_now(),
            )
        )

    async def change(self, message: ChangeUser) -> User:
        """Change a user; disabling and a new role end the user's sessions."""
        if message.username is not None:
            check_username(message.username)
            self._refuse_admins_name(message.username)
        if message.display_name is not None:
            check_display_name(message.display_name)
        before = await self._existing(message.id)
        ends = message.is_active is False or message.role not in {None, before.role}
        if ends:
            self._sessions.mark_change(message.id)
        user = await self._writer.ask(UpdateUser(**msgspec.structs.asdict(message)))
        if ends:
            await self._sessions.end_of_user(message.id)
        self._sessions.rename(user)
        return user

    async def remove(self, user_id: int) -> None:
        """Remove a user and end the user's sessions."""
        self._sessions.mark_change(user_id)
        await self._writer.ask(DeleteUser(user_id))
        await self._sessions.end_of_user(user_id)

    async def reset_password(self, user_id: int, password: str) -> None:
        """Set a user's password and end all the user's sessions."""
        check_password(password)
        await self._existing(user_id)
        await self.set_password(user_id, password)
        await self._sessions.end_of_user(user_id)

    async def own_credentials(self, message: ChangeOwnPassword) -> Credentials:
        """Return the credentials of who wants a new password, once the request makes sense."""
        session = self._sessions.find(message.session_id)
        if session is None:
            raise Unauthorized("Please log in.")
        if session.user_id is None:
            raise BadRequest("The admin's password is set by ADMIN_PASSWORD where Toru starts.")
        if len(message.current_password) > PASSWORD_MAX:
            raise BadRequest(f"A password has at most {PASSWORD_MAX:,} characters.")
        check_password(message.new_password)
        credentials = await self._reader.ask(GetCredentialsById(session.user_id))
        if credentials is None:
            raise Unauthorized("Please log in.")
        return credentials

    async def set_password(self, user_id: int, password: str) -> None:
        """Store a new password; the ends of sessions are the caller's."""
        password_hash = await self._hashers.hash(password)
        self._sessions.mark_change(user_id)
        await self._writer.ask(SetPasswordHash(user_id, password_hash))

    async def _existing(self, user_id: int) -> User:
        user = await self._reader.ask(GetUser(user_id))
        if user is None:
            raise NotFound("There is no such user.")
        return user

    def _refuse_admins_name(self, username: str) -> None:
        if same_name(username, self._admin_username):
            raise Conflict("This user name is taken.", code="name_taken")
