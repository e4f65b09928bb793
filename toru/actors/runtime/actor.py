"""The two flavours of actor: on the event loop, and on a thread of its own.

Runs on: `LoopActor` on the hub's event loop; `ThreadActor` on its own thread.

What differs from pykka, for both: an unexpected exception is a crash even when the message was
asked (the asker gets `ActorCrashed`), a ``ToruError`` is an answer, and ``SystemExit`` stops this
one actor only.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

import pykka
from pykka._envelope import Envelope  # pykka's inbox protocol is typed by this class
from pykka.messages import _ActorStop

from toru.actors.runtime.future import Reply
from toru.actors.runtime.mailbox import (
    ActorStopped,
    LoopMailbox,
    Mailbox,
    Overflow,
    ThreadMailbox,
    refuse,
)
from toru.actors.runtime.statistics import Meter
from toru.actors.runtime.timers import Timers
from toru.errors import ActorCrashed, ToruError

if TYPE_CHECKING:
    from toru.actors.runtime.system import ActorSystem

logger = logging.getLogger("toru.actors")

MESSAGES_A_TURN = 64
"""How many messages a `LoopActor` handles before the loop may do something else."""


_Work = tuple[Awaitable[Any], pykka.Future[Any] | None]


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
        _answer(self._reply_to, value)

    def fail(self, error: BaseException) -> None:
        """Answer the asker with an error; an error that nobody asked for is logged."""
        _answer_error(self._reply_to, error, self.message)


class _Actor(pykka.Actor):
    """What both flavours share: the context, the timers, and how an end is handled."""

    mailbox_limit: ClassVar[int] = 1000
    overflow: ClassVar[Overflow] = Overflow.REFUSE

    context: ActorContext
    timers: Timers
    started: Reply[None]

    def __init__(self, context: ActorContext) -> None:
        self.context = context
        self.started = Reply(asked=context.name)
        super().__init__()
        system = context.system
        self.timers = Timers(system.loop, system.loop_thread, self.actor_ref)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.context.name}"

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return Reply()

    def _depth(self) -> int:
        inbox = self.actor_inbox
        return len(inbox) if isinstance(inbox, LoopMailbox | ThreadMailbox) else 0

    def _crash(self, error: BaseException, asked: pykka.Future[Any] | None = None) -> None:
        """End the actor after an unexpected exception: logged once, the asker answered."""
        if asked is not None:
            sentence = f"{self.context.name} failed while it handled the message."
            _answer_error(asked, ActorCrashed(sentence), None)
        if self.actor_stopped.is_set():
            return
        self.context.meter.last_error = f"{type(error).__name__}: {error}"
        if isinstance(error, SystemExit):
            logger.info("%s asked to exit (%s); only it is stopped.", self, error)
        else:
            logger.error("%s crashed.", self, exc_info=error)
        self._leave()
        try:
            self.on_failure(type(error), error, error.__traceback__)
        except Exception:
            logger.exception("%s failed in on_failure.", self)
        self._refuse_rest()
        self.started.settle_exception(ActorCrashed(f"{self.context.name} failed to start: {error}"))
        self.context.report_down(error)

    def _leave(self) -> None:
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        self.timers.close()

    def _refuse_rest(self) -> None:
        while not self.actor_inbox.empty():
            stopped = ActorStopped(f"{self.context.name} stopped before it handled the message.")
            refuse(self.actor_inbox.get(), stopped)


class LoopActor(_Actor):
    """An actor on the event loop; a thousand of them cost no threads.

    ``on_start``, ``on_stop`` and ``on_receive`` run on the loop and may be coroutines. While
    ``on_start`` or ``on_stop`` is awaited no message is handled; while an ``on_receive`` is
    awaited the mailbox goes on, and the asker is answered when it is done. Stopping cancels the
    coroutines that are still under way; their askers get `ActorStopped`.
    """

    def __init__(self, context: ActorContext) -> None:
        self._under_way: dict[asyncio.Task[None], _Work] = {}
        super().__init__(context)

    def _create_actor_inbox(self) -> Mailbox:  # type: ignore[override]  # pykka: static
        context = self.context
        return LoopMailbox(
            context.name,
            self.mailbox_limit,
            self.overflow,
            context.meter,
            context.system.loop,
            context.system.loop_thread,
            self._drain,
        )

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the mailbox; its exception is a crash of the actor."""
        self._go_on(work, None)

    def _start_actor_loop(self) -> None:
        self.context.system.call_on_loop(self._begin)

    def _begin(self) -> None:
        try:
            waiting = self.on_start()  # type: ignore[func-returns-value]  # may be a coroutine
        except BaseException as error:
            self._crash(error)
            return
        if inspect.isawaitable(waiting):
            self._hold(self._begin_later(waiting))
        else:
            self._open()

    async def _begin_later(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except BaseException as error:
            self._crash(error)
        else:
            self._open()

    def _open(self) -> None:
        self.started.settle(None)
        self._mailbox.rest()

    @property
    def _mailbox(self) -> LoopMailbox:
        inbox = self.actor_inbox
        assert isinstance(inbox, LoopMailbox)
        return inbox

    def _drain(self) -> None:
        mailbox = self._mailbox
        meter = self.context.meter
        began = time.perf_counter()
        for _ in range(MESSAGES_A_TURN):
            if mailbox.empty() or self.actor_stopped.is_set():
                break
            envelope = mailbox.get()
            meter.handled += 1
            if isinstance(envelope.message, _ActorStop):
                self._end(envelope.reply_to)
                return
            self._handle(envelope)
        meter.busy_s += time.perf_counter() - began
        if self.actor_stopped.is_set():
            self._refuse_rest()
        elif mailbox.empty():
            mailbox.rest()
        else:
            mailbox.schedule()

    def _handle(self, envelope: Envelope[Any]) -> None:
        reply_to = envelope.reply_to
        try:
            result = self._handle_receive(envelope.message)
        except ToruError as error:
            _answer_error(reply_to, error, envelope.message)
        except BaseException as error:
            self._crash(error, reply_to)
        else:
            if result is not None and inspect.isawaitable(result):
                self._go_on(result, reply_to)
            elif reply_to is not None:
                _answer(reply_to, result)

    def _go_on(self, work: Awaitable[Any], reply_to: pykka.Future[Any] | None) -> None:
        task = self.context.system.loop.create_task(self._see_through(work, reply_to))
        self._under_way[task] = (work, reply_to)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        work, reply_to = self._under_way.pop(task)
        if not task.cancelled():
            return
        if inspect.iscoroutine(work):
            work.close()  # it was never begun when the task was cancelled before its first step
        stopped = ActorStopped(f"{self.context.name} stopped before it had the answer.")
        _answer_error(reply_to, stopped, None)

    async def _see_through(self, work: Awaitable[Any], reply_to: pykka.Future[Any] | None) -> None:
        try:
            _answer(reply_to, await work)
        except ToruError as error:
            _answer_error(reply_to, error, work)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._crash(error, reply_to)

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.context.system.loop.create_task(work)
        self.context.system.keep(task)

    def _end(self, reply_to: pykka.Future[Any] | None) -> None:
        self.timers.close()
        try:
            waiting = self.on_stop()  # type: ignore[func-returns-value]  # may be a coroutine
        except BaseException as error:
            self._crash(error, reply_to)
            return
        if inspect.isawaitable(waiting):
            self._hold(self._end_later(waiting, reply_to))
        else:
            self._finish(reply_to)

    async def _end_later(
        self, waiting: Awaitable[None], reply_to: pykka.Future[Any] | None
    ) -> None:
        try:
            await waiting
        except BaseException as error:
            self._crash(error, reply_to)
        else:
            self._finish(reply_to)

    def _finish(self, reply_to: pykka.Future[Any] | None) -> None:
        self._leave()
        self._refuse_rest()
        _answer(reply_to, None)
        self.context.report_down(None)

    def _leave(self) -> None:
        super()._leave()
        for task in list(self._under_way):
            if task is not _current_task():
                task.cancel()


class ThreadActor(_Actor, pykka.ThreadingActor):
    """An actor on a thread of its own, for what blocks.

    All hooks run on that thread. With ``batch_limit`` over 1, ``on_batch`` gets all messages
    that wait, which lets a writer answer many after one commit.
    """

    use_daemon_thread = True
    batch_limit: ClassVar[int] = 1

    def _create_actor_inbox(self) -> Mailbox:  # type: ignore[override]  # pykka: static
        context = self.context
        return ThreadMailbox(context.name, self.mailbox_limit, self.overflow, context.meter)

    def on_batch(self, deliveries: list[Delivery]) -> None:
        """Handle the messages that wait, ``batch_limit`` at most; each must be answered.

        An exception is a crash; those without an answer by then get `ActorCrashed`.
        """
        for delivery in deliveries:
            try:
                delivery.reply(self._handle_receive(delivery.message))
            except ToruError as error:
                delivery.fail(error)

    def _actor_loop(self) -> None:
        try:
            self.on_start()
        except BaseException as error:
            self._crash(error)
            return
        self.started.settle(None)
        while not self.actor_stopped.is_set():
            self._turn()

    def _turn(self) -> None:
        mailbox = self.actor_inbox
        assert isinstance(mailbox, ThreadMailbox)
        envelopes, stop = _take(mailbox, self.batch_limit)
        meter = self.context.meter
        meter.handled += len(envelopes) + (stop is not None)
        began = time.perf_counter()
        if envelopes:
            self._handle_batch(envelopes)
        meter.busy_s += time.perf_counter() - began
        if stop is not None and not self.actor_stopped.is_set():
            self._end(stop.reply_to)
        elif stop is not None:
            _answer(stop.reply_to, None)

    def _handle_batch(self, envelopes: list[Envelope[Any]]) -> None:
        try:
            self.on_batch([Delivery(envelope) for envelope in envelopes])
        except BaseException as error:
            self._crash(error)
            sentence = f"{self.context.name} failed while it handled the message."
            for envelope in envelopes:
                _answer_error(envelope.reply_to, ActorCrashed(sentence), None)

    def _end(self, reply_to: pykka.Future[Any] | None) -> None:
        self.timers.close()
        try:
            self.on_stop()
        except BaseException as error:
            self._crash(error, reply_to)
            return
        self._leave()
        self._refuse_rest()
        _answer(reply_to, None)
        self.context.report_down(None)


def _take(mailbox: ThreadMailbox, limit: int) -> tuple[list[Envelope[Any]], Envelope[Any] | None]:
    """Return the messages that wait, up to ``limit``, and the stop message that ends them."""
    envelopes: list[Envelope[Any]] = []
    envelope = mailbox.get()
    while not isinstance(envelope.message, _ActorStop):
        envelopes.append(envelope)
        if len(envelopes) >= limit:
            return envelopes, None
        try:
            envelope = mailbox.get_nowait()
        except queue.Empty:
            return envelopes, None
    return envelopes, envelope


def _answer(reply_to: pykka.Future[Any] | None, value: Any) -> None:
    if isinstance(reply_to, Reply):
        reply_to.settle(value)
    elif reply_to is not None:
        reply_to.set(value)


def _answer_error(
    reply_to: pykka.Future[Any] | None, error: BaseException, message: object
) -> None:
    if isinstance(reply_to, Reply):
        reply_to.settle_exception(error)
    elif reply_to is not None:
        reply_to.set_exception((type(error), error, None))
    elif message is not None:
        logger.warning("%s was refused, and nobody had asked: %s", type(message).__name__, error)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
