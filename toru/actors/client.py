"""One WebSocket connection: what it asks for, what it watches, and how much it has not read.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from toru.actors.client_outbox import Connection, Events, Outbox
from toru.actors.client_views import Cursor, Views
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
    StartTask,
    TaskGrew,
    TaskNotice,
    TaskReplaced,
)
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.errors import ToruError, Unauthorized, Unavailable

logger = logging.getLogger("toru.client")

TURNS = 6
"""How many connections send a stretch of output in one turn of the loop."""

MAX_STARTING = 32
"""Runs of one connection that are being accepted at a time; they share their commits."""

SESSION_ENDED = 4401
_GOING_AWAY = 1001

_decoder = msgspec.json.Decoder(wire.AnyClientMessage)
_PONG = msgspec.json.encode({"type": "pong"})


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
        self._connection = connection
        self._session = session
        self._auth = auth
        self._tasks = tasks
        self._hub = hub
        self._outbox = Outbox(connection, on_broken=self.stop)
        self._events = Events(self._outbox, self.background)
        self._views = Views(context, self._outbox, turns, self.timers, self.background)
        self._starting = asyncio.Semaphore(MAX_STARTING)

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
                self._views.grew(message)
            case TaskNotice(task_id=task_id, frame=frame):
                if task_id in self._views:
                    self._outbox.send(frame)
            case Push(frame=frame):
                self._events.send(frame)
            case Received(text=text):
                return self._received(text)
            case TaskReplaced(task_id=task_id):
                self._views.view_again(task_id)
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
            self._outbox.send_error(error.sentence, task_id)

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
                self._views.drop(task_id)
            case wire.Subscribe(topics=topics):
                await self._hub.ask(Subscribe(self.context.name, topics))
            case wire.Unsubscribe(topics=topics):
                await self._hub.ask(Unsubscribe(self.context.name, topics))
            case wire.Ping():
                self._outbox.send(_PONG)

    async def _run(self, script: str, args: dict[str, str]) -> None:
        message = StartTask(script, self._session, args, trigger="websocket")
        try:
            started = await self._tasks.ask(message, deadline_s=30.0)
            if started.waiting:
                self._outbox.send_json({"type": "queued", "task_id": started.task_id})
            self._views.watch(started.task_id, Cursor(0, announce=True))
        except ToruError as error:
            self._outbox.send_error(error.sentence)
        finally:
            self._starting.release()

    async def _cancel(self, task_id: str) -> None:
        await self._tasks.ask(CancelTask(task_id, self._session))
        if task_id not in self._views:  # who cancels hears of the end
            self._views.watch(task_id, Cursor(None))

    async def _attach(self, task_id: str, offset: int) -> None:
        await self._tasks.ask(AttachTask(task_id, self._session))
        self._views.watch(task_id, Cursor(offset))

    def _end_session(self) -> None:
        self._outbox.send_error("Your session has ended; please log in again.")
        self._connection.close(SESSION_ENDED, "The session has ended.")

    def _sign_off(self) -> None:
        self._views.drop_all()
        try:
            self._hub.tell(Leave(self.context.name))
        except Unavailable:
            logger.debug("The hub is not there to hear that %s leaves.", self.context.name)


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
