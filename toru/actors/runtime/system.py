"""One actor system: a loop, a directory, and the root supervisor.

Runs on: made and stopped on the event loop; `ActorSystem.address` on any thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pykka

from toru.actors.runtime.child_spec import ChildSpec
from toru.actors.runtime.children import Children
from toru.actors.runtime.directory import Address, Directory
from toru.actors.runtime.loop_actor import LoopActor
from toru.actors.runtime.loop_mailbox import Haste
from toru.actors.runtime.thread_actor import ThreadActor

logger = logging.getLogger("toru.actors")


class ActorSystem:
    """Everything that the actors of one hub share.

    Attributes:
        loop: the event loop of the loop actors.
        loop_thread: the identity of its thread.
        haste: how many asks may yet be answered on the spot in this turn of the loop.
        directory: the names.
        root: the children at the top, started in order and stopped in reverse.
        families: the groups of children that are not empty.
    """

    def __init__(self, on_give_up: Callable[[str, BaseException | None], None] | None = None):
        """Create a system on the running event loop.

        Args:
            on_give_up: called on the loop with the name and error of a child at the top that is
                not replaced any more.
        """
        self.loop = asyncio.get_running_loop()
        self.loop_thread = threading.get_ident()
        self.haste = Haste(self.loop)
        self.directory = Directory()
        self.families: set[Children] = set()
        self.root = Children(self, "", on_give_up)
        self._kept: set[asyncio.Task[Any]] = set()

    def address(self, name: str) -> Address:
        """Return the address of a name; an actor may come to bear it later."""
        return Address(self.directory, name)

    async def spawn(self, spec: ChildSpec) -> Address:
        """Start an actor under the root and return when its ``on_start`` is done.

        Raises:
            ActorCrashed: its start failed.
        """
        return await self.root.start_and_wait(spec)

    async def stop(self) -> None:
        """Stop everything, the last started first; what is left over is logged as a bug."""
        await self.root.stop_all()
        if self._kept:
            await asyncio.wait(self._kept, timeout=1.0)
        for name in self.directory.names():
            logger.error("%s is left over after the stop.", name)
        for family in list(self.families):
            family.abandon_all()

    def begin(self, actor: LoopActor | ThreadActor) -> None:
        """Register a new actor with pykka and start it, as ``pykka.Actor.start`` does.

        Raises:
            RuntimeError: there can be no further thread.
        """
        pykka.ActorRegistry.register(actor.actor_ref)
        try:
            actor._start_actor_loop()
        except BaseException:
            actor.abandon()
            raise

    def families_of(self, parent: str) -> list[Children]:
        """Return the groups of children that end with the actor of that name."""
        return [
            family
            for family in self.families
            if family.parent == parent and not family.outlive_parent
        ]

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold a task until it is done, so that it is not collected on the way."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    def call_on_loop(self, function: Callable[..., None], *args: Any) -> None:
        """Call ``function`` on the loop, soon; any thread. Ignored once the loop has ended."""
        try:
            if threading.get_ident() == self.loop_thread:
                self.loop.call_soon(function, *args)
            else:
                self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            logger.debug("The loop has ended; %r is not called.", function)
