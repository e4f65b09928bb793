"""The requests and WebSockets of one connection of version 2, and the bytes of their bodies.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from .credit import Allowance, Credit
from .errors import Disconnected, FrameError
from .frames import FLAG_END, Data, Message, encode_data
from .inbox import Inbox
from .messages import Request, Response
from .pieces import Pieces
from .socket_v2 import SocketV2
from .sockets import ABNORMAL, GOING_AWAY, WebSocket

if TYPE_CHECKING:
    from .connection import Connection
    from .server import Server

MAX_ID = 0xFFFFFFFF
DEFAULT_DEADLINE_MS = 30_000
MAX_INLINE_CHARS = 128 * 1024
"""Longer bodies are sent in pieces, so that they hold up no other answer."""
CLOSE_GRACE_S = 5.0
"""How long the handler of a WebSocket may go on after the other side has closed it."""


class Voice(Protocol):
    """The session's way to send messages."""

    def send(self, message: Message) -> None:
        """Send a message; raises ValueError when it is too large."""

    def send_error(
        self, stream_id: int, code: str, sentence: str, *, retryable: bool = False
    ) -> None:
        """Send an error about a stream."""


class _Stream:
    """A request that is not answered yet, or a WebSocket."""

    def __init__(self, stream_id: int, request: Request) -> None:
        self.id = stream_id
        self.request = request
        self.task: asyncio.Task[Any] | None = None
        self.inbox: Inbox | None = None
        self.wire: SocketV2 | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.deadline_s = 0.0
        self.has_begun = False
        self.lasts = False
        self.is_late = False
        self.is_over = False
        """Whether the core expects nothing more of it."""

    def begin(self) -> None:
        """Have no time limit any more: the answer begins."""
        self.has_begun = True
        self.set_timer(None)

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """Have this timer in place of the one before."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer


class ExchangeV2:
    """The requests and WebSockets of one connection.

    Args:
        server: serves them.
        connection: carries them.
        voice: sends messages.
        limits: of the connection, by the names of ``hello``.

    Attributes:
        draining: whether no more is taken.
        dropped: data that came too late.
    """

    def __init__(
        self, server: Server, connection: Connection, voice: Voice, limits: dict[str, int]
    ) -> None:
        self.draining = False
        self.dropped = 0
        self._server = server
        self._connection = connection
        self._voice = voice
        self._streams: dict[int, _Stream] = {}
        self.agree(limits)

    def agree(self, limits: dict[str, int]) -> None:
        """Put limits in force."""
        self._limits = limits
        self._credit = Credit(limits["connection_credit"], limits["stream_credit"])
        self._allowance = self._new_allowance(0, limits["connection_credit"])

    # Messages from the core

    def http(self, message: Message) -> None:
        """Take a request."""
        stream = self._begin(message, str(message.get("method") or ""))
        if stream is None:
            return
        stream.deadline_s = (positive(message.get("deadline_ms")) or DEFAULT_DEADLINE_MS) / 1000
        if stream.inbox is None:
            self._expect_answer(stream)
        self._spawn(stream, self._answer(stream))

    def ws_open(self, message: Message) -> None:
        """Take a WebSocket."""
        stream = self._begin({**message, "body": "stream", "text": ""}, "GET")
        if stream is not None and stream.inbox is not None:
            wire = SocketV2(stream.id, stream.inbox, self)
            stream.wire, stream.inbox = wire, None
            socket = WebSocket(stream.request, wire)
            wire.on_lost = socket.lose
            self._credit.open(stream.id)
            self._spawn(stream, self._serve_socket(stream, socket))

    def data(self, frame: Data) -> None:
        """Take bytes of a body or a message.

        Raises:
            FrameError: they are beyond the credit.
        """
        size = len(frame.payload)
        self._allowance.spend(size)
        self._allowance.take(size)  # at once, so that no stream holds up another
        stream = self._streams.get(frame.id)
        if stream is not None and stream.wire is not None:
            stream.wire.put(frame.payload, frame.flags)
        elif stream is not None and stream.inbox is not None:
            stream.inbox.put(frame.payload, frame.flags)
            if frame.flags & FLAG_END:
                self._expect_answer(stream)
        else:
            self.dropped += 1

    def ws_close(self, message: Message) -> None:
        """Take it that the browser, or the core, has closed a WebSocket."""
        stream = self._streams.get(stream_id_of(message) or 0)
        if stream is None or stream.wire is None:
            self.dropped += 1
        else:
            self._lose_socket(stream, stream.wire, positive(message.get("code")) or ABNORMAL)

    def cancel(self, message: Message) -> None:
        """Give a request up: nobody waits for its answer, or for more of it."""
        stream = self._streams.get(stream_id_of(message) or 0)
        if stream is not None:
            self._give_up(stream)

    def window(self, message: Message) -> None:
        """Take credit."""
        self._credit.add(stream_id_of(message) or 0, positive(message.get("add")) or 0)

    def lost(self) -> None:
        """End everything: the connection is gone."""
        for stream in list(self._streams.values()):
            self._give_up(stream)

    def end_lasting(self) -> None:
        """End event streams and WebSockets, which would not end by themselves."""
        for stream in list(self._streams.values()):
            if stream.wire is not None:
                stream.wire.close(GOING_AWAY)
            elif stream.lasts:
                self._give_up(stream)

    # The beginning and the end of a stream

    def _begin(self, message: Message, method: str) -> _Stream | None:
        stream_id = stream_id_of(message)
        if stream_id is None or stream_id % 2 == 0 or stream_id in self._streams:
            raise FrameError("BAD_FRAME", f"{str(message.get('id'))[:40]!r} is no new odd id")
        counted = sum(not stream.lasts for stream in self._streams.values())
        if not self._server.ready:
            self._refuse(stream_id, "NOT_READY", "The plugin is starting.")
        elif self.draining or self._server.stopping:
            self._refuse(stream_id, "BUSY", "The plugin is stopping.")
        elif counted >= self._limits["streams"]:
            self._refuse(stream_id, "BUSY", "Too many requests at once.")
        else:
            return self._added(stream_id, message, method)
        return None

    def _added(self, stream_id: int, message: Message, method: str) -> _Stream | None:
        inbox = None
        if message.get("body") == "stream":
            inbox = Inbox(self._new_allowance(stream_id, self._limits["stream_credit"]))
        request = _request(message, method, inbox)
        if request is None:
            self._voice.send_error(stream_id, "INTERNAL", "That is no request.")
            return None
        stream = self._streams[stream_id] = _Stream(stream_id, request)
        stream.inbox = inbox
        return stream

    def _refuse(self, stream_id: int, code: str, sentence: str) -> None:
        self._voice.send_error(stream_id, code, sentence, retryable=True)

    def _new_allowance(self, stream_id: int, limit: int) -> Allowance:
        window = {"type": "window", "id": stream_id}
        return Allowance(limit, lambda count: self._voice.send({**window, "add": count}))

    def _spawn(self, stream: _Stream, work: Coroutine[Any, Any, None]) -> None:
        stream.task = self._server.spawn(work)
        stream.task.add_done_callback(lambda task: self._ended(stream, task))

    def _ended(self, stream: _Stream, task: asyncio.Task[Any]) -> None:
        stream.set_timer(None)
        self._streams.pop(stream.id, None)
        self._credit.close(stream.id)
        if stream.inbox is not None:
            stream.inbox.lose(Disconnected())  # a thread may still read it
        if stream.is_over:
            return
        if stream.is_late:
            sentence = f"No answer within {stream.deadline_s:g} s."
            self._voice.send_error(stream.id, "DEADLINE", sentence)
        elif task.cancelled() or task.exception() is None:
            self._voice.send_error(stream.id, "CANCELLED", "The request was cancelled.")
        else:
            self._voice.send_error(stream.id, "INTERNAL", "The plugin library failed.")

    def _expect_answer(self, stream: _Stream) -> None:
        """Have the request fail unless its answer begins in time."""
        if not stream.has_begun:
            loop = asyncio.get_running_loop()
            stream.set_timer(loop.call_later(stream.deadline_s, self._expire, stream))

    def _expire(self, stream: _Stream) -> None:
        stream.is_late = True
        self._give_up(stream)

    def _give_up(self, stream: _Stream) -> None:
        stream.request.disconnected = True
        if stream.inbox is not None:
            stream.inbox.lose(Disconnected())
        if stream.wire is not None and stream.lasts:
            self._lose_socket(stream, stream.wire, ABNORMAL)
        elif stream.task is not None and not stream.is_over:
            stream.task.cancel()

    def _lose_socket(self, stream: _Stream, wire: SocketV2, code: int) -> None:
        """Let the handler come to its end, but not for ever."""
        stream.is_over = True
        stream.request.disconnected = True
        self._credit.close(stream.id)
        wire.lose(code)
        if stream.task is not None:
            loop = asyncio.get_running_loop()
            stream.set_timer(loop.call_later(CLOSE_GRACE_S, stream.task.cancel))

    # Answers

    async def _answer(self, stream: _Stream) -> None:
        try:
            response, pieces = await self._server.plugin.handle(stream.request)
        except Disconnected:
            return
        try:
            if pieces is None:
                await self._send_whole(stream, response)
            else:
                await self._send_pieces(stream, response, pieces)
        finally:
            if pieces is not None:
                await pieces.close()

    async def _send_whole(self, stream: _Stream, response: Response) -> None:
        stream.begin()
        head = _head(stream.id, response)
        try:
            self._voice.send(head)
        except ValueError:  # it has so many quotes and the like that JSON makes it too large
            head = {**_plain_head(stream.id, response), "body": "stream"}
            self._voice.send(head)
        if head["body"] == "stream":
            self._credit.open(stream.id)
            await self.send_data(stream.id, response.content(), FLAG_END, [0])
        stream.is_over = True
        await self._connection.drain()

    async def _send_pieces(self, stream: _Stream, response: Response, pieces: Pieces) -> None:
        stream.begin()
        self._voice.send({**_plain_head(stream.id, response), "body": "stream"})
        stream.lasts = response.lasts
        self._credit.open(stream.id)
        try:
            while not stream.request.disconnected:
                piece = await pieces.next()
                if piece is None:
                    self._connection.send(encode_data(stream.id, b"", FLAG_END))
                    stream.is_over = True
                    break
                await self.send_data(stream.id, piece, 0, [0])
        except Exception as error:
            if not isinstance(error, Disconnected) or not stream.request.disconnected:
                self._break_off(stream, error)

    def _break_off(self, stream: _Stream, error: Exception) -> None:
        name = f"{stream.request.method} {stream.request.path} failed"
        self._server.plugin.failed(name, traceback_of(error))
        self._voice.send_error(stream.id, "INTERNAL", "The plugin failed; see its log.")
        stream.is_over = True

    async def send_data(self, stream_id: int, data: bytes, flags: int, sent: list[int]) -> None:
        """Send data in frames as credit allows; ``flags`` hold for the whole, its end for the last.

        Raises:
            Disconnected: the stream is over.
        """
        view, begin = memoryview(data), 0
        while begin < len(data) or not data:
            count = 0
            if data:
                wanted = min(self._limits["data_bytes"], len(data) - begin)
                count = await self._credit.take(stream_id, wanted)
            is_last = begin + count == len(data)
            piece = view[begin : begin + count]
            frame_flags = flags if is_last else flags & ~FLAG_END
            self._connection.send(encode_data(stream_id, piece, frame_flags))
            begin += count
            sent[0] = 0 if is_last else begin
            await self._connection.drain()
            if is_last:
                return

    # WebSockets

    async def _serve_socket(self, stream: _Stream, socket: WebSocket) -> None:
        refusal = await self._server.plugin.serve_socket(socket)
        if refusal is not None and not stream.is_over:
            self._voice.send(_head(stream.id, refusal))
            stream.is_over = True
        await self._connection.drain()

    def accept_socket(self, stream_id: int) -> None:
        """Say that a WebSocket is taken."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.lasts = True
            self._voice.send({"type": "ws_accept", "id": stream_id})

    def close_socket(self, stream_id: int, code: int) -> None:
        """Say that a WebSocket is closed."""
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.is_over:
            stream.is_over = True
            self._credit.close(stream_id)
            self._voice.send({"type": "ws_close", "id": stream_id, "code": code})


def traceback_of(error: BaseException) -> str:
    """Return an error with where it comes from, as text."""
    import traceback

    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def positive(value: Any) -> int | None:
    """Return a value that is a whole number above 0, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def stream_id_of(message: Message) -> int | None:
    """Return the id that a message is about."""
    value = positive(message.get("id"))
    return value if value is not None and value <= MAX_ID else None


def _request(message: Message, method: str, body: Inbox | None) -> Request | None:
    fields = [message.get(name) or "" for name in ("path", "query", "text")]
    if not all(isinstance(value, str) for value in fields) or not method:
        return None
    path, query, text = fields
    plain, _, rest = path.partition("?")
    try:
        return Request(
            method,
            plain,
            query_string=query.lstrip("?") or rest,
            headers=message.get("headers"),
            text=text,
            body=body,
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
