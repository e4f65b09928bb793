"""Protocol version 2: one connection, many requests and calls at once.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .calls import Calls
from .credit import Credit
from .errors import CallError, FrameError
from .frames import MAX_DATA_BYTES, MAX_JSON_BYTES_V2, Data, Message, encode, encode_data
from .messages import Request, Response
from .reports import write_line

if TYPE_CHECKING:
    from .connection import Connection
    from .server import Server

PROTOCOL = 2
MAX_ID = 0xFFFFFFFF
MAX_ERROR_CHARS = 4096
DEFAULT_DEADLINE_MS = 30_000
MAX_INLINE_CHARS = 128 * 1024
"""Longer bodies are sent in pieces, so that they hold up no other answer."""
FEATURES = ("http", "kv", "log", "event", "task", "config", "health")
LIMITS = {
    "json_bytes": MAX_JSON_BYTES_V2,
    "data_bytes": MAX_DATA_BYTES,
    "streams": 64,
    "calls": 32,
    "stream_credit": 256 * 1024,
    "connection_credit": 4 * 1024 * 1024,
}


class SessionV2:
    """What is spoken over the one connection of version 2; also the way to the core."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._requests: dict[int, asyncio.Task[Any]] = {}
        self._limits = dict(LIMITS)
        self._calls = Calls(self.send, server.spawn, LIMITS["calls"])
        self._credit = Credit(LIMITS["connection_credit"], LIMITS["stream_credit"])
        self._greeted = False
        self._draining = False
        self.dropped = 0

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ValueError: it is too large or has no form in JSON.
        """
        self._connection.send(encode(message, self._limits["json_bytes"]))

    def _send_error(
        self, stream_id: int, code: str, sentence: str, *, retryable: bool = False
    ) -> None:
        message = sentence[:MAX_ERROR_CHARS]
        more = {"code": code, "message": message, "retryable": retryable}
        self.send({"type": "error", "id": stream_id, **more})

    # Messages from the core

    def received(self, message: Message) -> None:
        """Handle a message from the core."""
        kind = message.get("type")
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            self._unknown(message, f"a message of type {str(kind)[:40]!r} is not known")
        else:
            handler(self, message)

    def received_data(self, data: Data) -> None:
        """Leave data of a stream aside that was refused or has ended."""
        del data
        self.dropped += 1

    def broken(self, error: FrameError) -> None:
        """Tell the core why the connection ends."""
        self._send_error(0, error.code, str(error))

    def ended(self) -> bool:
        """Close: the core has gone."""
        return False

    def lost(self) -> None:
        """End what the connection carried."""
        self._calls.fail_all("the connection to the core is gone")
        self._server.unlink(self)
        for task in self._requests.values():
            task.cancel()
        if self._greeted:
            self._server.orphaned(self)

    def _unknown(self, message: Message, sentence: str) -> None:
        self._send_error(_id(message) or 0, "UNKNOWN_TYPE", sentence)

    def _hello(self, message: Message) -> None:
        if self._greeted:
            raise FrameError("BAD_FRAME", "hello comes once")
        if PROTOCOL not in (message.get("protocols") or ()):
            raise FrameError("BAD_FRAME", f"this plugin speaks {PROTOCOL} after hello, and 1")
        self._greeted = True
        offered = message.get("features") or ()
        limits = message.get("limits") or {}
        for name, own in LIMITS.items():
            self._limits[name] = min(own, _positive(limits.get(name)) or own)
        self._calls.limit(self._limits["calls"])
        self._credit = Credit(self._limits["connection_credit"], self._limits["stream_credit"])
        own_features = [name for name in FEATURES if name != "health" or self._offers_health()]
        self._server.replace_session(self)
        self.send(
            {
                "type": "hello_ok",
                "protocol": PROTOCOL,
                "instance": os.environ.get("TORU_INSTANCE") or message.get("instance"),
                "features": [name for name in own_features if name in offered],
                "limits": self._limits,
                "sdk": f"toru-plugin-python/{__version__}",
            }
        )

    def _offers_health(self) -> bool:
        return self._server.plugin.health_check is not None

    def _init(self, message: Message) -> None:
        self._server.link(self)
        self._server.spawn(self._start(message))

    async def _start(self, message: Message) -> None:
        if await self._server.begin(PROTOCOL, message):
            self.send({"type": "ready"})
        else:
            self._send_error(0, "INTERNAL", "The plugin could not start; see its log.")

    def _ping(self, message: Message) -> None:
        self.send({"type": "pong", "n": message.get("n")})

    def _pong(self, message: Message) -> None:
        del message

    def _health(self, message: Message) -> None:
        self._server.spawn(self._tell_health(message))

    async def _tell_health(self, message: Message) -> None:
        trouble = await self._server.check_health()
        answer = {"type": "health", "id": _id(message) or 0, "ok": trouble is None}
        self.send(answer if trouble is None else {**answer, "text": trouble})

    def _goaway(self, message: Message) -> None:
        del message
        self._draining = True

    def _shutdown(self, message: Message) -> None:
        del message
        self._server.stop("the core said shutdown")

    def _cancel(self, message: Message) -> None:
        task = self._requests.get(_id(message) or 0)
        if task is not None:
            task.cancel()

    def _window(self, message: Message) -> None:
        self._credit.add(_id(message) or 0, _positive(message.get("add")) or 0)

    def _result(self, message: Message) -> None:
        if not self._calls.answered(message.get("id"), message.get("value")):
            self.dropped += 1

    def _error(self, message: Message) -> None:
        error = CallError(
            str(message.get("code", "INTERNAL")),
            str(message.get("message", "")),
            retryable=message.get("retryable") is True,
        )
        if not self._calls.refused(message.get("id"), error):
            self.dropped += 1

    def _stream(self, message: Message) -> None:
        self._unknown(message, "This plugin's library does not take streams.")

    # Requests

    def _http(self, message: Message) -> None:
        stream_id = _id(message)
        if stream_id is None or stream_id % 2 == 0 or stream_id in self._requests:
            raise FrameError("BAD_FRAME", f"{str(message.get('id'))[:40]!r} is no new odd id")
        if not self._server.ready:
            self._send_error(stream_id, "NOT_READY", "The plugin is starting.", retryable=True)
        elif self._draining or self._server.stopping:
            self._send_error(stream_id, "BUSY", "The plugin is stopping.", retryable=True)
        elif len(self._requests) >= self._limits["streams"]:
            self._send_error(stream_id, "BUSY", "Too many requests at once.", retryable=True)
        elif message.get("body") == "stream":
            self._unknown(message, "This plugin's library does not take streamed bodies.")
        else:
            task = self._server.spawn(self._answer(stream_id, message))
            self._requests[stream_id] = task
            task.add_done_callback(lambda task: self._answered(stream_id, task))

    def _answered(self, stream_id: int, task: asyncio.Task[Any]) -> None:
        self._requests.pop(stream_id, None)
        if task.cancelled():  # here, because a task may be cancelled before it has begun
            self._send_error(stream_id, "CANCELLED", "The request was cancelled.")

    async def _answer(self, stream_id: int, message: Message) -> None:
        request = _request(message)
        if request is None:
            self._send_error(stream_id, "INTERNAL", "That is no request.")
            return
        deadline_s = _deadline_s(message)
        try:
            response = await asyncio.wait_for(self._server.plugin.handle(request), deadline_s)
        except asyncio.TimeoutError:
            self._send_error(stream_id, "DEADLINE", f"No answer within {deadline_s:g} s.")
        else:
            await self._send_response(stream_id, response)

    async def _send_response(self, stream_id: int, response: Response) -> None:
        head = _head(stream_id, response)
        if head["body"] != "stream":
            try:
                self.send(head)
            except ValueError:  # it has so many quotes and the like that JSON makes it too large
                head = {**_plain_head(stream_id, response), "body": "stream"}
        if head["body"] == "stream":
            self.send(head)
            await self._send_body(stream_id, response.content())
        await self._connection.drain()

    async def _send_body(self, stream_id: int, body: bytes) -> None:
        self._credit.open(stream_id)
        try:
            sent = 0
            while sent < len(body):
                wanted = min(self._limits["data_bytes"], len(body) - sent)
                count = await self._credit.take(stream_id, wanted)
                piece = body[sent : sent + count]
                sent += count
                self._connection.send(encode_data(stream_id, piece, end=sent == len(body)))
                await self._connection.drain()
        finally:
            self._credit.close(stream_id)

    # The way to the core

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the core for something."""
        return await self._calls.call(method, params)

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Send a log line, or write it to stderr when there are too many to be sent."""
        if not self._calls.log(level, message, fields):
            write_line(level, message, fields)

    def status(self, text: str, extend_s: float) -> None:
        """Say what a slow start is busy with."""
        self.send({"type": "status", "text": text, "extend_ms": int(extend_s * 1000)})

    def replaced(self) -> None:
        """End: the core has opened another connection."""
        self._connection.abort()


_HANDLERS: dict[str, Any] = {
    "hello": SessionV2._hello,
    "init": SessionV2._init,
    "http": SessionV2._http,
    "cancel": SessionV2._cancel,
    "result": SessionV2._result,
    "error": SessionV2._error,
    "ping": SessionV2._ping,
    "pong": SessionV2._pong,
    "health": SessionV2._health,
    "window": SessionV2._window,
    "goaway": SessionV2._goaway,
    "shutdown": SessionV2._shutdown,
    "ws_open": SessionV2._stream,
}


def _positive(value: Any) -> int | None:
    """Return a value that is a whole number above 0, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _id(message: Message) -> int | None:
    value = _positive(message.get("id"))
    return value if value is not None and value <= MAX_ID else None


def _deadline_s(message: Message) -> float:
    return (_positive(message.get("deadline_ms")) or DEFAULT_DEADLINE_MS) / 1000


def _request(message: Message) -> Request | None:
    fields = [message.get(name) or "" for name in ("method", "path", "query", "text")]
    if not all(isinstance(value, str) for value in fields) or not fields[0]:
        return None
    method, path, query, text = fields
    plain, _, rest = path.partition("?")
    try:
        return Request(
            method,
            plain,
            query_string=query.lstrip("?") or rest,
            headers=message.get("headers"),
            text=text,
            user=message.get("user"),
            role=message.get("role"),
        )
    except (TypeError, ValueError):
        return None


def _plain_head(stream_id: int, response: Response) -> Message:
    headers = [[name, value] for name, value in response.headers.pairs]
    return {"type": "http_head", "id": stream_id, "status": response.status, "headers": headers}


def _head(stream_id: int, response: Response) -> Message:
    head = _plain_head(stream_id, response)
    if response.data is not None or (response.text and len(response.text) > MAX_INLINE_CHARS):
        return {**head, "body": "stream"}
    if response.text is None:
        return {**head, "body": "none"}
    return {**head, "body": "inline", "text": response.text}
