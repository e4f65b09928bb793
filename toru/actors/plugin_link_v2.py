"""Version 2 of the plugin protocol on a socket: one connection that everything shares.

Runs on: the event loop. What the bytes mean is decided in ``toru.wire.plugin_session``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from toru.actors.plugin_event_queue import EventQueue
from toru.actors.plugin_link import (
    LinkBroken,
    LinkContext,
    check_peer,
    connect_when_it_listens,
)
from toru.actors.plugin_requests_v2 import RequestsV2
from toru.clock import monotonic
from toru.domain.plugin_topics import CoreEvent
from toru.errors import BadGateway, Conflict, DeadlineExceeded, Forbidden, ToruError, Unavailable
from toru.wire import plugin_session_events as told
from toru.wire.plugin_http import ProtocolFault
from toru.wire.plugin_session import Session

CONFIG_FEATURE = "config"
"""What a plugin says in its ``hello_ok`` when it takes changed settings while it runs."""
HEALTH_INTERVAL_S = 30.0
WRITE_LIMIT_BYTES = 16 * 1024 * 1024
"""What may wait to be written to a plugin that does not read; then it is taken for broken.

Requests stop at 1 MiB already; this is for the answers to its own calls."""

_TICK_S = 0.5

logger = logging.getLogger("toru.plugins")


class LinkV2(asyncio.Protocol):
    """Speaks version 2.

    What is sent in one turn of the loop goes out with one write at its end, so that requests which
    come together cost the plugin one wake-up.
    """

    features: tuple[str, ...] = ()

    def __init__(self, context: LinkContext, *, health: bool) -> None:
        self._context = context
        self._asks_health = health
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._session: Session
        self._requests: RequestsV2
        self._transport: asyncio.Transport | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._drained = asyncio.Event()
        self._closed = False
        self._flush_due = False
        self._misses = 0
        self._events = EventQueue(self._send_event, self._unsent_bytes)

    async def open(self) -> None:
        """Connect, negotiate, and return when the plugin says ``ready``."""
        connection = await connect_when_it_listens(self._context.socket_path)
        try:
            check_peer(connection, self._context.pid)
        except LinkBroken:
            connection.close()
            raise
        self._session = Session(instance=self._context.instance, now=monotonic())
        self._requests = RequestsV2(self._session, self._unsent_bytes, self._flush_soon, self._take)
        await self._loop.create_unix_connection(lambda: self, sock=connection)
        self._flush()
        self._tasks.append(self._loop.create_task(self._tick()))
        await self._ready
        if self._asks_health:
            self._tasks.append(self._loop.create_task(self._ask_health()))

    @property
    def requests(self) -> RequestsV2:
        """What is under way.

        Raises:
            BadGateway: the connection is gone.
        """
        if self._closed or self._transport is None:
            raise BadGateway("The plugin is gone.")
        return self._requests

    def tell_config(self) -> bool:
        """Tell it its settings, if it has said that it takes them while it runs."""
        if self._closed or CONFIG_FEATURE not in self.features:
            return False
        self._session.config(self._context.config())
        self._flush_soon()
        return True

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""
        if self._transport is not None:
            self._requests.fail(sentence)

    def tell_event(self, event: CoreEvent) -> None:
        """Send an event that the plugin has subscribed to, when it has read those before."""
        if not self._closed and self._transport is not None:
            self._events.add(event)

    def _send_event(self, event: CoreEvent, dropped: int) -> None:
        self._session.emit(event.name, event.data, event.timestamp, dropped)
        self._flush_soon()

    async def goaway(self) -> None:
        """Say ``goaway`` and return when nothing is open."""
        if self._closed:
            return
        self._take(self._session.goaway(monotonic()))
        self._flush_soon()
        await self._drained.wait()

    async def shutdown(self) -> None:
        """Say ``shutdown``."""
        if self._closed or self._transport is None or self._transport.is_closing():
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
        for task in [*self._tasks, *self._calls.values()]:
            task.cancel()
        self._ready.cancel()
        if self._transport is not None:
            self._transport.close()

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; asyncio calls it."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what the plugin has sent; asyncio calls it."""
        if self._closed:
            return
        try:
            self._take(self._session.feed(data, monotonic()))
        except ProtocolFault as fault:
            self._break(fault)
        else:
            self._flush_soon()

    def resume_writing(self) -> None:
        """Go on with what waited for the plugin to read; asyncio calls it."""
        if not self._closed:
            self._events.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection has ended; asyncio calls it."""
        if isinstance(exc, OSError):
            self._lose(f"Its connection broke: {exc.strerror or exc}.")
        else:
            self._lose("It closed its connection.")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._take(self._session.tick(monotonic()))
            except ProtocolFault as fault:
                self._break(fault)
                return
            self._events.go_on()
            self._flush()

    async def _ask_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            self._take(self._session.ask_health())
            self._flush()

    def _break(self, fault: ProtocolFault) -> None:
        """Say what was wrong, and give the connection up."""
        self._take(self._session.take_events())
        self._flush()
        self._lose(f"It broke the protocol: {fault.sentence}")
        if self._transport is not None:
            self._transport.close()

    def _unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Hand over what is to be sent; a write never waits."""
        self._flush_due = False
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        data = self._session.output()
        if data:
            transport.write(data)
            if transport.get_write_buffer_size() > WRITE_LIMIT_BYTES:
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
            case told.HelloAccepted(features=features):
                self.features = self._requests.features = features
                self._init()
            case told.BecameReady():
                if not self._ready.done():
                    self._ready.set_result(None)
            case told.StartStatus(text=text, extend_s=extend_s):
                if extend_s:
                    self._context.extended(extend_s)
                if text:
                    self._context.busy(text)
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
            case _:
                self._requests.take(event)

    def _init(self) -> None:
        context = self._context
        self._session.init(
            instance_id=context.instance_id,
            config=context.config(),
            data_dir=str(context.data_dir),
            log_path=str(context.log_path),
        )

    def _begin_call(self, called: told.Called) -> None:
        self._calls[called.id] = self._loop.create_task(self._call(called))

    async def _call(self, called: told.Called) -> None:
        try:
            value = await self._context.call(called.method, called.params)
            events = self._session.answer_call(called.id, value)
        except ToruError as error:
            code, retryable = _call_code(error)
            events = self._session.refuse_call(called.id, code, error.sentence, retryable=retryable)
        except Exception:  # one call's fault is no reason to leave it without an answer
            logger.exception("The call %s of %s failed.", called.method, self._context.plugin_id)
            sentence = "The hub failed at this; its log has more."
            events = self._session.refuse_call(called.id, "INTERNAL", sentence)
        self._calls.pop(called.id, None)
        self._take(events)
        self._flush_soon()


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
