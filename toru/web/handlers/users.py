"""The users that an admin keeps.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from toru.actors.messages.auth import ChangeUser, CreateUser, RemoveUser, ResetPassword
from toru.actors.messages.storage import GetUser, ListUsers, Role, User
from toru.domain.permissions import Access
from toru.errors import NotFound
from toru.web.base import ApiHandler, Body, Route, Success
from toru.web.openapi import operation

HASH_DEADLINE_S = 60.0


class NewUserBody(Body, frozen=True):
    """A user to be added; without a display name the user name is shown."""

    username: str
    password: str
    display_name: str | None = None
    role: Role = "client"


class UserBody(Body, frozen=True):
    """What is to be changed of a user; what is left out or null stays."""

    username: str | None = None
    display_name: str | None = None
    role: Role | None = None
    is_active: bool | None = None


class PasswordBody(Body, frozen=True):
    """A user's new password."""

    password: str


class UsersHandler(ApiHandler):
    """``/api/users``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin", "POST": "admin"}

    @operation(summary="List the users by name.", answer=list[User])
    async def get(self) -> None:
        """Answer all users; the admin of the environment is none of them."""
        self.answer(await self.services.reader.ask(ListUsers()))

    @operation(summary="Add a user.", body=NewUserBody, answer=User, errors=(409,))
    async def post(self) -> None:
        """Add a user."""
        body = self.body(NewUserBody)
        shown = body.username if body.display_name is None else body.display_name
        message = CreateUser(body.username, body.password, shown, body.role)
        self.answer(await self.services.auth.ask(message, deadline_s=HASH_DEADLINE_S))


class UserHandler(ApiHandler):
    """``/api/users/{user_id}``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin", "PUT": "admin", "DELETE": "admin"}

    @operation(summary="Show one user.", answer=User, errors=(404,))
    async def get(self, user_id: str) -> None:
        """Answer one user."""
        user = await self.services.reader.ask(GetUser(int(user_id)))
        if user is None:
            raise NotFound("There is no such user.")
        self.answer(user)

    @operation(
        summary="Change a user; disabling and a new role end the user's sessions.",
        body=UserBody,
        answer=User,
        errors=(404, 409),
    )
    async def put(self, user_id: str) -> None:
        """Change a user."""
        body = self.body(UserBody)
        message = ChangeUser(
            int(user_id), body.username, body.display_name, body.role, body.is_active
        )
        self.answer(await self.services.auth.ask(message))

    @operation(summary="Remove a user; the user's sessions end.", errors=(404,))
    async def delete(self, user_id: str) -> None:
        """Remove a user."""
        await self.services.auth.ask(RemoveUser(int(user_id)))
        self.answer(Success())


class UserPasswordHandler(ApiHandler):
    """``/api/users/{user_id}/password``."""

    roles: ClassVar[dict[str, Access]] = {"PUT": "admin"}

    @operation(
        summary="Set a user's password; the user's sessions end.", body=PasswordBody, errors=(404,)
    )
    async def put(self, user_id: str) -> None:
        """Reset a password."""
        message = ResetPassword(int(user_id), self.body(PasswordBody).password)
        await self.services.auth.ask(message, deadline_s=HASH_DEADLINE_S)
        self.answer(Success())


ROUTES = [
    Route("/api/users", UsersHandler),
    Route("/api/users/{user_id:int}", UserHandler),
    Route("/api/users/{user_id:int}/password", UserPasswordHandler),
]
