"""Logging in and out, and one's own account.

Runs on: the event loop.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from toru import clock
from toru.actors.messages.auth import (
    ChangeOwnPassword,
    CountLogins,
    ListLogins,
    LogIn,
    LogOut,
    Session,
)
from toru.actors.messages.storage import LoginAttempt, LoginCounts, Role
from toru.domain.permissions import Access
from toru.errors import LockedOut, ToruError, Unauthorized
from toru.web.base import SESSION_COOKIE, ApiHandler, Body, Problem, Query, Route, Success
from toru.web.openapi import operation

COOKIE_DAYS = 7
DAY_S = 86_400.0
USER_AGENT_MAX = 256
LOGIN_DEADLINE_S = 90.0
"""Logins wait for their turn to be hashed; the hub refuses what would wait for longer."""


class LoginBody(Body, frozen=True):
    """Who wants to log in."""

    username: Annotated[str, msgspec.Meta(max_length=150)]
    password: str


class Account(msgspec.Struct, frozen=True):
    """Who is logged in; the id of the admin of the environment is null."""

    id: int | None
    username: str
    display_name: str
    role: Role


class LoginAnswer(msgspec.Struct, frozen=True):
    """A login that worked."""

    user: Account
    success: Literal[True] = True
    error: None = None


class LoginRefused(msgspec.Struct, frozen=True, omit_defaults=False):
    """A login that did not."""

    error: str
    code: str
    success: Literal[False] = False
    user: None = None


class LoginLocked(LoginRefused, frozen=True, kw_only=True):
    """A login that was not looked at; ``locked_until`` is the seconds left."""

    locked_until: int


class Me(msgspec.Struct, frozen=True):
    """Whether there is a session, and whose."""

    authenticated: bool
    user: Account | None


class OwnPasswordBody(Body, frozen=True):
    """One's password and the next one."""

    current_password: str
    new_password: str


class LoginHistoryQuery(Query, frozen=True):
    """Which attempts to log in.

    Attributes:
        failed: 1 leaves out those that opened a session.
    """

    failed: Literal[0, 1] = 0


class LoginSummary(LoginCounts, frozen=True, kw_only=True):
    """The counts of the attempts after ``since``."""

    since: str


class LoginHandler(ApiHandler):
    """``/api/auth/login``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "anon"}
    body_limit: ClassVar[int | None] = 16 * 1024

    @operation(
        summary="Log in; the answer sets the session cookie.",
        body=LoginBody,
        answer=LoginAnswer,
        errors=(401, 413, 429),
    )
    async def post(self) -> None:
        """Check the name and the password and open a session."""
        body = self.body(LoginBody)
        agent = self.request.headers.get("User-Agent", "")
        message = LogIn(
            username=body.username,
            password=body.password,
            ip_address=self.client_address,
            user_agent="".join(filter(str.isprintable, agent))[:USER_AGENT_MAX],
        )
        logged_in = await self.services.auth.ask(message, deadline_s=LOGIN_DEADLINE_S)
        self._set_session_cookie(logged_in.token)
        self.answer(LoginAnswer(account_of(logged_in.session)))

    def describe_error(self, error: ToruError) -> Any:
        """Say it as clients of the login expect it."""
        if isinstance(error, LockedOut):
            self.set_header("Retry-After", str(error.locked_until_s))
            return LoginLocked(error.sentence, error.code, locked_until=error.locked_until_s)
        if isinstance(error, Unauthorized):
            return LoginRefused(error.sentence, error.code)
        return super().describe_error(error)

    def _set_session_cookie(self, token: str) -> None:
        self.set_cookie(
            SESSION_COOKIE,
            token,
            expires_days=COOKIE_DAYS,
            max_age=COOKIE_DAYS * 86_400,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self.services.config.secure_cookies,
        )


class LogoutHandler(ApiHandler):
    """``/api/auth/logout``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "anon"}

    @operation(summary="End the session of the cookie; without one, nothing happens.")
    async def post(self) -> None:
        """End the session and take the cookie back."""
        token = self.token
        if token is not None:
            await self.services.auth.ask(LogOut(token))
        self.clear_cookie(
            SESSION_COOKIE,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self.services.config.secure_cookies,
        )
        self.answer(Success())


class MeHandler(ApiHandler):
    """``/api/auth/me``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}

    @operation(summary="Say who is logged in.", answer=Me)
    async def get(self) -> None:
        """Answer 200 with or without a session."""
        session = await self.find_session()
        self.answer(Me(session is not None, account_of(session) if session else None))


class LoginHistoryHandler(ApiHandler):
    """``/api/auth/login-history``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="List the newest 100 attempts to log in.",
        query=LoginHistoryQuery,
        answer=list[LoginAttempt],
    )
    async def get(self) -> None:
        """Answer the attempts, the newest first."""
        failed_only = bool(self.query(LoginHistoryQuery).failed)
        self.answer(await self.services.auth.ask(ListLogins(failed_only=failed_only)))


class LoginSummaryHandler(ApiHandler):
    """``/api/auth/login-history/summary``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="Count the attempts to log in of the last 24 hours by how they ended.",
        answer=LoginSummary,
    )
    async def get(self) -> None:
        """Answer the counts."""
        since = clock.format_time(time.time() - DAY_S)
        counts = await self.services.auth.ask(CountLogins(since))
        self.answer(LoginSummary(since=since, **msgspec.structs.asdict(counts)))


class OwnPasswordHandler(ApiHandler):
    """``/api/me/password``."""

    roles: ClassVar[dict[str, Access]] = {"PUT": "any"}
    body_limit: ClassVar[int | None] = 32 * 1024

    @operation(
        summary="Change one's own password; one's other sessions end.",
        body=OwnPasswordBody,
        errors=(413, 429),
    )
    async def put(self) -> None:
        """Check the current password and set the new one."""
        body = self.body(OwnPasswordBody)
        message = ChangeOwnPassword(
            session_id=self.session.id,
            current_password=body.current_password,
            new_password=body.new_password,
            ip_address=self.client_address,
        )
        await self.services.auth.ask(message, deadline_s=LOGIN_DEADLINE_S)
        self.answer(Success())

    def describe_error(self, error: ToruError) -> Any:
        """Say how long a lockout lasts."""
        if isinstance(error, LockedOut):
            self.set_header("Retry-After", str(error.locked_until_s))
            return PasswordLocked(error.sentence, error.code, error.locked_until_s)
        return super().describe_error(error)


class PasswordLocked(Problem, frozen=True):
    """Too many wrong current passwords; ``locked_until`` is the seconds left."""

    locked_until: int


def account_of(session: Session) -> Account:
    """Return what a session's owner is told about it."""
    return Account(session.user_id, session.username, session.display_name, session.role)


ROUTES = [
    Route("/api/auth/login", LoginHandler),
    Route("/api/auth/logout", LogoutHandler),
    Route("/api/auth/me", MeHandler),
    Route("/api/auth/login-history", LoginHistoryHandler),
    Route("/api/auth/login-history/summary", LoginSummaryHandler),
    Route("/api/me/password", OwnPasswordHandler),
]
