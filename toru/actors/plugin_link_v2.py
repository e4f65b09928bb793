"""Version 2 of the plugin protocol on a socket: one connection that everything shares.

Runs on: the event loop. What the bytes mean is decided in ``toru.wire.plugin_session``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import Any

from toru.actors.messages.plugins import PluginAnswer, PluginRequest
from toru.actors.plugin_link import (
    LinkBroken,
    LinkContext,
    Waiting,
    connect_when_it_listens,
    settle,
)
from toru.clock import monotonic
from toru.errors import BadGateway, Conflict, DeadlineExceeded, Forbidden, ToruError, Unavailable
from toru.wire import plugin_session_events as told
from toru.wire.plugin_http import ProtocolFault
from toru.wire.plugin_session import Session

HEALTH_INTERVAL_S = 30.0
WRITE_LIMIT_BYTES = 1024 * 1024
"""What may wait to be written to a plugin that does not read; then it is taken for broken."""

_READ_BYTES = 256 * 1024
_TICK_S = 0.5
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


class LinkV2:
    """Speaks version 2."""

    def __init__(self, context: LinkContext, *, health: bool) -> None:
        self._context = context
        self._asks_health = health
        self._waiting = Waiting()
        self._answers: dict[int, asyncio.Future[PluginAnswer]] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._session: Session
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drained = asyncio.Event()
        self._closed = False
        self._misses = 0

    async def open(self) -> None:
        """Connect, negotiate, and return when the plugin says ``ready``."""
        connection = await connect_when_it_listens(self._context.socket_path)
        try:
            _check_peer(connection, self._context.pid)
        except LinkBroken:
            connection.close()
            raise
        reader, self._writer = await asyncio.open_unix_connection(sock=connection)
        self._session = Session(instance=self._context.instance, now=monotonic())
        self._flush()
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._read(reader)))
        self._tasks.append(loop.create_task(self._tick()))
        await self._ready
        if self._asks_health:
            self._tasks.append(loop.create_task(self._ask_health()))

    async def forward(self, request: PluginRequest) -> PluginAnswer:
        """Send a request among the others and return its answer."""
        if self._closed:
            raise BadGateway("The plugin is gone.")
        path, _, query = request.target.partition("?")
        request_id = self._session.request(
            method=request.method,
            path=path,
            query=query,
            headers=request.headers,
            body=request.body,
            user=request.user,
            role=request.role,
            now=monotonic(),
        )
        future = self._answers[request_id] = self._waiting.add()
        self._flush()
        try:
            return await future
        finally:
            self._waiting.remove(future)
            if self._answers.pop(request_id, None) is not None and not self._closed:
                reason = "Nobody waits for the answer."
                self._take(self._session.cancel(request_id, reason, monotonic()))
                self._flush()

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""
        self._waiting.fail(sentence)

    async def goaway(self) -> None:
        """Say ``goaway`` and return when nothing is open."""
        if self._closed:
            return
        self._take(self._session.goaway())
        self._flush()
        await self._drained.wait()

    async def shutdown(self) -> None:
        """Say ``shutdown``."""
        if self._closed or self._writer is None:
            raise LinkBroken("It is not connected.")
        self._session.shutdown()
        self._flush()

    def close(self) -> None:
        """Close the connection; what waits is answered with 502."""
        if self._closed:
            return
        self._closed = True
        self._drained.set()
        self.fail("The plugin is gone.")
        self._answers.clear()
        for task in [*self._tasks, *self._calls.values()]:
            task.cancel()
        if not self._ready.done():
            self._ready.cancel()
        if self._writer is not None:
            self._writer.close()

    # The connection

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(_READ_BYTES):
                self._take(self._session.feed(data, monotonic()))
                self._flush()
        except ProtocolFault as fault:
            self._take(self._session.take_events())
            self._flush()
            self._lose(f"It broke the protocol: {fault.sentence}")
        except OSError as error:
            self._lose(f"Its connection broke: {error.strerror or error}.")
        else:
            self._lose("It closed its connection.")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._take(self._session.tick(monotonic()))
            except ProtocolFault as fault:
                self._take(self._session.take_events())
                self._flush()
                self._lose(f"It broke the protocol: {fault.sentence}")
                return
            self._flush()

    async def _ask_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            self._take(self._session.ask_health())
            self._flush()

    def _flush(self) -> None:
        """Hand over what is to be sent; a write never waits."""
        if self._writer is None or self._writer.is_closing():
            return
        data = self._session.output()
        if data:
            self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > WRITE_LIMIT_BYTES * 2:
            self._lose("It does not read its socket.")

    def _lose(self, sentence: str) -> None:
        if self._closed:
            return
        if not self._ready.done():
            self._ready.set_exception(LinkBroken(sentence))
            return
        self._context.lost(sentence)

    # What it says

    def _take(self, events: list[told.SessionEvent]) -> None:
        for event in events:
            self._take_one(event)

    def _take_one(self, event: told.SessionEvent) -> None:
        match event:
            case told.HelloAccepted():
                self._init()
            case told.BecameReady():
                if not self._ready.done():
                    self._ready.set_result(None)
            case told.StartStatus(extend_s=extend_s):
                if extend_s:
                    self._context.extended(extend_s)
            case told.Answered(id=request_id, answer=answer):
                outcome = PluginAnswer(answer.status, answer.headers, answer.body)
                self._settle(request_id, outcome)
            case told.Failed():
                self._settle(event.id, _failure(event))
            case told.Called():
                self._begin_call(event)
            case told.CallEnded(id=call_id):
                task = self._calls.pop(call_id, None)
                if task is not None:
                    task.cancel()
            case told.PingMissed():
                self._misses += 1
                self._context.pings(self._misses)
            case told.Alive():
                self._misses = 0
                self._context.pings(0)
            case told.HealthAnswered(ok=ok, text=text):
                self._context.degraded(not ok, text)
            case told.GoingAway():
                self._lose("It asks to be restarted.")
            case told.Drained():
                self._drained.set()
            case told.PeerError():
                pass

    def _init(self) -> None:
        context = self._context
        self._session.init(
            instance_id=context.instance_id,
            config={},
            data_dir=str(context.data_dir),
            log_path=str(context.log_path),
        )

    def _settle(self, request_id: int, outcome: PluginAnswer | ToruError) -> None:
        future = self._answers.pop(request_id, None)
        if future is not None:
            settle(future, outcome)

    def _begin_call(self, called: told.Called) -> None:
        task = asyncio.get_running_loop().create_task(self._call(called))
        self._calls[called.id] = task

    async def _call(self, called: told.Called) -> None:
        try:
            value = await self._context.call(called.method, called.params)
        except ToruError as error:
            code, retryable = _call_code(error)
            events = self._session.refuse_call(
                called.id, code, error.sentence, retryable=retryable
            )
        else:
            events = self._session.answer_call(called.id, value)
        self._calls.pop(called.id, None)
        self._take(events)
        self._flush()


def _check_peer(connection: socket.socket, pid: int) -> None:
    """Refuse a listener that is not of the plugin's process group: a stale orphan, or a stranger.

    Raises:
        LinkBroken: it is not.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    peer = _CREDENTIALS.unpack(packed)[0]
    group = None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        group = os.getpgid(peer)
    if pid not in (peer, group):
        raise LinkBroken(f"Another process ({peer}) listens on its socket.")


def _failure(failed: told.Failed) -> ToruError:
    match failed.status:
        case 503:
            return Unavailable(failed.sentence, code="plugin_busy")
        case 504:
            return DeadlineExceeded(failed.sentence)
        case _:
            return BadGateway(failed.sentence)


def _call_code(error: ToruError) -> tuple[Any, bool]:
    """Return the protocol's code for an error, and whether trying again may help."""
    if isinstance(error, Unavailable):
        return "BUSY", True
    if isinstance(error, DeadlineExceeded):
        return "DEADLINE", True
    if isinstance(error, Conflict):
        return "CONFLICT", False
    if isinstance(error, Forbidden):
        return "DENIED", False
    return "DENIED" if 400 <= error.status < 500 else "INTERNAL", False
