"""The supervisor: an actor that starts others in order and stops them in reverse.

Runs on: the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from toru.actors.runtime.actor import ActorContext
from toru.actors.runtime.child_spec import ChildSpec
from toru.actors.runtime.children import Children
from toru.actors.runtime.loop_actor import LoopActor


class Supervisor(LoopActor):
    """An actor that only supervises: starts its specs in order, stops them in reverse.

    A child whose restart budget is spent makes the supervisor fail in its turn, unless
    ``on_give_up`` is there to decide. Its own ``shutdown_s`` has to cover those of its children.
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
        for spec in self._specs:
            await self.children.start_and_wait(spec)

    async def on_stop(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Stop the children, the last started first."""
        await self.children.stop_all()

    def _child_ended(self, name: str, error: BaseException | None) -> None:
        if self._on_give_up is not None:
            self._on_give_up(name, error)
        elif error is not None and name in self.children:  # kept, because it was given up
            self.background(self._fail(name, error))

    async def _fail(self, name: str, error: BaseException) -> None:
        raise RuntimeError(f"The restart budget of {name} is spent.") from error
