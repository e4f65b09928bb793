"""Bounded mailboxes: each states its limit and what happens when it is full.

Runs on: ``put`` on any thread; ``get`` on the actor's own thread or loop.
"""

from __future__ import annotations

import asyncio
import enum
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pykka
from pykka._envelope import Envelope  # pykka's inbox protocol is typed by this class
from pykka.messages import _ActorStop

from toru.actors.runtime.statistics import Meter
from toru.errors import ActorUnavailable, MailboxFull


class ActorStopped(ActorUnavailable, pykka.ActorDeadError):
    """The actor stopped before it handled the message."""


class Overflow(enum.Enum):
    """What a full mailbox does with one message more."""

    REFUSE = "refuse"
    """The sender gets `MailboxFull`; nothing that was accepted is lost."""

    DROP_OLDEST = "drop_oldest"
    """The oldest message is dropped and counted; whoever asked it gets `MailboxFull`."""


class Mailbox:
    """What both mailboxes share: the limit, the policy and the figures."""

    def __init__(self, name: str, limit: int, overflow: Overflow, meter: Meter) -> None:
        self._name = name
        self._limit = limit
        self._overflow = overflow
        self._meter = meter

    def _make_room(self, envelope: Envelope[Any], pop_oldest: Callable[[], Envelope[Any]]) -> None:
        """Apply the policy to a full mailbox; a stop message always fits."""
        if isinstance(envelope.message, _ActorStop):
            return
        if self._overflow is Overflow.REFUSE:
            self._meter.refused += 1
            raise MailboxFull(f"{self._name} has {self._limit} messages waiting; try again later.")
        try:
            oldest = pop_oldest()
        except (IndexError, queue.Empty):
            return
        self._meter.dropped += 1
        refuse(oldest, MailboxFull(f"{self._name} dropped the message for newer ones."))

    def _count(self, depth: int) -> None:
        if depth > self._meter.peak_depth:
            self._meter.peak_depth = depth


class LoopMailbox(Mailbox):
    """The mailbox of a `LoopActor`: filled from any thread, drained by the loop."""

    def __init__(
        self,
        name: str,
        limit: int,
        overflow: Overflow,
        meter: Meter,
        loop: asyncio.AbstractEventLoop,
        loop_thread: int,
        drain: Callable[[], None],
    ) -> None:
        super().__init__(name, limit, overflow, meter)
        self._items: deque[Envelope[Any]] = deque()
        self._loop = loop
        self._loop_thread = loop_thread
        self._drain = drain
        self._scheduled = True  # nothing is drained before the actor's on_start has run

    def __len__(self) -> int:
        return len(self._items)

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message and see to it that the loop will drain it.

        Raises:
            MailboxFull: the limit is reached and the policy is `Overflow.REFUSE`.
        """
        items = self._items
        if len(items) >= self._limit:
            self._make_room(envelope, items.popleft)
        items.append(envelope)
        self._count(len(items))
        if not self._scheduled:
            self.schedule()

    def get(self) -> Envelope[Any]:
        """Return the oldest message.

        Raises:
            IndexError: there is none.
        """
        return self._items.popleft()

    def empty(self) -> bool:
        """Return whether no message waits."""
        return not self._items

    def schedule(self) -> None:
        """Have the loop call the drain once."""
        self._scheduled = True
        if threading.get_ident() == self._loop_thread:
            self._loop.call_soon(self._drain)
            return
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError as error:
            raise ActorStopped(f"The event loop of {self._name} has ended.") from error

    def rest(self) -> None:
        """Say that the drain is over; what arrived meanwhile starts it again."""
        self._scheduled = False
        if self._items:
            self.schedule()


class ThreadMailbox(Mailbox):
    """The mailbox of a `ThreadActor`: its thread sleeps in ``get``."""

    def __init__(self, name: str, limit: int, overflow: Overflow, meter: Meter) -> None:
        super().__init__(name, limit, overflow, meter)
        self._items: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self._items.qsize()

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message.

        Raises:
            MailboxFull: the limit is reached and the policy is `Overflow.REFUSE`.
        """
        if self._items.qsize() >= self._limit:
            self._make_room(envelope, self._items.get_nowait)
        self._items.put(envelope)
        self._count(self._items.qsize())

    def get(self) -> Envelope[Any]:
        """Return the oldest message, waiting for one."""
        return self._items.get()

    def get_nowait(self) -> Envelope[Any]:
        """Return the oldest message.

        Raises:
            queue.Empty: there is none.
        """
        return self._items.get_nowait()

    def empty(self) -> bool:
        """Return whether no message waits."""
        return self._items.empty()


def refuse(envelope: Envelope[Any], error: Exception) -> None:
    """Answer a message that will never be handled; a stop is done by then."""
    reply = envelope.reply_to
    if reply is None:
        return
    try:
        if isinstance(envelope.message, _ActorStop):
            reply.set(None)
        else:
            reply.set_exception((type(error), error, None))
    except queue.Full:
        return  # its deadline answered first
