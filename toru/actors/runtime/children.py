"""The children of one actor: started in order, replaced after a crash, stopped in reverse.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pykka

from toru.actors.runtime.actor import ActorContext, Exit
from toru.actors.runtime.child_spec import ChildSpec, Restart
from toru.actors.runtime.directory import Address, Entry
from toru.actors.runtime.loop_actor import LoopActor
from toru.actors.runtime.mailbox import ActorStopped
from toru.actors.runtime.thread_actor import ThreadActor
from toru.domain.restart_budget import GiveUp, decide_restart

if TYPE_CHECKING:
    from toru.actors.runtime.system import ActorSystem

logger = logging.getLogger("toru.actors")


class _Child:
    """One child: its spec, its entry in the directory and the actor that bears the name now.

    Attributes:
        stopping: whether it ends for good with its present life.
        awaited: whether someone waits for its first start, and hears there of a failure.
        burying: whether its own children are being ended after it.
        gone: set when the name is free again.
    """

    def __init__(self, spec: ChildSpec, entry: Entry) -> None:
        self.spec = spec
        self.entry = entry
        self.actor: LoopActor | ThreadActor | None = None
        self.crashes: tuple[float, ...] = ()
        self.stopping = False
        self.awaited = False
        self.burying = False
        self.gone = asyncio.Event()
        self.restart_timer: asyncio.TimerHandle | None = None


class Children:
    """The children of one actor, supervised one for one.

    ``on_end(name, error)`` hears of each child that is not replaced: after its regular end
    (error None), or after a crash when it is temporary or its budget is spent. Children end with
    their parent: those that it leaves behind when it ends or crashes are stopped before it is
    replaced. With ``outlive_parent`` they stay: then someone else than the parent holds them, and
    stops them.
    """

    def __init__(
        self,
        system: ActorSystem,
        parent: str,
        on_end: Callable[[str, BaseException | None], None] | None = None,
        *,
        outlive_parent: bool = False,
    ) -> None:
        self.parent = parent
        self.outlive_parent = outlive_parent
        self._system = system
        self._on_end = on_end
        self._children: dict[str, _Child] = {}
        self._orphaned = False

    def __len__(self) -> int:
        return len(self._children)

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def names(self) -> list[str]:
        """Return the names of the children in the order of their start."""
        return list(self._children)

    def start(self, spec: ChildSpec) -> Address:
        """Start a child and return its address at once; its mailbox takes messages from now on.

        Raises:
            ValueError: the name is taken.
            ActorUnavailable: the parent has ended.
        """
        if self._orphaned:
            raise ActorStopped(f"{self.parent} is not running.")
        child = _Child(spec, self._system.directory.add(spec.name, self.parent))
        self._children[spec.name] = child
        self._system.families.add(self)
        try:
            self._launch(child)
        except BaseException:
            self._forget(child)
            raise
        return self._system.address(spec.name)

    async def start_and_wait(self, spec: ChildSpec) -> Address:
        """Start a child and return when its ``on_start`` is done.

        Raises:
            ActorCrashed: the start failed; the child is gone again.
        """
        address = self.start(spec)
        child = self._children[spec.name]
        assert child.actor is not None
        child.awaited = True
        try:
            await child.actor.started
        except BaseException:
            # It failed, was stopped meanwhile, or whoever started it does not wait any longer.
            if self._children.get(spec.name) is child:
                await self.stop(spec.name)
            raise
        return address

    async def stop(self, name: str) -> None:
        """Stop a child and wait for its end, ``shutdown_s`` at most. Safe to call twice."""
        child = self._children.get(name)
        if child is None:
            return
        asked_before, child.stopping = child.stopping, True
        child.entry.state = "stopping"
        self._cancel_restart(child)
        if child.actor is None and not child.burying:
            self._forget(child)
            return
        if child.actor is not None and not asked_before:
            with contextlib.suppress(pykka.ActorDeadError):  # it ended a moment ago
                child.actor.stop()
        try:
            await asyncio.wait_for(child.gone.wait(), child.spec.shutdown_s)
        except TimeoutError:
            logger.error("%s did not stop in %g seconds.", name, child.spec.shutdown_s)
            self._abandon(child)

    async def stop_all(self) -> None:
        """Stop the children, the last started first."""
        while self._children:
            await self.stop(next(reversed(self._children)))

    async def bury(self) -> None:
        """Stop the children of a parent that has ended, all at once; it hears of them no more."""
        self._orphaned = True
        await asyncio.gather(*(self.stop(name) for name in reversed(self._children)))

    def abandon_all(self) -> None:
        """Give the children up at once, without waiting for the end of any."""
        self._orphaned = True
        for child in reversed(list(self._children.values())):
            self._abandon(child)

    def _launch(self, child: _Child) -> None:
        spec, entry = child.spec, child.entry
        context = ActorContext(
            self._system, spec.name, entry.meter, lambda error: self._down(child, error)
        )
        actor = spec.factory(context, *spec.args, **spec.kwargs)
        flavour = "thread" if isinstance(actor, ThreadActor) else "loop"
        entry.bind(actor.actor_ref, type(actor).__name__, flavour)
        actor.started.add_done_callback(lambda: entry.note_started(actor.actor_ref))
        self._system.begin(actor)
        child.actor = actor

    def _down(self, child: _Child, error: BaseException | None) -> None:
        child.entry.unbind()
        if child.awaited and child.actor is not None and child.actor.started.failed:
            child.stopping = True
        child.actor = None
        orphans = self._system.families_of(child.spec.name)
        if orphans:
            child.burying = True
            self._system.keep(self._system.loop.create_task(self._bury(child, error, orphans)))
        else:
            self._go_on_without(child, error)

    async def _bury(
        self, child: _Child, error: BaseException | None, orphans: list[Children]
    ) -> None:
        for family in orphans:
            await family.bury()
        child.burying = False
        self._go_on_without(child, error)

    def _go_on_without(self, child: _Child, error: BaseException | None) -> None:
        if child.stopping or self._orphaned:
            self._forget(child)
        elif self._is_replaced(child.spec.restart, error):
            self._schedule_restart(child, error)
        else:
            self._forget(child)
            self._tell_end(child.spec.name, None if isinstance(error, Exit) else error)

    @staticmethod
    def _is_replaced(restart: Restart, error: BaseException | None) -> bool:
        crashed = error is not None and not isinstance(error, Exit)
        return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and crashed)

    def _schedule_restart(self, child: _Child, error: BaseException | None) -> None:
        now = self._system.loop.time()
        decision = decide_restart(child.spec.budget, child.crashes, now)
        if isinstance(decision, GiveUp):
            logger.critical("%s: %s", child.spec.name, decision.sentence)
            child.entry.state = "failed"
            self._tell_end(child.spec.name, error)
            return
        child.crashes = decision.crashes
        child.entry.state = "backoff"
        child.restart_timer = self._system.loop.call_later(decision.delay_s, self._restart, child)

    def _restart(self, child: _Child) -> None:
        child.restart_timer = None
        child.entry.meter.restarts += 1
        try:
            self._launch(child)
        except BaseException as again:  # a SystemExit here would end the loop
            logger.exception("%s could not be made again.", child.spec.name)
            child.entry.meter.last_error = f"{type(again).__name__}: {again}"
            self._down(child, again)

    def _cancel_restart(self, child: _Child) -> None:
        if child.restart_timer is not None:
            child.restart_timer.cancel()
            child.restart_timer = None

    def _abandon(self, child: _Child) -> None:
        child.stopping = True
        self._cancel_restart(child)
        for family in self._system.families_of(child.spec.name):
            family.abandon_all()
        if child.actor is not None:
            child.actor.abandon()
        self._forget(child)

    def _forget(self, child: _Child) -> None:
        name = child.spec.name
        if self._children.get(name) is child:
            del self._children[name]
            child.entry.unbind()
            self._system.directory.remove(name)
        if not self._children:
            self._system.families.discard(self)
        child.gone.set()

    def _tell_end(self, name: str, error: BaseException | None) -> None:
        if self._on_end is None:
            return
        try:
            self._on_end(name, error)
        except BaseException:  # it may not end the loop
            logger.exception("%s failed to take note of the end of %s.", self.parent, name)
