"""A stage for the hub's own actors: a real database, a real scripts folder, real supervision.

Runs on: the test's event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from toru.actors.quick_actions import QuickActions
from toru.actors.runtime import ActorContext, ActorSystem, Address, ChildSpec, LoopActor, Message
from toru.actors.runtime.loop_lag import LoopLag
from toru.actors.scripts import Scripts
from toru.actors.settings import Settings
from toru.actors.storage_children import storage_children
from toru.storage import open_storage


class Recorder(LoopActor):
    """An actor that keeps what it is told; ``heard`` is shared with the test."""

    def __init__(self, context: ActorContext, heard: list[Message[Any]]) -> None:
        super().__init__(context)
        self._heard = heard

    def on_receive(self, message: Message[Any]) -> None:
        """Keep a message."""
        self._heard.append(message)


class Stage:
    """The actors of one test; `open` starts the database, the rest is started one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts_dir = folder / "scripts"
        self.scripts_dir.mkdir()
        self.heard: list[Message[Any]] = []
        self.system: ActorSystem
        self.loop_lag: LoopLag

    async def open(self) -> None:
        """Start the database's actors, a new database or the one of before."""
        storage = open_storage(f"sqlite:///{self.folder / 'steering.db'}")
        self.system = ActorSystem()
        self.loop_lag = LoopLag(self.system.loop)
        for spec in storage_children(storage):
            await self.system.spawn(spec)

    async def stop(self) -> None:
        """Stop everything; safe to call twice."""
        if hasattr(self, "system"):
            self.loop_lag.close()
            await self.system.stop()

    async def recorder(self, name: str) -> Address:
        """Start an actor that keeps what it is told in ``heard``."""
        return await self.system.spawn(ChildSpec(name, Recorder, (self.heard,)))

    async def scripts(self) -> Address:
        """Start the actor of the scripts."""
        args = (self.system.address("db_reader"), self.scripts_dir, self.folder)
        return await self.system.spawn(ChildSpec("scripts", Scripts, args))

    async def settings(self, *listeners: str) -> Address:
        """Start the settings."""
        at = self.system.address
        heard_by = tuple(map(at, listeners))
        args = (at("db_reader"), at("db_writer"), at("scripts"), heard_by, self.scripts_dir)
        return await self.system.spawn(ChildSpec("settings", Settings, args))

    async def quick_actions(self) -> Address:
        """Start the quick actions."""
        at = self.system.address
        args = (at("db_reader"), at("db_writer"), at("scripts"), at("task_manager"))
        return await self.system.spawn(ChildSpec("quick_actions", QuickActions, args))

    def script(self, name: str, text: str = "echo hi\n", mode: int = 0o644) -> Path:
        """Write a script."""
        path = self.scripts_dir / name
        path.write_text(text)
        path.chmod(mode)
        return path


@pytest.fixture
def stage(io_loop: IOLoop, tmp_path: Path) -> Iterator[Stage]:
    """Return a stage; what was started on it is stopped after the test."""
    made = Stage(tmp_path)
    yield made
    io_loop.run_sync(made.stop)
