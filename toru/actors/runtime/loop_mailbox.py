"""The mailbox of a `LoopActor`: filled from any thread, drained by the loop.

Runs on: ``put`` and ``tell`` on any thread; all else on the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from pykka._envelope import Envelope  # pykka's inbox protocol is typed by this class

from toru.actors.runtime.mailbox import Mailbox, Overflow
from toru.actors.runtime.statistics import Meter

HASTY_ASKS_A_TURN = 16
"""How many awaited asks of a system are answered on the spot in one turn of the loop."""


class Haste:
    """How many asks may yet be answered on the spot before the loop has to have its turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._left = HASTY_ASKS_A_TURN

    def take(self) -> bool:
        """Return whether this one may; on the loop."""
        if self._left == 0:
            return False
        if self._left == HASTY_ASKS_A_TURN:
            self.loop.call_soon(self._refill)
        self._left -= 1
        return True

    def _refill(self) -> None:
        self._left = HASTY_ASKS_A_TURN


class LoopMailbox(Mailbox):
    """The mailbox of a `LoopActor`: filled from any thread, drained by the loop.

    ``_asleep`` says that no drain is under way or due, so that whoever adds a message has to see
    to it. Adding comes before reading the flag here, and setting the flag before looking for
    messages in ``rest`` and ``close``: a message is always seen by one of the two. ``_due`` says
    that the loop will call ``_turn``.

    Attributes:
        items: what waits, the oldest left; the drain takes from it without further ado.
        drain: called on the loop when messages wait; set once the actor takes them.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        overflow: Overflow,
        meter: Meter,
        haste: Haste,
        loop_thread: int,
    ) -> None:
        super().__init__(name, limit, overflow, meter)
        self.items: deque[Any] = deque()
        self._loop = haste.loop
        self._haste = haste
        self._loop_thread = loop_thread
        self._due = False
        self.drain: Callable[[], None] = _nothing
        self._asleep = False  # nothing is drained before the actor's on_start has run
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.items)

    def tell(self, message: Any, /) -> None:
        """Add a message that nobody waits for; see `Mailbox.tell`."""
        items = self.items
        if len(items) >= self.limit:
            self._make_room()
        items.append(message)
        if self._asleep:
            self._wake(message)

    def get(self) -> Envelope[Any]:
        """Return the oldest message in an envelope, as pykka wants it.

        Raises:
            IndexError: there is none.
        """
        item = self.items.popleft()
        return item if isinstance(item, Envelope) else Envelope(item)

    def again(self) -> None:
        """Have the loop call the drain once more, after what else it has to do."""
        if not self._due:
            self._due = True
            self._schedule()

    def hurry(self) -> None:
        """Drain at once, for one who awaits an answer, instead of two turns of the loop later.

        A coroutine that awaits has given the loop up, so this is no other order of things than
        the loop's own; it spares the way through the loop, most of what an ask costs.
        """
        here = asyncio._get_running_loop() is self._loop
        if here and self._due and not self._asleep and self._haste.take():
            self.drain()

    def rest(self) -> None:
        """Say that the drain is over; what arrived meanwhile starts it again."""
        self._asleep = True
        self.nudge()

    def doze(self) -> None:
        """Say that the drain is over though messages wait: it starts with one more, or a stop."""
        self._asleep = True
        if self.stopping:
            self.nudge()

    def nudge(self) -> None:
        """Start the drain if messages wait and nothing has started it."""
        if self.items and self._asleep:
            self._wake(None)

    def close(self) -> None:
        """Refuse what waits and what will come. Safe to call twice, on any thread."""
        with self._lock:
            self.closed = True
            self._asleep = True
        self.drain = _nothing  # a mailbox may outlive its actor, in a reference
        self._refuse_rest()

    def _add(self, item: Any) -> None:
        self.items.append(item)
        if self._asleep:
            self._wake(item)

    def _pop(self) -> Any:
        return self.items.popleft()

    def _wake(self, added: Any) -> None:
        with self._lock:
            closed = self.closed
            if not closed and not self._asleep:
                return
            self._asleep = closed
            due, self._due = self._due, True
        if closed:
            self._refuse_rest(added)
        elif not due:
            self._schedule()

    def _turn(self) -> None:
        with self._lock:
            self._due = False
        if not self._asleep:  # else all was handled in haste
            self.drain()

    def _schedule(self) -> None:
        try:
            if threading.get_ident() == self._loop_thread:
                self._loop.call_soon(self._turn)
            else:
                self._loop.call_soon_threadsafe(self._turn)
        except RuntimeError as error:  # the loop has ended, and all its actors with it
            self.close()
            raise self._stopped() from error


def _nothing() -> None:
    """Stand in for the drain of an actor that has ended."""
