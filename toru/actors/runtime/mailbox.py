"""Bounded mailboxes: each states its limit and what happens when it is full.

Runs on: ``put`` and ``tell`` on any thread; ``get`` on the actor's own thread or loop.

No message that was accepted with a reply is left without an answer: whoever adds one to a mailbox
that was closed meanwhile finds out afterwards, and answers what it finds there itself.
"""

from __future__ import annotations

import contextlib
import enum
import queue
from abc import ABC, abstractmethod
from typing import Any

import pykka
from pykka._envelope import Envelope  # pykka's inbox protocol is typed by this class
from pykka.messages import _ActorStop

from toru.actors.runtime.future import answer, answer_error
from toru.actors.runtime.statistics import Meter
from toru.errors import ActorUnavailable, MailboxFull, Unavailable


class ActorStopped(ActorUnavailable, pykka.ActorDeadError):
    """The actor stopped before it handled the message."""


class Overflow(enum.Enum):
    """What a full mailbox does with one message more."""

    REFUSE = "refuse"
    """The sender gets `MailboxFull`; nothing that was accepted is lost."""

    DROP_OLDEST = "drop_oldest"
    """The oldest message is dropped and counted; whoever asked it gets `MailboxFull`."""


class Mailbox(ABC):
    """What both mailboxes share: the limit, the policy, the figures and the end.

    An item is an `Envelope`, or the bare message of a `tell`, which needs none.

    Attributes:
        limit: messages that may wait.
        closed: whether the actor has ended.
        stopping: whether a stop message has been put.
    """

    def __init__(self, name: str, limit: int, overflow: Overflow, meter: Meter) -> None:
        self.limit = limit
        self.closed = False
        self.stopping = False
        self._name = name
        self._overflow = overflow
        self._meter = meter

    def on_dropped(self, message: Any, /) -> None:  # noqa: B027 - most only count
        """Learn of a message that was dropped for a newer one; on the thread of the newer one."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def tell(self, message: Any, /) -> None:
        """Add a message that nobody waits for.

        Raises:
            ActorStopped: the actor has ended.
            MailboxFull: the limit is reached and the policy is `Overflow.REFUSE`.
        """

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message in pykka's envelope; one that is asked gets its error as the answer.

        Raises:
            ActorStopped: the actor has ended, and nobody asked.
            MailboxFull: the limit is reached, the policy is `Overflow.REFUSE`, nobody asked.
        """
        try:
            if type(envelope.message) is _ActorStop:
                self.stopping = True
                self._add(envelope)
            else:
                self.tell(envelope)
        except Unavailable as error:
            if envelope.reply_to is None:
                raise
            answer_error(envelope.reply_to, error)

    def hurry(self) -> None:  # noqa: B027 - a thread needs none
        """Handle what waits at once if that can be: someone awaits an answer."""

    def empty(self) -> bool:
        """Return whether no message waits."""
        return len(self) == 0

    def close(self) -> None:
        """Refuse what waits and what will come. Safe to call twice, on any thread."""
        self.closed = True
        self._refuse_rest()

    @abstractmethod
    def _add(self, item: Any) -> None:
        """Add an item, whatever the limit says.

        Raises:
            ActorStopped: the actor has ended.
        """

    @abstractmethod
    def _pop(self) -> Any:
        """Return the oldest item; raise IndexError or queue.Empty when there is none."""

    def _make_room(self) -> None:
        """Apply the policy to a full mailbox."""
        if self.closed or self.stopping:  # what comes after a stop is never handled
            raise self._stopped()
        self.note_depth(self.limit)
        if self._overflow is Overflow.REFUSE:
            self._meter.refused += 1
            raise MailboxFull(f"{self._name} has {self.limit} messages waiting; try again later.")
        try:
            oldest = self._pop()
        except (IndexError, queue.Empty):
            return
        if not isinstance(oldest, Envelope):
            self._meter.dropped += 1
            self.on_dropped(oldest)
        elif type(oldest.message) is _ActorStop:
            self._add(oldest)
        else:
            self._meter.dropped += 1
            self.on_dropped(oldest.message)
            full = MailboxFull(f"{self._name} dropped the message for newer ones.")
            answer_error(oldest.reply_to, full)

    def note_depth(self, depth: int) -> None:
        """Remember how many messages waited, if it is the most so far."""
        if depth > self._meter.recent_peak:
            self._meter.recent_peak = depth

    def _stopped(self) -> ActorStopped:
        return ActorStopped(f"{self._name} is not running.")

    def _refuse_rest(self, late: Any = None) -> None:
        """Refuse what waits.

        Raises:
            ActorStopped: the ``late`` message was still there, so nobody has handled it.
        """
        found = False
        with contextlib.suppress(IndexError, queue.Empty):
            while True:
                item = self._pop()
                found = found or item is late
                if isinstance(item, Envelope):
                    self._refuse(item)
        if found and late is not None:
            raise self._stopped()

    def _refuse(self, envelope: Envelope[Any]) -> None:
        if type(envelope.message) is _ActorStop:
            answer(envelope.reply_to, None)  # done by then
        else:
            stopped = ActorStopped(f"{self._name} stopped before it handled the message.")
            answer_error(envelope.reply_to, stopped)


class ThreadMailbox(Mailbox):
    """The mailbox of a `ThreadActor`: its thread sleeps in ``get``."""

    def __init__(self, name: str, limit: int, overflow: Overflow, meter: Meter) -> None:
        super().__init__(name, limit, overflow, meter)
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self._items.qsize()

    def tell(self, message: Any, /) -> None:
        """Add a message that nobody waits for; see `Mailbox.tell`."""
        if self._items.qsize() >= self.limit:
            self._make_room()
        self._items.put(message)
        if self.closed:
            self._refuse_rest(message)

    def get(self) -> Envelope[Any]:
        """Return the oldest message in an envelope, as pykka wants it, waiting for one."""
        item = self._items.get()
        return item if isinstance(item, Envelope) else Envelope(item)

    def take(self, limit: int) -> tuple[list[Envelope[Any]], Envelope[Any] | None]:
        """Return the messages that wait, up to ``limit``, and the stop message that ends them.

        Waits for the first.
        """
        envelopes: list[Envelope[Any]] = []
        envelope = self.get()
        self.note_depth(self._items.qsize() + 1)
        while type(envelope.message) is not _ActorStop:
            envelopes.append(envelope)
            if len(envelopes) >= limit:
                return envelopes, None
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return envelopes, None
            envelope = item if isinstance(item, Envelope) else Envelope(item)
        return envelopes, envelope

    def close(self) -> None:
        """Refuse what waits and what will come, and wake the thread if it sleeps."""
        super().close()
        self._items.put(Envelope(_ActorStop()))

    def _add(self, item: Any) -> None:
        self._items.put(item)
        if self.closed:
            self._refuse_rest(item)

    def _pop(self) -> Any:
        return self._items.get_nowait()
