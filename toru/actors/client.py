"""One WebSocket connection: what it asks for, what it watches, and how much it has not read.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec

from toru.actors.messages import client as wire
from toru.actors.messages.auth import CheckSession, Session
from toru.actors.messages.hub import (
    EndSession,
    Join,
    Leave,
    Push,
    Received,
    Subscribe,
    Unsubscribe,
)
from toru.actors.messages.tasks import (
    AttachTask,
    CancelTask,
    ReadFrames,
    StartTask,
    TaskGrew,
    TaskNotice,
    TaskReplaced,
    Unview,
    View,
)
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.errors import DeadlineExceeded, ToruError, Unauthorized, Unavailable

logger = logging.getLogger("toru.client")

UNSENT_LIMIT_BYTES = 2 * 1024 * 1024
"""How much may wait for one connection; a viewer over it is read from disk later."""

TURNS = 6
"""How many connections send a stretch of output in one turn of the loop."""

MAX_CURSORS = 16_384
MAX_STARTING = 32
"""Runs of one connection that are being accepted at a time; they share their commits."""

SESSION_ENDED = 4401
_GOING_AWAY = 1001
_RETRY_S = 0.25

_encode = msgspec.json.encode
_decoder = msgspec.json.Decoder(wire.AnyClientMessage)
_PONG = _encode({"type": "pong"})


class Connection(Protocol):
    """What the actor needs of the socket."""

    def send(self, frame: bytes) -> Awaitable[None]:
        """Send a text frame; the awaitable is done when the kernel has it. May raise OSError."""

    def close(self, code: int, reason: str) -> None:
        """Close in order."""


class _Cursor:
    """How far this connection has been sent one run's output."""

    __slots__ = ("announce", "checked", "end", "offset", "sending", "size")

    def __init__(self, offset: int | None, *, announce: bool) -> None:
        self.offset = offset  # None: only the end is wanted
        self.announce = announce
        self.checked = False
        self.size = 0
        self.end: tuple[bytes, ...] | None = None
        self.sending = False


class Client(LoopActor):
    """The actor of one connection; it ends with it."""

    mailbox_limit = 5_000

    def __init__(
        self,
        context: ActorContext,
        connection: Connection,
        session: Session,
        auth: Address,
        tasks: Address,
        hub: Address,
        turns: asyncio.Semaphore,
    ) -> None:
        """Create the actor of a connection.

        Args:
            context: given by the supervisor.
            connection: the socket.
            session: who is at its other end.
            auth: knows whether the session lives.
            tasks: starts and finds runs.
            hub: knows who is subscribed to what.
            turns: shared by all clients: how many of them send output in one turn of the loop.
        """
        super().__init__(context)
        self._turns = turns
        self._connection = connection
        self._session = session
        self._auth = auth
        self._tasks = tasks
        self._hub = hub
        self._cursors: dict[str, _Cursor] = {}
        self._unsent = 0
        self._starting = asyncio.Semaphore(MAX_STARTING)
        self._room = asyncio.Event()
        self._room.set()

    def on_start(self) -> None:
        """Be known to the Hub."""
        self._hub.tell(Join(self.context.name, self._session))

    def on_stop(self) -> None:
        """Be forgotten by the Hub and by the runs; a connection that is still open is closed."""
        self._sign_off()
        self._connection.close(_GOING_AWAY, "Toru is stopping.")

    def on_failure(self, *_exc_info: Any) -> None:
        """Close a connection whose actor failed: the client may come again."""
        self._sign_off()
        self._connection.close(1011, "Something went wrong inside Toru.")

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message; the answer to ``Received`` comes when the next may be read."""
        match message:
            case TaskGrew():
                self._grew(message)
            case TaskNotice(task_id=task_id, frame=frame):
                if task_id in self._cursors:
                    self._send(frame)
            case Push(frame=frame):
                if self._unsent < UNSENT_LIMIT_BYTES:
                    self._send(frame)
            case Received(text=text):
                return self._received(text)
            case TaskReplaced(task_id=task_id):
                self._view_again(task_id)
            case EndSession():
                self._end_session()
            case _:
                return super().on_receive(message)
        return None

    # What the client says

    async def _received(self, text: str) -> None:
        task_id: str | None = None
        try:
            message = _parse(text)
            task_id = getattr(message, "task_id", None)
            await self._check_session()
            await self._obey(message)
        except Unauthorized:
            self._end_session()
        except ToruError as error:
            self._send_error(error.sentence, task_id)

    async def _check_session(self) -> None:
        session = await self._auth.ask(CheckSession(self._session.id))
        if session is None:
            raise Unauthorized("The session has ended.")
        self._session = session

    async def _obey(self, message: wire.AnyClientMessage) -> None:
        match message:
            case wire.Run(script=script, args=args):
                await self._starting.acquire()
                self.background(self._run(script, args))
            case wire.Cancel(task_id=task_id):
                await self._cancel(task_id)
            case wire.Attach(task_id=task_id, offset=offset):
                await self._attach(task_id, offset)
            case wire.Detach(task_id=task_id):
                self._detach(task_id)
            case wire.Subscribe(topics=topics):
                await self._hub.ask(Subscribe(self.context.name, topics))
            case wire.Unsubscribe(topics=topics):
                await self._hub.ask(Unsubscribe(self.context.name, topics))
            case wire.Ping():
                self._send(_PONG)

    async def _run(self, script: str, args: dict[str, str]) -> None:
        message = StartTask(script, self._session, args, trigger="websocket")
        try:
            started = await self._tasks.ask(message, deadline_s=30.0)
            if started.waiting:
                self._send(_encode({"type": "queued", "task_id": started.task_id}))
            self._watch(started.task_id, _Cursor(0, announce=True))
        except ToruError as error:
            self._send_error(error.sentence, None)
        finally:
            self._starting.release()

    async def _cancel(self, task_id: str) -> None:
        await self._tasks.ask(CancelTask(task_id, self._session))
        if task_id not in self._cursors:  # who cancels hears of the end
            self._watch(task_id, _Cursor(None, announce=False))

    async def _attach(self, task_id: str, offset: int) -> None:
        await self._tasks.ask(AttachTask(task_id, self._session))
        self._watch(task_id, _Cursor(offset, announce=False))

    def _watch(self, task_id: str, cursor: _Cursor) -> None:
        if len(self._cursors) >= MAX_CURSORS and task_id not in self._cursors:
            raise Unavailable(f"One connection can watch {MAX_CURSORS} runs; detach from some.")
        self._cursors[task_id] = cursor
        self._task(task_id).tell(View(self.context.name))

    def _detach(self, task_id: str) -> None:
        if self._cursors.pop(task_id, None) is not None:
            self._tell_task(task_id, Unview(self.context.name))

    # What the runs say

    def _grew(self, news: TaskGrew) -> None:
        cursor = self._cursors.get(news.task_id)
        if cursor is None:
            self._tell_task(news.task_id, Unview(self.context.name))
            return
        if cursor.announce and news.started:
            cursor.announce = False
            self._send(_encode({"type": "started", "task_id": news.task_id}))
        cursor.size = max(cursor.size, news.size)
        cursor.end = news.end
        if not cursor.checked and cursor.offset is not None and cursor.offset > news.size:
            self._refuse_offset(news.task_id, cursor.offset, news.size)
            return
        cursor.checked = True  # later news may be older than what has been read meanwhile
        if not cursor.sending:
            cursor.sending = True
            self.background(self._send_output(news.task_id, cursor))

    def _refuse_offset(self, task_id: str, offset: int, size: int) -> None:
        self._detach(task_id)
        self._send_error(
            f"The output has {size} bytes so far; the offset {offset} is past its end.", task_id
        )

    async def _send_output(self, task_id: str, cursor: _Cursor) -> None:
        """Send what there is, as fast as it is read; the cursor remembers where to go on."""
        try:
            while self._cursors.get(task_id) is cursor:
                await self._room.wait()
                if cursor.offset is None or cursor.offset >= cursor.size:
                    break
                if not await self._send_stretch(task_id, cursor, cursor.offset):
                    break
            self._send_end(task_id, cursor)
        except (Unavailable, DeadlineExceeded):
            self.timers.after(("again", task_id), _RETRY_S, TaskReplaced(task_id))
        finally:
            cursor.sending = False

    async def _send_stretch(self, task_id: str, cursor: _Cursor, offset: int) -> bool:
        """Send the frames from ``offset`` on; return whether there were any.

        The turn ends only after the loop has had its own, so that however many viewers there
        are, everything else waits for a few of them at most.
        """
        async with self._turns:
            made = await self._task(task_id).ask(ReadFrames(offset))
            if made.next_offset == offset or self._cursors.get(task_id) is not cursor:
                return False
            for frame in made.frames:
                self._send(frame)
            cursor.offset = made.next_offset
            await asyncio.sleep(0)
        return True

    def _send_end(self, task_id: str, cursor: _Cursor) -> None:
        if cursor.end is None or self._cursors.get(task_id) is not cursor:
            return
        if cursor.offset is None or cursor.offset >= cursor.size:
            for frame in cursor.end:
                self._send(frame)
            self._detach(task_id)

    def _view_again(self, task_id: str) -> None:
        if task_id in self._cursors and not self._tell_task(task_id, View(self.context.name)):
            self.timers.after(("again", task_id), _RETRY_S, TaskReplaced(task_id))

    # The socket

    def _send(self, frame: bytes) -> None:
        size = len(frame)
        try:
            flushed = self._connection.send(frame)
        except OSError:
            self.stop()
            return
        self._unsent += size
        if self._unsent >= UNSENT_LIMIT_BYTES:
            self._room.clear()
        asyncio.ensure_future(flushed).add_done_callback(lambda done: self._flushed(done, size))

    def _flushed(self, done: asyncio.Future[None], size: int) -> None:
        self._unsent -= size
        if self._unsent < UNSENT_LIMIT_BYTES:
            self._room.set()
        if not done.cancelled():
            done.exception()  # a connection that broke is told by its close

    def _send_error(self, sentence: str, task_id: str | None) -> None:
        about = {"task_id": task_id} if task_id is not None else {}
        self._send(_encode({"type": "error", **about, "data": sentence}))

    def _end_session(self) -> None:
        self._send_error("Your session has ended; please log in again.", None)
        self._connection.close(SESSION_ENDED, "The session has ended.")

    def _sign_off(self) -> None:
        for task_id in list(self._cursors):
            self._detach(task_id)
        try:
            self._hub.tell(Leave(self.context.name))
        except Unavailable:
            logger.debug("The hub is not there to hear that %s leaves.", self.context.name)

    def _task(self, task_id: str) -> Address:
        return self.context.system.address(f"task/{task_id}")

    def _tell_task(self, task_id: str, message: Message[None]) -> bool:
        try:
            self._task(task_id).tell(message)
        except Unavailable:
            return False
        return True


def _parse(text: str) -> wire.AnyClientMessage:
    try:
        message: wire.AnyClientMessage = _decoder.decode(text)
    except RecursionError:
        raise _Malformed("The message is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _Malformed(f"The message is not understood: {error}.") from None
    return message


class _Malformed(ToruError):
    """A text frame that is no message of the contract."""

    status = 400
    default_code = "malformed"
