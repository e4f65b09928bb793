"""Version 1 of the plugin protocol on sockets: one connection a request, any number at once.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket

from toru.actors.messages.plugins import (
    BodyPiece,
    PluginAnswer,
    PluginRequest,
    SocketMessage,
    SocketMessages,
)
from toru.actors.plugin_collected import Answer, CollectedBodies
from toru.actors.plugin_link import (
    ANSWER_S,
    LinkBroken,
    LinkContext,
    check_peer,
    connect,
    connect_when_it_listens,
    settle,
)
from toru.clock import monotonic, utc_now
from toru.domain.uuid7 import uuid7
from toru.errors import BadGateway, BadRequest, DeadlineExceeded, NotFound, ToruError
from toru.wire import plugin_v1 as wire
from toru.wire.frames import Frame, FrameError
from toru.wire.plugin_http import HttpAnswer, ProtocolFault

PROBE_INTERVAL_S = 10.0
_READ_BYTES = 64 * 1024
_SEND_S = 2.0
_SILENCE_S = 1.0
"""How long a plugin may take after a message of its lifecycle to ask for its keys there."""


class LinkV1:
    """Speaks version 1.

    That the plugin's socket is still there is looked at every 10 s, and shows with every request.
    """

    features: tuple[str, ...] = ()

    def __init__(self, context: LinkContext) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._exchanges: dict[Answer, asyncio.Task[None]] = {}
        self._by_id: dict[int, Answer] = {}
        self._collected = CollectedBodies(self.forward)
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connecting = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, say ``init``, and take it as ready: version 1 has no answer to that."""
        connection = await connect_when_it_listens(self._context.socket_path)
        try:
            check_peer(connection, self._context.pid)
        except LinkBroken:
            connection.close()
            raise
        try:
            await self._send_alone(connection, self._init())
        except (OSError, TimeoutError) as error:
            raise LinkBroken(f"It did not take the first message: {error}.") from None
        self._watch = self._loop.create_task(self._watch_socket())

    def _init(self) -> bytes:
        return wire.lifecycle_init(
            instance_id=self._context.instance_id,
            plugin_socket=self._context.socket_address,
            log_path=str(self._context.log_path),
            config=self._context.config(),
            timestamp=utc_now(),
        )

    @property
    def requests(self) -> LinkV1:
        """What is under way: each request has a connection of its own."""
        return self

    def forward(self, request: PluginRequest) -> Answer:
        """Send a request, once its body is whole, and return its answer to come."""
        if request.body is None:
            return self._collected.begin(request)
        request_id = uuid7()
        frame = wire.http_request(
            request_id=request_id,
            method=request.method,
            path=request.target,
            headers=request.headers,
            body=request.body,
            timestamp=utc_now(),
        )
        future: Answer = self._loop.create_future()
        work = self._exchange(frame, request_id, future)
        self._exchanges[future] = self._loop.create_task(work)
        self._by_id[request.id] = future
        self._idle.clear()
        future.add_done_callback(functools.partial(self._over, request.id))
        return future

    def write(self, request_id: int, data: bytes, *, end: bool) -> None:
        """Take a piece of a request's body."""
        self._collected.write(request_id, data, end=end)

    def give_up(self, request_id: int) -> None:
        """End a request that nobody waits for any more."""
        future = self._by_id.get(request_id)
        if future is not None:
            future.cancel()
        self._collected.give_up(request_id)

    async def read(self, request_id: int) -> BodyPiece:
        """Refuse: version 1 has no bodies that follow in pieces."""
        raise NotFound(f"The request {request_id} has no such body.")

    def open_socket(self, request: PluginRequest) -> Answer:
        """Refuse: version 1 has no WebSockets."""
        del request
        raise BadRequest("This plugin takes no WebSockets.", code="no_websocket")

    def write_socket(self, request_id: int, message: SocketMessage) -> None:
        """Drop what is for no WebSocket."""

    async def read_socket(self, request_id: int) -> SocketMessages:
        """Refuse, as `open_socket` does."""
        raise NotFound(f"There is no WebSocket {request_id}.")

    def close_socket(self, request_id: int, code: int) -> None:
        """Let be what is no WebSocket."""

    def _over(self, request_id: int, future: Answer) -> None:
        del self._by_id[request_id]
        self._exchanges.pop(future).cancel()
        if not self._exchanges:
            self._idle.set()

    def tell_config(self) -> bool:
        """Return that it cannot: version 1 has no message for it."""
        return False

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""
        self._collected.fail(BadGateway(sentence))
        for future in self._exchanges:
            if not future.done():
                future.set_exception(BadGateway(sentence))

    async def quiet(self) -> None:
        """Return when no request is open."""
        await self._idle.wait()

    async def goaway(self) -> None:
        """Return when no request is open; version 1 has no word for it."""
        await self.quiet()

    async def shutdown(self) -> None:
        """Say ``shutdown`` on a connection of its own."""
        try:
            connection = await connect(self._context.socket_path, monotonic() + _SEND_S)
        except OSError as error:
            reason = error.strerror or error
            raise LinkBroken(f"Its socket cannot be reached: {reason}.") from None
        try:
            await self._send_alone(connection, wire.lifecycle_shutdown(timestamp=utc_now()))
        except (OSError, TimeoutError):
            raise LinkBroken("It does not read its socket.") from None

    def close(self) -> None:
        """Close all connections; what waits is answered with 502."""
        if self._watch is not None:
            self._watch.cancel()
        self.fail("The plugin is gone.")

    async def _send_alone(self, connection: socket.socket, frame: bytes) -> None:
        """Send a message that has no answer, and close the connection once the plugin does."""
        try:
            await asyncio.wait_for(self._loop.sock_sendall(connection, frame), _SEND_S)
        except BaseException:
            connection.close()
            raise
        task = self._loop.create_task(self._attend(connection))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def _attend(self, connection: socket.socket) -> None:
        """Answer what the plugin asks for its keys there, such as to load or save its state.

        When it stays silent it is told that nothing follows: one that serves one connection at a
        time may wait for that. What else it says is dropped, so that it gets no error for it.
        """
        decoder = wire.decoder()
        with connection, contextlib.suppress(OSError, FrameError):
            for silence_s in (_SILENCE_S, _SEND_S):
                with contextlib.suppress(TimeoutError):
                    while data := await self._receive(connection, silence_s):
                        for frame in decoder.feed(data):
                            await self._answer_alone(connection, frame)
                    return
                connection.shutdown(socket.SHUT_WR)

    async def _receive(self, connection: socket.socket, silence_s: float) -> bytes:
        received = self._loop.sock_recv(connection, _READ_BYTES)
        return await asyncio.wait_for(received, silence_s)

    async def _answer_alone(self, connection: socket.socket, frame: Frame) -> None:
        with contextlib.suppress(ProtocolFault, BadGateway):
            reply = await self._kv_reply(wire.parse_message(frame, ""))
            if reply:
                await asyncio.wait_for(self._loop.sock_sendall(connection, reply), _SEND_S)

    async def _exchange(self, frame: bytes, request_id: str, future: Answer) -> None:
        outcome: PluginAnswer | ToruError
        try:
            async with asyncio.timeout(ANSWER_S):
                outcome = await self._ask(frame, request_id)
        except TimeoutError:
            sentence = f"The plugin did not answer within {ANSWER_S:g} seconds."
            outcome = DeadlineExceeded(sentence)
        except ToruError as error:
            outcome = error
        except FrameError as error:
            outcome = BadGateway(f"The plugin's answer is not understood: {error}")
        except OSError as error:
            outcome = BadGateway(f"The plugin cannot be reached: {error.strerror or error}.")
        settle(future, outcome)

    async def _ask(self, frame: bytes, request_id: str) -> PluginAnswer:
        reader, writer = await asyncio.open_unix_connection(sock=await self._connect())
        try:
            writer.write(frame)
            await writer.drain()
            return await self._read_answer(reader, writer, request_id)
        finally:
            writer.transport.abort()

    async def _connect(self) -> socket.socket:
        """Connect, one request after the other, so that a full queue is not run against."""
        async with self._connecting:
            try:
                return await connect(self._context.socket_path, monotonic() + ANSWER_S)
            except (ConnectionRefusedError, FileNotFoundError):
                self._context.lost("Nobody listens on its socket any more.")
                raise

    async def _read_answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request_id: str
    ) -> PluginAnswer:
        decoder = wire.decoder()
        while data := await reader.read(_READ_BYTES):
            for frame in decoder.feed(data):
                message = wire.parse_message(frame, request_id)
                if isinstance(message, HttpAnswer):
                    return PluginAnswer(message.status, message.headers, message.body)
                writer.write(await self._kv_reply(message))
                await writer.drain()
        raise BadGateway("The plugin closed the connection without an answer.")

    async def _kv_reply(self, message: object) -> bytes:
        """Return what is to be sent for a message; nothing where nothing is."""
        match message:
            case wire.KvRequest():
                return await self._answer_kv(message)
            case wire.BadKv(request_id=kv_id, sentence=sentence):
                return _kv_error(kv_id, sentence)
            case _:
                return b""

    async def _answer_kv(self, asked: wire.KvRequest) -> bytes:
        try:
            value = await self._context.kv(asked.action, asked.key, asked.value)
        except ToruError as error:
            return _kv_error(asked.request_id, error.sentence)
        return wire.kv_answer(request_id=asked.request_id, value=value, timestamp=utc_now())

    async def _watch_socket(self) -> None:
        while True:
            await asyncio.sleep(PROBE_INTERVAL_S)
            if not self._context.socket_path.is_socket():
                self._context.lost("It has lost its socket.")
                return


def _kv_error(request_id: str | None, sentence: str) -> bytes:
    return wire.kv_answer(request_id=request_id, value=None, timestamp=utc_now(), error=sentence)
