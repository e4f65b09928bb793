"""The actor on the event loop: its mailbox is drained a turn at a time, its coroutines go on.

Runs on: the hub's event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from toru.actors.runtime.actor import Actor, Cell, Exit, tell_error
from toru.actors.runtime.future import Reply, answer, answer_error
from toru.actors.runtime.loop_mailbox import LoopMailbox
from toru.actors.runtime.mailbox import ActorStopped
from toru.actors.runtime.message import Message
from toru.errors import ActorUnavailable, ToruError

MESSAGES_A_TURN = 64
"""How many messages a `LoopActor` handles before the loop may do something else."""

_BACKGROUND = object()
"""Stands for the message of a coroutine that none began."""

_Work = tuple[Awaitable[Any], pykka.Future[Any] | None, object]


class LoopActor(Actor):
    """An actor on the event loop; a thousand of them cost no threads.

    ``on_start``, ``on_stop`` and ``on_receive`` run on the loop and may be coroutines. While
    ``on_start`` or ``on_stop`` is awaited no message is handled; while an ``on_receive`` is
    awaited the mailbox goes on, and the asker is answered when it is done. As many of these as
    ``mailbox_limit`` says may be under way; then the mailbox waits. Stopping cancels them after
    ``on_stop``; their askers get `ActorStopped`. An ``on_receive`` that returns a fresh
    ``asyncio.Future`` instead of being a coroutine spares the task that sees a coroutine through.
    """

    _cell: LoopCell

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the mailbox; its exception is a crash of the actor."""
        self._cell.background(work)

    def _create_actor_inbox(self) -> LoopMailbox:  # type: ignore[override]  # pykka: static
        context, system = self.context, self.context.system
        mailbox = LoopMailbox(
            context.name,
            self.mailbox_limit,
            self.overflow,
            context.meter,
            system.haste,
            system.loop_thread,
        )
        self._cell = LoopCell(self, mailbox)
        return mailbox


class LoopCell(Cell):
    """What runs a `LoopActor`."""

    actor: LoopActor
    mailbox: LoopMailbox

    def __init__(self, actor: LoopActor, mailbox: LoopMailbox) -> None:
        super().__init__(actor, mailbox)
        self._loop = actor.context.system.loop
        self._under_way: dict[asyncio.Future[Any], _Work] = {}
        self._phase: asyncio.Task[None] | None = None  # an on_start or on_stop that is awaited

    def start(self) -> None:
        """Have the loop call ``on_start``, soon."""
        self.actor.context.system.call_on_loop(self._begin)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the mailbox."""
        if self.over:
            work.close()
        else:
            self._go_on(work, None, _BACKGROUND)

    def _begin(self) -> None:
        if self.over:
            return
        try:
            waiting = self.actor.on_start()  # type: ignore[func-returns-value]  # may be a coroutine
        except BaseException as error:
            self.fail_start(error)
            return
        if inspect.isawaitable(waiting):
            self._enter(self._begin_later(waiting), waiting, None)
        else:
            self._open()

    async def _begin_later(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except BaseException as error:
            self.fail_start(error)
        else:
            self._open()

    def _open(self) -> None:
        if not self.over:
            self.actor.started.settle(None)
            self.mailbox.drain = self._drain
            self.mailbox.rest()

    def _drain(self) -> None:
        """Handle the messages that wait, `MESSAGES_A_TURN` at most."""
        if self.ending or self.over:
            return
        mailbox = self.mailbox
        if len(self._under_way) >= mailbox.limit and not mailbox.stopping:
            mailbox.doze()
            return
        items, meter = mailbox.items, self.actor.context.meter
        depth = len(items)
        if depth > meter.recent_peak:
            meter.recent_peak = depth
        began = time.perf_counter()
        meter.handled += self._handle_some(min(depth, MESSAGES_A_TURN))
        meter.busy_s += time.perf_counter() - began
        if self.ending or self.over:
            return
        if items:
            mailbox.again()
        else:
            mailbox.rest()

    def _handle_some(self, turn: int) -> int:
        take = self.mailbox.items.popleft
        under_way, limit = self._under_way, self.mailbox.limit
        receive = self.actor.on_receive
        for handled in range(turn):
            try:
                item = take()
            except IndexError:  # dropped for newer ones, by a thread
                return handled
            if type(item) is Envelope:
                self._handle_envelope(item)
            else:
                try:
                    result = receive(item)
                    if result is not None:
                        self._pass_on(result, None, item)
                except BaseException as error:
                    self._fail(error, None, item)
            if self.ending or self.over or len(under_way) >= limit:
                return handled + 1
        return turn

    def _handle_envelope(self, envelope: Envelope[Any]) -> None:
        message, reply_to = envelope.message, envelope.reply_to
        if type(message) is _ActorStop:
            self.end(reply_to)
            return
        try:
            if isinstance(message, Message):
                result = self.actor.on_receive(message)
            else:
                result = self.actor._handle_receive(message)  # pykka's own: a proxy's calls
        except BaseException as error:
            self._fail(error, reply_to, message)
        else:
            self._pass_on(result, reply_to, message)

    def _pass_on(self, result: Any, reply_to: pykka.Future[Any] | None, message: object) -> None:
        if result is not None and inspect.isawaitable(result):
            self._go_on(result, reply_to, message)
        elif reply_to is not None:
            answer(reply_to, result)

    def _fail(
        self, error: BaseException, reply_to: pykka.Future[Any] | None, message: object
    ) -> None:
        if isinstance(error, ToruError) and message is not _BACKGROUND:
            tell_error(reply_to, error, message)
        elif isinstance(error, Exit):
            self.exit(error, (reply_to,))
        else:
            background = message is _BACKGROUND
            cause = "its background work" if background else type(message).__name__
            self.crash(error, (reply_to,), cause)

    def _go_on(
        self, work: Awaitable[Any], reply_to: pykka.Future[Any] | None, message: object
    ) -> None:
        loop = self._loop
        if isinstance(work, pykka.Future) and not isinstance(work, Reply):
            work = loop.run_in_executor(None, work.get)  # pykka's own await blocks the loop
        future: asyncio.Future[Any]
        if isinstance(work, asyncio.Future):
            future = work
        else:
            future = loop.create_task(self._see_through(work, reply_to, message))
        self._under_way[future] = (work, reply_to, message)
        future.add_done_callback(self._done)

    async def _see_through(
        self, work: Awaitable[Any], reply_to: pykka.Future[Any] | None, message: object
    ) -> None:
        try:
            result = await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._fail(error, reply_to, message)
        else:
            answer(reply_to, result)

    def _done(self, future: asyncio.Future[Any]) -> None:
        work, reply_to, message = self._under_way.pop(future)
        if future.cancelled():
            if inspect.iscoroutine(work):
                work.close()  # it was never begun when it was cancelled before its first step
            answer_error(reply_to, self._cancelled())
        elif future is work:
            error = future.exception()
            if error is None:
                answer(reply_to, future.result())
            else:
                self._fail(error, reply_to, message)
        if len(self._under_way) == self.mailbox.limit - 1:
            self.mailbox.nudge()

    def _cancelled(self) -> ActorUnavailable:
        if self.over:
            return ActorStopped(f"{self.actor.context.name} stopped before it had the answer.")
        return ActorUnavailable(
            f"{self.actor.context.name} gave the message up before it had an answer."
        )

    def _enter(
        self,
        phase: Coroutine[Any, Any, None],
        waiting: Awaitable[None] | None,
        reply_to: pykka.Future[Any] | None,
    ) -> None:
        def close(task: asyncio.Task[None]) -> None:
            if task.cancelled():  # before its first step: nothing of it has run
                if inspect.iscoroutine(waiting):
                    waiting.close()
                answer(reply_to, None)

        self._phase = self._loop.create_task(phase)
        self._phase.add_done_callback(close)
        self.actor.context.system.keep(self._phase)

    def end(self, reply_to: pykka.Future[Any] | None) -> None:
        """Run ``on_stop``, wait for it, and finish."""
        self.ending = True
        self.actor.timers.close()
        try:
            waiting = self.actor.on_stop()  # type: ignore[func-returns-value]  # may be a coroutine
        except BaseException as error:
            self._finish(reply_to, error)
            return
        if inspect.isawaitable(waiting):
            self._enter(self._end_later(waiting, reply_to), waiting, reply_to)
        else:
            self._finish(reply_to, None)

    async def _end_later(
        self, waiting: Awaitable[None], reply_to: pykka.Future[Any] | None
    ) -> None:
        try:
            await waiting
        except BaseException as error:
            self._finish(reply_to, error)
        else:
            self._finish(reply_to, None)

    def _finish(self, reply_to: pykka.Future[Any] | None, error: BaseException | None) -> None:
        if self.over:  # abandoned meanwhile
            answer(reply_to, None)
            return
        if error is not None:
            self._log_end(error, "failed in on_stop")
        self.leave()
        if self._under_way:
            self._enter(self._finish_later(reply_to, error), None, reply_to)
        else:
            self._report_end(reply_to, error)

    async def _finish_later(
        self, reply_to: pykka.Future[Any] | None, error: BaseException | None
    ) -> None:
        """Wait until the coroutines that were cancelled have cleaned up behind them."""
        while self._under_way:
            await asyncio.wait(list(self._under_way))
        self._report_end(reply_to, error)

    def _report_end(self, reply_to: pykka.Future[Any] | None, error: BaseException | None) -> None:
        answer(reply_to, None)
        self.actor.context.report_down(error or self._exit_error)

    def leave(self) -> None:
        """Take no further message, and cancel what is under way."""
        super().leave()
        current = _current_task()
        for task in (self._phase, *self._under_way):
            if task is not None and task is not current:
                task.cancel()


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
