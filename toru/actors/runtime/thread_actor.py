"""The actor on a thread of its own, for what blocks; alone or in batches.

Runs on: its own thread.
"""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

import pykka
from pykka._envelope import Envelope

from toru.actors.runtime.actor import Actor, Cell, Delivery, Exit
from toru.actors.runtime.future import answer
from toru.actors.runtime.mailbox import ThreadMailbox
from toru.errors import ToruError


class ThreadActor(Actor, pykka.ThreadingActor):
    """An actor on a thread of its own, for what blocks.

    All hooks run on that thread. With ``batch_limit`` over 1, ``on_batch`` gets all messages
    that wait, which lets a writer answer many after one commit.
    """

    use_daemon_thread = True
    batch_limit: ClassVar[int] = 1

    def _create_actor_inbox(self) -> ThreadMailbox:  # type: ignore[override]  # pykka: static
        context = self.context
        mailbox = ThreadMailbox(context.name, self.mailbox_limit, self.overflow, context.meter)
        mailbox.on_dropped = self.on_dropped  # type: ignore[method-assign]  # the actor counts
        self._cell = ThreadCell(self, mailbox)
        return mailbox

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop, and only handles what came before that."""
        return self._cell.mailbox.stopping

    def on_batch(self, deliveries: list[Delivery]) -> None:
        """Handle the messages that wait, ``batch_limit`` at most; each must be answered.

        An exception is a crash; those without an answer by then get ``ActorCrashed``.
        """
        for delivery in deliveries:
            try:
                delivery.reply(self._handle_receive(delivery.message))
            except ToruError as error:
                delivery.fail(error)

    def on_dropped(self, message: Any, /) -> None:
        """Learn of a message that the full mailbox dropped for a newer one.

        Runs on the thread of whoever sent the newer one, so it must not wait, and may be called
        before ``on_start``.
        """

    def _start_actor_loop(self) -> None:
        self._cell.start()


class ThreadCell(Cell):
    """What runs a `ThreadActor`."""

    actor: ThreadActor
    mailbox: ThreadMailbox

    def start(self) -> None:
        """Start the thread, under the name of the actor."""
        thread = threading.Thread(target=self._run, name=self.actor.context.name)
        thread.daemon = self.actor.use_daemon_thread
        thread.start()

    def _run(self) -> None:
        try:
            self.actor.on_start()
        except BaseException as error:
            self.fail_start(error)
            return
        self.actor.started.settle(None)
        while not self.over:
            self._turn()
        if self._abandoned and not self.ending:
            self.end(None)

    def _turn(self) -> None:
        envelopes, stop = self.mailbox.take(self.actor.batch_limit)
        meter = self.actor.context.meter
        meter.handled += len(envelopes) + (stop is not None)
        began = time.perf_counter()
        if envelopes:
            self._handle_batch(envelopes)
        meter.busy_s += time.perf_counter() - began
        if stop is None:
            return
        if self.over:
            answer(stop.reply_to, None)
        else:
            self.end(stop.reply_to)

    def _handle_batch(self, envelopes: list[Envelope[Any]]) -> None:
        try:
            self.actor.on_batch([Delivery(envelope) for envelope in envelopes])
        except Exit as error:
            self.exit(error, [envelope.reply_to for envelope in envelopes])
        except BaseException as error:
            asked = [envelope.reply_to for envelope in envelopes]
            self.crash(error, asked, type(envelopes[0].message).__name__)

    def end(self, reply_to: pykka.Future[Any] | None) -> None:
        """Run ``on_stop`` and finish."""
        self.ending = True
        self.actor.timers.close()
        failure: BaseException | None = None
        try:
            self.actor.on_stop()
        except BaseException as error:
            failure = error
            self._log_end(error, "failed in on_stop")
        if not self.over:
            self.leave()
        answer(reply_to, None)
        if not self._abandoned:
            self.actor.context.report_down(failure or self._exit_error)
