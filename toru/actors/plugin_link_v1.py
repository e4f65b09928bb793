"""Version 1 of the plugin protocol on sockets: one connection a request, any number at once.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib

from toru.actors.messages.plugins import PluginAnswer, PluginRequest
from toru.actors.plugin_link import (
    ANSWER_S,
    LinkBroken,
    LinkContext,
    Waiting,
    connect,
    connect_when_it_listens,
    settle,
)
from toru.clock import monotonic, utc_now
from toru.domain.uuid7 import uuid7
from toru.errors import BadGateway, DeadlineExceeded, ToruError
from toru.wire import plugin_v1 as wire
from toru.wire.frames import FrameError
from toru.wire.plugin_http import HttpAnswer

PROBE_INTERVAL_S = 10.0
_READ_BYTES = 64 * 1024
_SEND_S = 2.0


class LinkV1:
    """Speaks version 1. That the plugin's socket is still there is looked at every 10 s."""

    def __init__(self, context: LinkContext) -> None:
        self._context = context
        self._waiting = Waiting()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Connect, say ``init``, and take it as ready: version 1 has no answer to that."""
        loop = asyncio.get_running_loop()
        connection = await connect_when_it_listens(self._context.socket_path)
        init = wire.lifecycle_init(
            instance_id=self._context.instance_id,
            plugin_socket=str(self._context.socket_path),
            log_path=str(self._context.log_path),
            timestamp=utc_now(),
        )
        try:
            await asyncio.wait_for(
                loop.sock_sendall(connection, init), _SEND_S
            )
        except (OSError, TimeoutError) as error:
            raise LinkBroken(f"It did not take the first message: {error}.") from None
        finally:
            connection.close()
        self._watch = loop.create_task(self._watch_socket())

    async def forward(self, request: PluginRequest) -> PluginAnswer:
        """Send a request on a connection of its own and return the answer."""
        request_id = uuid7()
        frame = wire.http_request(
            request_id=request_id,
            method=request.method,
            path=request.target,
            headers=request.headers,
            body=request.body,
            timestamp=utc_now(),
        )
        future = self._waiting.add()
        task = asyncio.get_running_loop().create_task(self._exchange(frame, request_id, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.wait_for(asyncio.shield(future), ANSWER_S)
        except TimeoutError:
            raise DeadlineExceeded(
                f"The plugin did not answer within {ANSWER_S:g} seconds."
            ) from None
        finally:
            self._waiting.remove(future)
            task.cancel()

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""
        self._waiting.fail(sentence)

    async def goaway(self) -> None:
        """Return when no request is open; version 1 has no word for it."""
        await self._waiting.idle()

    async def shutdown(self) -> None:
        """Say ``shutdown`` on a connection of its own."""
        try:
            connection = await connect(self._context.socket_path, monotonic() + _SEND_S)
        except OSError as error:
            raise LinkBroken(f"Its socket cannot be reached: {error.strerror}.") from None
        try:
            frame = wire.lifecycle_shutdown(timestamp=utc_now())
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_sendall(connection, frame), _SEND_S)
        except (OSError, TimeoutError):
            raise LinkBroken("It does not read its socket.") from None
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections; what waits is answered with 502."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self.fail("The plugin is gone.")
        for task in tuple(self._tasks):
            task.cancel()

    async def _exchange(
        self, frame: bytes, request_id: str, future: asyncio.Future[PluginAnswer]
    ) -> None:
        try:
            settle(future, await self._ask(frame, request_id))
        except ToruError as error:
            settle(future, error)
        except FrameError as error:
            settle(future, BadGateway(f"The plugin's answer is not understood: {error}"))
        except OSError as error:
            settle(future, BadGateway(f"The plugin cannot be reached: {error.strerror or error}."))

    async def _ask(self, frame: bytes, request_id: str) -> PluginAnswer:
        connection = await connect(self._context.socket_path, monotonic() + ANSWER_S)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            writer.write(frame)
            await writer.drain()
            return await self._read_answer(reader, writer, request_id)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _read_answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request_id: str
    ) -> PluginAnswer:
        decoder = wire.decoder()
        while data := await reader.read(_READ_BYTES):
            for frame in decoder.feed(data):
                match wire.parse_message(frame, request_id):
                    case HttpAnswer(status, headers, body):
                        return PluginAnswer(status, headers, body)
                    case wire.KvRequest() as asked:
                        writer.write(await self._answer_kv(asked))
                        await writer.drain()
                    case wire.BadKv(request_id=kv_id, sentence=sentence):
                        writer.write(_kv_error(kv_id, sentence))
                        await writer.drain()
        raise BadGateway("The plugin closed the connection without an answer.")

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
