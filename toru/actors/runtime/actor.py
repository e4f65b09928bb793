"""What both flavours of actor share: context, timers, and how a life ends.

Runs on: the actor's own thread or loop, except `Cell.abandon` (the loop).

What differs from pykka, for both flavours: an unexpected exception is a crash even when the
message was asked (the asker gets ``ActorCrashed``), a ``ToruError`` is an answer, and
``SystemExit`` stops this one actor only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import pykka
from pykka._envelope import Envelope  # pykka's inbox protocol is typed by this class

from toru.actors.runtime.future import Reply, answer, answer_error
from toru.actors.runtime.mailbox import ActorStopped, Mailbox, Overflow
from toru.actors.runtime.statistics import Meter
from toru.actors.runtime.timers import Timers
from toru.errors import ActorCrashed, ToruError

if TYPE_CHECKING:
    from toru.actors.runtime.system import ActorSystem

logger = logging.getLogger("toru.actors")

Exit = (SystemExit, KeyboardInterrupt)
"""What pykka ends the whole program for, and this runtime one actor."""


class ActorContext:
    """What an actor is born with: its name, its system, and whom to tell of its end.

    Attributes:
        system: the system it lives in.
        name: its name in the directory.
        meter: the figures of the name, kept over restarts.
    """

    def __init__(
        self,
        system: ActorSystem,
        name: str,
        meter: Meter,
        on_down: Callable[[BaseException | None], None],
    ) -> None:
        self.system = system
        self.name = name
        self.meter = meter
        self._on_down = on_down

    def report_down(self, error: BaseException | None) -> None:
        """Tell the supervisor, on the loop, that the actor ended; ``error`` is None for a stop."""
        self.system.call_on_loop(self._on_down, error)


class Delivery:
    """One message of a batch, with the means to answer it."""

    __slots__ = ("_reply_to", "message")

    def __init__(self, envelope: Envelope[Any]) -> None:
        self.message = envelope.message
        self._reply_to = envelope.reply_to

    def reply(self, value: Any = None) -> None:
        """Answer the asker, if there is one and its deadline has not passed."""
        answer(self._reply_to, value)

    def fail(self, error: BaseException) -> None:
        """Answer the asker with an error; an error that nobody asked for is logged."""
        tell_error(self._reply_to, error, self.message)


class Actor(pykka.Actor):
    """The base of both flavours: what authors of actors see. The rest is in the `Cell`."""

    mailbox_limit: ClassVar[int] = 1000
    overflow: ClassVar[Overflow] = Overflow.REFUSE

    context: ActorContext
    timers: Timers
    started: Reply[None]
    _cell: Cell

    def __init__(self, context: ActorContext) -> None:
        self.context = context
        self.started = Reply(asked=context.name)
        super().__init__()
        system = context.system
        self.timers = Timers(system.loop, system.loop_thread, self.actor_ref)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.context.name}"

    def abandon(self) -> None:
        """End an actor that did not stop in time; for its supervisor. See `Cell.abandon`."""
        self._cell.abandon()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return Reply()

    def _start_actor_loop(self) -> None:
        self._cell.start()


class Cell:
    """What runs an actor, apart from it, so that no name in a subclass can collide with it.

    The three ends of a life are `crash`, `exit` and the flavour's own ``end``.

    Attributes:
        actor: the actor.
        mailbox: its mailbox.
        ending: whether ``on_stop`` has been called.
        over: whether no further message is taken.
    """

    def __init__(self, actor: Actor, mailbox: Mailbox) -> None:
        self.actor = actor
        self.mailbox = mailbox
        self.ending = False
        self.over = False
        self._abandoned = False
        self._exit_error: BaseException | None = None

    def start(self) -> None:
        """Have ``on_start`` called and messages handled, in the actor's own context."""
        raise NotImplementedError

    def abandon(self) -> None:
        """End an actor that did not stop in time: it handles nothing more. Safe to call twice.

        Its supervisor has forgotten it and is not told. A `LoopActor` is cancelled wherever it
        awaits; a `ThreadActor` ends when what it runs returns.
        """
        if self.over:
            return
        self._abandoned = True
        self.leave()
        self.actor.started.settle_exception(
            ActorStopped(f"{self.actor.context.name} was abandoned.")
        )

    def end(self, reply_to: pykka.Future[Any] | None) -> None:
        """Run ``on_stop`` and finish; the flavours differ in how they wait for it."""
        raise NotImplementedError

    def fail_start(self, error: BaseException) -> None:
        """End the actor after an exception in ``on_start``."""
        if self.over:
            return
        self._log_end(error, "failed to start")
        self.leave()
        self._run_on_failure(error)
        self._tell_not_started(error)
        self.actor.context.report_down(error)

    def crash(
        self, error: BaseException, asked: Iterable[pykka.Future[Any] | None], cause: str
    ) -> None:
        """End the actor after an unexpected exception: logged once, the askers answered."""
        late = self.ending or self.over
        if not late:
            self._log_end(error, f"crashed on {cause}")
            self.leave()
        elif not isinstance(error, ToruError):
            logger.error("%s failed while it was stopping.", self.actor, exc_info=error)
        crashed = ActorCrashed(f"{self.actor.context.name} failed while it handled the message.")
        crashed.__cause__ = error
        for reply_to in asked:
            answer_error(reply_to, crashed)
        if not late:
            self._run_on_failure(error)
            self._tell_not_started(error)
            self.actor.context.report_down(error)

    def exit(self, error: BaseException, asked: Iterable[pykka.Future[Any] | None]) -> None:
        """Stop the actor after a ``SystemExit`` or ``KeyboardInterrupt`` of its own."""
        late = self.ending or self.over
        for reply_to in asked:
            answer_error(reply_to, ActorStopped(f"{self.actor.context.name} asked to exit."))
        if late:
            return
        if not self.actor.started.settled:
            self.fail_start(error)
            return
        self._exit_error = error
        self._log_end(error, "asked to exit")
        self.end(None)

    def _log_end(self, error: BaseException, what: str) -> None:
        if isinstance(error, Exit):
            logger.info("%s %s (%r); only it is stopped.", self.actor, what, error)
        else:
            self.actor.context.meter.last_error = f"{type(error).__name__}: {error}"
            logger.error("%s %s.", self.actor, what, exc_info=error)

    def _run_on_failure(self, error: BaseException) -> None:
        try:
            self.actor.on_failure(type(error), error, error.__traceback__)
        except BaseException:
            logger.exception("%s failed in on_failure.", self.actor)

    def _tell_not_started(self, error: BaseException) -> None:
        failed = ActorCrashed(f"{self.actor.context.name} failed to start: {error}")
        failed.__cause__ = error
        self.actor.started.settle_exception(failed)

    def leave(self) -> None:
        """Take no further message, and refuse those that wait."""
        self.over = True
        pykka.ActorRegistry.unregister(self.actor.actor_ref)
        self.actor.actor_stopped.set()
        self.actor.timers.close()
        self.mailbox.close()


def tell_error(reply_to: pykka.Future[Any] | None, error: BaseException, message: object) -> None:
    """Answer with an error; when nobody asked, say so in the log."""
    if reply_to is not None:
        answer_error(reply_to, error)
    else:
        logger.warning("%s was refused, and nobody had asked: %s", type(message).__name__, error)
