"""What the authentication actors are told and asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.storage import LoginAttempt, LoginCounts, Role, User
from toru.actors.runtime import Message


class Session(msgspec.Struct, frozen=True):
    """A live session, as handlers and other actors see it.

    Attributes:
        id: the SHA-256 of the token in hexadecimal; never the token.
        user_id: None is the admin of the environment.
        expires_at: RFC 3339 UTC.
    """

    id: str
    user_id: int | None
    username: str
    display_name: str
    role: Role
    expires_at: str

    @property
    def is_admin(self) -> bool:
        """Whether the session may do everything."""
        return self.role == "admin"


class LoggedIn(msgspec.Struct, frozen=True):
    """A new session and the token that only its owner gets to see."""

    token: str
    session: Session


class LogIn(Message[LoggedIn], frozen=True):
    """Check a name and a password. Unauthorized, LockedOut, Unavailable."""

    username: str
    password: str
    ip_address: str
    user_agent: str = ""


class LogOut(Message[None], frozen=True):
    """End the session of a token; an unknown token is no error."""

    token: str


class GetSession(Message[Session | None], frozen=True):
    """The live session of a token; None when there is none or it ended."""

    token: str


class CheckSession(Message[Session | None], frozen=True):
    """The live session of an id, for those who already hold a session."""

    id: str


class CreateUser(Message[User], frozen=True):
    """Add a user; the password's rules are checked. BadRequest, Conflict."""

    username: str
    password: str
    display_name: str
    role: Role = "client"


class ChangeUser(Message[User], frozen=True):
    """Change the fields that are not None; disabling or a new role ends the user's sessions."""

    id: int
    username: str | None = None
    display_name: str | None = None
    role: Role | None = None
    is_active: bool | None = None


class RemoveUser(Message[None], frozen=True):
    """Remove a user and end the user's sessions. NotFound."""

    id: int


class ResetPassword(Message[None], frozen=True):
    """Set a user's password and end all the user's sessions. BadRequest, NotFound."""

    id: int
    password: str


class ChangeOwnPassword(Message[None], frozen=True):
    """Change one's own password and end one's other sessions.

    BadRequest for the admin of the environment, a wrong current password or a weak new one.
    """

    session_id: str
    current_password: str
    new_password: str
    ip_address: str


class ListLogins(Message[list[LoginAttempt]], frozen=True):
    """The newest attempts to log in; with ``failed_only`` those that opened no session."""

    limit: int = 100
    failed_only: bool = False


class CountLogins(Message[LoginCounts], frozen=True):
    """How the attempts to log in after ``since`` have ended."""

    since: str


class HashPassword(Message[str], frozen=True):
    """The argon2id hash of a password."""

    password: str


class PasswordVerdict(msgspec.Struct, frozen=True):
    """Whether a password fits, and its new hash where the parameters have risen since."""

    matches: bool
    new_hash: str | None = None


class VerifyPassword(Message[PasswordVerdict], frozen=True):
    """Check a password against a hash; None is nobody's: it takes as long and never matches."""

    password: str
    password_hash: str | None


# What Auth tells itself


class EndExpired(Message[None], frozen=True):
    """End the sessions whose time is over."""


class Purge(Message[None], frozen=True):
    """Remove expired sessions and old login attempts from the database."""


class RetryDeletes(Message[None], frozen=True):
    """Try again to remove ended sessions that the database could not remove."""
