"""Supervision: start order, replacement after a crash, restart budgets, reverse stop.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from toru.actors.runtime.actor import ActorContext, LoopActor, ThreadActor
from toru.actors.runtime.directory import Address, Entry
from toru.domain.restart_budget import GiveUp, RestartBudget, decide_restart

if TYPE_CHECKING:
    from toru.actors.runtime.system import ActorSystem

logger = logging.getLogger("toru.actors")


class Restart(enum.Enum):
    """When a child is replaced (the names are Erlang/OTP's)."""

    PERMANENT = "permanent"
    """Always, unless its supervisor stops it."""

    TRANSIENT = "transient"
    """Only after a crash."""

    TEMPORARY = "temporary"
    """Never."""


class ChildSpec(msgspec.Struct, frozen=True):
    """Policy as data: what to start and how to treat its end.

    Attributes:
        name: the name in the directory.
        factory: called as ``factory(context, *args, **kwargs)``; mostly the actor's class.
        args: further positional arguments.
        kwargs: keyword arguments.
        restart: when it is replaced.
        shutdown_s: seconds it has for its stop before it is given up.
        budget: how many restarts are tolerated in which time.
    """

    name: str
    factory: Callable[..., LoopActor | ThreadActor]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = 5.0
    budget: RestartBudget = RestartBudget()


class _Child:
    """One child: its spec, its entry in the directory and the actor that bears the name now."""

    def __init__(self, spec: ChildSpec, entry: Entry) -> None:
        self.spec = spec
        self.entry = entry
        self.actor: LoopActor | ThreadActor | None = None
        self.crashes: tuple[float, ...] = ()
        self.stopping = False
        self.gone = asyncio.Event()
        self.restart_timer: asyncio.TimerHandle | None = None


class Children:
    """The children of one actor, supervised one for one.

    ``on_end(name, error)`` hears of each child that is not replaced: after its regular end
    (error None), or after a crash when it is temporary or its budget is spent.
    """

    def __init__(
        self,
        system: ActorSystem,
        parent: str,
        on_end: Callable[[str, BaseException | None], None] | None = None,
    ) -> None:
        self._system = system
        self._parent = parent
        self._on_end = on_end
        self._children: dict[str, _Child] = {}

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
        """
        child = _Child(spec, self._system.directory.add(spec.name, self._parent))
        self._children[spec.name] = child
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
        try:
            await child.actor.started
        except BaseException:
            child.stopping = True
            self._cancel_restart(child)
            self._forget(child)
            raise
        return address

    async def stop(self, name: str) -> None:
        """Stop a child and wait for its end, ``shutdown_s`` at most. Safe to call twice."""
        child = self._children.get(name)
        if child is None:
            return
        child.entry.state = "stopping"
        self._cancel_restart(child)
        actor = child.actor
        if actor is None or actor.actor_stopped.is_set():
            child.stopping = True
            self._forget(child)
            return
        if not child.stopping:
            child.stopping = True
            actor.stop()
        try:
            await asyncio.wait_for(child.gone.wait(), child.spec.shutdown_s)
        except TimeoutError:
            logger.error("%s did not stop in %g seconds.", name, child.spec.shutdown_s)
            self._forget(child)

    async def stop_all(self) -> None:
        """Stop the children, the last started first."""
        for name in reversed(list(self._children)):
            await self.stop(name)

    def _launch(self, child: _Child) -> None:
        spec, entry = child.spec, child.entry
        context = ActorContext(
            self._system, spec.name, entry.meter, lambda error: self._down(child, error)
        )
        actor = spec.factory(context, *spec.args, **spec.kwargs)
        child.actor = actor
        entry.actor_class = type(actor).__name__
        entry.flavour = "thread" if isinstance(actor, ThreadActor) else "loop"
        entry.state = "running"
        entry.ref = actor.actor_ref
        self._system.begin(actor)

    def _down(self, child: _Child, error: BaseException | None) -> None:
        child.entry.ref = None
        child.actor = None
        if child.stopping:
            self._forget(child)
        elif self._is_replaced(child.spec.restart, error):
            self._schedule_restart(child, error)
        else:
            self._forget(child)
            self._tell_end(child.spec.name, error)

    @staticmethod
    def _is_replaced(restart: Restart, error: BaseException | None) -> bool:
        crashed = error is not None and not isinstance(error, SystemExit)
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
        except Exception as again:
            logger.exception("%s could not be made again.", child.spec.name)
            self._down(child, again)

    def _cancel_restart(self, child: _Child) -> None:
        if child.restart_timer is not None:
            child.restart_timer.cancel()
            child.restart_timer = None

    def _forget(self, child: _Child) -> None:
        name = child.spec.name
        if self._children.get(name) is child:
            del self._children[name]
            self._system.directory.remove(name)
        child.gone.set()

    def _tell_end(self, name: str, error: BaseException | None) -> None:
        if self._on_end is not None:
            self._on_end(name, error)


class Supervisor(LoopActor):
    """An actor that only supervises: starts its specs in order, stops them in reverse.

    A child whose restart budget is spent makes the supervisor fail in its turn, unless
    ``on_give_up`` is there to decide.
    """

    def __init__(
        self,
        context: ActorContext,
        specs: tuple[ChildSpec, ...] = (),
        on_give_up: Callable[[str, BaseException | None], None] | None = None,
    ) -> None:
        super().__init__(context)
        self._specs = specs
        self._on_give_up = on_give_up
        self.children = Children(context.system, context.name, self._child_ended)

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Start the children, each once the one before it is up."""
        try:
            for spec in self._specs:
                await self.children.start_and_wait(spec)
        except BaseException:
            await self.children.stop_all()
            raise

    async def on_stop(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Stop the children, the last started first."""
        await self.children.stop_all()

    def _child_ended(self, name: str, error: BaseException | None) -> None:
        if self._on_give_up is not None:
            self._on_give_up(name, error)
        elif error is not None:
            self.background(self._fail(name, error))

    async def _fail(self, name: str, error: BaseException) -> None:
        await self.children.stop_all()
        raise RuntimeError(f"The restart budget of {name} is spent.") from error
