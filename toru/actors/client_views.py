"""The runs that a connection watches: a cursor each, moved as fast as the connection is read.

Runs on: the event loop, owned by one `Client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from toru.actors.client_outbox import Outbox
from toru.actors.messages.tasks import ReadFrames, TaskGrew, TaskReplaced, Unview, View
from toru.actors.runtime import ActorContext, Address, Message, Timers
from toru.errors import DeadlineExceeded, Unavailable

MAX_CURSORS = 16_384
_RETRY_S = 0.25


class Cursor:
    """How far the connection has been sent one run's output.

    Args:
        offset: the byte that comes next; None when only the end of the run is wanted.
        announce: whether ``started`` is to be said.
    """

    __slots__ = ("announce", "checked", "end", "offset", "sending", "size")

    def __init__(self, offset: int | None, *, announce: bool = False) -> None:
        self.offset = offset
        self.announce = announce
        self.checked = False
        self.size = 0
        self.end: tuple[bytes, ...] | None = None
        self.sending = False

    @property
    def is_at_the_end(self) -> bool:
        """Whether all that there is has been sent."""
        return self.offset is None or self.offset >= self.size


class Views:
    """The cursors of one connection.

    Args:
        context: the client's; its name is what the runs' actors know.
        outbox: where the frames go.
        turns: shared by all clients: how many of them send output in one turn of the loop.
        timers: the client's.
        background: runs a coroutine beside the client's mailbox.
    """

    def __init__(
        self,
        context: ActorContext,
        outbox: Outbox,
        turns: asyncio.Semaphore,
        timers: Timers,
        background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._context = context
        self._outbox = outbox
        self._turns = turns
        self._timers = timers
        self._background = background
        self._cursors: dict[str, Cursor] = {}

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._cursors

    def watch(self, task_id: str, cursor: Cursor) -> None:
        """Watch a run from a cursor on; one of before is replaced.

        Raises:
            Unavailable: the connection watches too many runs, or the run's actor is not there.
        """
        if len(self._cursors) >= MAX_CURSORS and task_id not in self._cursors:
            raise Unavailable(f"One connection can watch {MAX_CURSORS} runs; detach from some.")
        self._cursors[task_id] = cursor
        self._task(task_id).tell(View(self._context.name))

    def drop(self, task_id: str) -> None:
        """Watch a run no more."""
        if self._cursors.pop(task_id, None) is not None:
            self._tell(task_id, Unview(self._context.name))

    def drop_all(self) -> None:
        """Watch nothing any more."""
        for task_id in list(self._cursors):
            self.drop(task_id)

    def view_again(self, task_id: str) -> None:
        """The run's actor is another one: tell it who watches."""
        if task_id in self._cursors and not self._tell(task_id, View(self._context.name)):
            self._try_again(task_id)

    def grew(self, news: TaskGrew) -> None:
        """Take note of a run's size and end, and send what is new."""
        cursor = self._cursors.get(news.task_id)
        if cursor is None:
            self._tell(news.task_id, Unview(self._context.name))
            return
        if cursor.announce and news.started:
            cursor.announce = False
            self._outbox.send_json({"type": "started", "task_id": news.task_id})
        cursor.size = max(cursor.size, news.size)
        cursor.end = news.end
        if not cursor.checked and cursor.offset is not None and cursor.offset > news.size:
            self._refuse_offset(news.task_id, cursor.offset, news.size)
            return
        cursor.checked = True  # later news may be older than what has been read meanwhile
        if not cursor.sending:
            cursor.sending = True
            self._background(self._send_output(news.task_id, cursor))

    def _refuse_offset(self, task_id: str, offset: int, size: int) -> None:
        self.drop(task_id)
        sentence = f"The output has {size} bytes so far; the offset {offset} is past its end."
        self._outbox.send_error(sentence, task_id)

    async def _send_output(self, task_id: str, cursor: Cursor) -> None:
        """Send what there is, as fast as it is read; the cursor remembers where to go on."""
        try:
            while self._cursors.get(task_id) is cursor:
                await self._outbox.room()
                if cursor.offset is None or cursor.is_at_the_end:
                    break
                if not await self._send_stretch(task_id, cursor, cursor.offset):
                    break
            self._send_end(task_id, cursor)
        except (Unavailable, DeadlineExceeded):
            self._try_again(task_id)
        finally:
            cursor.sending = False

    async def _send_stretch(self, task_id: str, cursor: Cursor, offset: int) -> bool:
        """Send the frames from ``offset`` on; return whether there were any.

        The turn ends only after the loop has had its own, so that however many viewers there
        are, everything else waits for a few of them at most.
        """
        async with self._turns:
            made = await self._task(task_id).ask(ReadFrames(offset))
            if made.next_offset == offset or self._cursors.get(task_id) is not cursor:
                return False
            for frame in made.frames:
                self._outbox.send(frame)
            cursor.offset = made.next_offset
            await asyncio.sleep(0)
        return True

    def _send_end(self, task_id: str, cursor: Cursor) -> None:
        if cursor.end is None or self._cursors.get(task_id) is not cursor:
            return
        if cursor.is_at_the_end:
            for frame in cursor.end:
                self._outbox.send(frame)
            self.drop(task_id)

    def _try_again(self, task_id: str) -> None:
        self._timers.after(("view", task_id), _RETRY_S, TaskReplaced(task_id))

    def _task(self, task_id: str) -> Address:
        return self._context.system.address(f"task/{task_id}")

    def _tell(self, task_id: str, message: Message[None]) -> bool:
        try:
            self._task(task_id).tell(message)
        except Unavailable:
            return False
        return True
