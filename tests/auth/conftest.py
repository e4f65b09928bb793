"""A stage for Auth: a real database, real hashers, and a hub that only listens.

Runs on: the test's event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from toru.actors.auth import Admin, Auth
from toru.actors.messages.auth import CreateUser, LoggedIn, LogIn
from toru.actors.messages.storage import Role, User
from toru.actors.password_hasher import PasswordHasher
from toru.actors.runtime import ActorContext, ActorSystem, Address, ChildSpec, LoopActor, Message
from toru.actors.storage_children import storage_children
from toru.config import Secret
from toru.storage import open_storage

ADMIN_PASSWORD = "Admin-pass-1"
PASSWORD = "Client-pass-1"
CHEAP: dict[str, Any] = {"time_cost": 1, "memory_cost": 64, "parallelism": 1}


class Listener(LoopActor):
    """Keeps what the hub would be told."""

    def __init__(self, context: ActorContext, heard: list[Message[Any]]) -> None:
        super().__init__(context)
        self._heard = heard

    def on_receive(self, message: Message[Any]) -> None:
        """Keep a message."""
        self._heard.append(message)


class AuthStage:
    """Auth and what it stands on; `start` again after `stop` is a restart of the hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[Message[Any]] = []
        self.system: ActorSystem | None = None

    async def start(
        self,
        *,
        lifetime_s: float = 3600.0,
        admin_password: str = ADMIN_PASSWORD,
        parameters: dict[str, Any] | None = None,
    ) -> Address:
        """Start everything and return the address of Auth."""
        storage = open_storage(f"sqlite:///{self.folder / 'steering.db'}")
        system = self.system = ActorSystem()
        for spec in storage_children(storage):
            await system.spawn(spec)
        await system.spawn(ChildSpec("hub", Listener, (self.heard,)))
        hashers = [
            await system.spawn(
                ChildSpec(f"password_hasher_{n}", PasswordHasher, (parameters or CHEAP,))
            )
            for n in (1, 2)
        ]
        kwargs = {
            "admin": Admin("admin", "Administrator", Secret(admin_password)),
            "db_writer": system.address("db_writer"),
            "db_reader": system.address("db_reader"),
            "hub": system.address("hub"),
            "hashers": tuple(hashers),
            "session_lifetime_s": lifetime_s,
        }
        return await system.spawn(ChildSpec("auth", Auth, kwargs=kwargs))

    async def restart(self, **options: Any) -> Address:
        """Stop everything and start it on the same database."""
        await self.stop()
        return await self.start(**options)

    async def stop(self) -> None:
        """Stop everything; safe to call twice."""
        system, self.system = self.system, None
        if system is not None:
            await system.stop()

    @property
    def auth(self) -> Address:
        """Auth."""
        return self.at("auth")

    def at(self, name: str) -> Address:
        """Return an address."""
        assert self.system is not None
        return self.system.address(name)

    async def log_in(
        self, username: str = "admin", password: str = ADMIN_PASSWORD, address: str = "192.0.2.1"
    ) -> LoggedIn:
        """Log in."""
        return await self.auth.ask(LogIn(username, password, address), deadline_s=60.0)

    async def add(self, username: str, role: Role = "client") -> User:
        """Add a user with the usual password."""
        return await self.auth.ask(CreateUser(username, PASSWORD, username.title(), role))


@pytest.fixture
def stage(io_loop: IOLoop, tmp_path: Path) -> Iterator[AuthStage]:
    """Return a stage; what was started on it is stopped after the test."""
    made = AuthStage(tmp_path)
    yield made
    io_loop.run_sync(made.stop)
