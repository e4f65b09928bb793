"""The requests and WebSockets of one connection of version 2, between the actor and the wire.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from toru.actors.messages.plugins import (
    BodyPiece,
    PluginAnswer,
    PluginRequest,
    SocketMessage,
    SocketMessages,
)
from toru.actors.plugin_collected import Answer, CollectedBodies
from toru.actors.plugin_streams import Body, Socket, Stream
from toru.clock import monotonic
from toru.domain.plugin_headers import is_event_stream
from toru.errors import (
    BadGateway,
    BadRequest,
    DeadlineExceeded,
    NotFound,
    TooLarge,
    ToruError,
    Unavailable,
)
from toru.wire import plugin_session_events as told
from toru.wire.plugin_http import BodyNotText, HttpRequest
from toru.wire.plugin_session import Session

MAX_HELD_BYTES = 16 * 1024 * 1024
"""What all browsers together may leave unread; then the slowest loses its answer."""

_TOO_BIG = 1009
_BROKEN = 1011


class RequestsV2:
    """What is under way on one connection.

    Args:
        session: the connection's session.
        unsent_bytes: returns what the socket has not taken yet.
        flush_soon: sees to it that what the session has to say is sent.
        tell: takes what the session says happened.

    Attributes:
        features: those that both sides have.
    """

    def __init__(
        self,
        session: Session,
        unsent_bytes: Callable[[], int],
        flush_soon: Callable[[], None],
        tell: Callable[[list[told.SessionEvent]], None],
    ) -> None:
        self.features: tuple[str, ...] = ()
        self._session = session
        self._unsent_bytes = unsent_bytes
        self._flush_soon = flush_soon
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, Stream] = {}
        self._ids: dict[int, int] = {}
        self._unfinished: set[int] = set()  # requests; not what lasts until somebody ends it
        self._finished: asyncio.Future[None] | None = None
        self._held_bytes = 0
        self._collected = CollectedBodies(self.forward)

    # What the actor asks for

    def forward(self, request: PluginRequest) -> Answer:
        """Send a request among the others; see `PluginLink.forward`."""
        if "stream" in self.features:
            return self._stream(request)
        if request.body is None:
            return self._collected.begin(request)
        return self._send(request)

    def open_socket(self, request: PluginRequest) -> Answer:
        """Ask for a WebSocket; see `PluginLink.open_socket`."""
        if "ws" not in self.features:
            raise BadRequest("This plugin takes no WebSockets.", code="no_websocket")
        wire_id = self._session.open_socket(
            _http(request), now=monotonic(), unsent_bytes=self._unsent_bytes()
        )
        return self._enter(request.id, Socket(wire_id, self._loop))

    def write(self, request_id: int, data: bytes, *, end: bool) -> asyncio.Future[None] | None:
        """Send a piece of a body; see `PluginLink.write`."""
        if self._collected.write(request_id, data, end=end):
            return None
        return self._write(request_id, data, end=end, text=False)

    def write_socket(self, request_id: int, message: SocketMessage) -> asyncio.Future[None] | None:
        """Send a message; see `PluginLink.write_socket`."""
        return self._write(request_id, message.data, end=True, text=message.text)

    async def read(self, request_id: int) -> BodyPiece:
        """Return the next piece of a body; see `PluginLink.read`."""
        stream = self._streams.get(request_id)
        if not isinstance(stream, Body):
            raise NotFound("There is no such request any more.")
        try:
            piece = await stream.read()
        except ToruError:
            self._leave(request_id)
            raise
        self._read(stream, len(piece.data), len(piece.data))
        if piece.end:
            self._leave(request_id)
        return piece

    async def read_socket(self, request_id: int) -> SocketMessages:
        """Return what came on a WebSocket; see `PluginLink.read_socket`."""
        stream = self._streams.get(request_id)
        if not isinstance(stream, Socket):
            raise NotFound("There is no such WebSocket any more.")
        try:
            found = await stream.read()
        except ToruError:
            self._leave(request_id)
            raise
        self._read(stream, sum(len(one.data) for one in found.messages), stream.take())
        if found.code is not None:
            self._leave(request_id)
        return found

    def close_socket(self, request_id: int, code: int) -> None:
        """Close a WebSocket."""
        stream = self._leave(request_id)
        if stream is not None:
            stream.fail(BadGateway("The WebSocket is closed."))
            self._tell(self._session.close_socket(stream.wire_id, code, monotonic()))
            self._flush_soon()

    def give_up(self, request_id: int) -> None:
        """End a request that nobody waits for any more."""
        if self._collected.give_up(request_id):
            return
        stream = self._leave(request_id)
        if stream is not None:
            error = Unavailable("Nobody waits for the answer.")
            stream.head.cancel()
            stream.fail(error)
            self._tell(self._session.cancel(stream.wire_id, error.sentence, monotonic()))
            self._flush_soon()

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""
        error = BadGateway(sentence)
        self._collected.fail(error)
        for stream in list(self._streams.values()):
            stream.fail(error)

    async def quiet(self) -> None:
        """Return when nobody waits for an answer; see `PluginRequests.quiet`."""
        while self._unfinished:
            self._finished = self._loop.create_future()
            await self._finished

    # What the plugin says

    def take(self, event: told.SessionEvent) -> None:
        """Take an event that is about a request or a WebSocket."""
        match event:
            case told.Answered(id=wire_id, answer=answer):
                stream = self._find(wire_id)
                if stream is not None and not stream.head.done():
                    if answer.body is not None:
                        self._leave(self._ids[wire_id])
                        stream.may_write()
                    elif is_event_stream(answer.headers):
                        self._is_finished(self._ids[wire_id])
                    head = PluginAnswer(answer.status, answer.headers, answer.body)
                    stream.head.set_result(head)
            case told.BodyCame(id=wire_id, data=data, end=end):
                stream = self._find(wire_id)
                if isinstance(stream, Body):
                    stream.add(data, end=end)
                    self._hold(len(data))
                    if end:
                        stream.may_write()
            case told.MayWrite(id=wire_id):
                stream = self._find(wire_id)
                if stream is not None:
                    stream.may_write()
            case told.Failed():
                self._fail(event)
            case told.SocketOpened() | told.SocketCame() | told.SocketClosed():
                stream = self._find(event.id)
                if isinstance(stream, Socket):
                    self._take_socket(stream, event)

    def _take_socket(
        self, stream: Socket, event: told.SocketOpened | told.SocketCame | told.SocketClosed
    ) -> None:
        match event:
            case told.SocketOpened():
                if not stream.head.done():
                    stream.head.set_result(None)
            case told.SocketClosed(code=code):
                stream.close(code)
            case told.SocketCame(data=data, text=text, end=end):
                stream.add(data, text=text, end=end)
                self._hold(len(data))
                if stream.is_too_long:
                    self._tell(self._session.close_socket(stream.wire_id, _TOO_BIG, monotonic()))
                    stream.close(_TOO_BIG)
                else:
                    self._session.take(stream.wire_id, stream.take(), monotonic())

    def _fail(self, failed: told.Failed) -> None:
        stream = self._find(failed.id)
        if stream is None:
            return
        if not stream.head.done():
            self._leave(self._ids[failed.id])
        stream.fail(_failure(failed))

    def _stream(self, request: PluginRequest) -> Answer:
        """Send a body inline where that can be done, else in pieces."""
        if request.body is None:
            return self._send(request)
        try:
            return self._send(request)
        except (BodyNotText, TooLarge):
            answer = self._send(msgspec.structs.replace(request, body=None))
            self._write(request.id, request.body, end=True, text=False)
            return answer

    def _send(self, request: PluginRequest) -> Answer:
        wire_id = self._session.request(
            _http(request), now=monotonic(), unsent_bytes=self._unsent_bytes()
        )
        return self._enter(request.id, Body(wire_id, self._loop))

    # The book

    def _enter(self, request_id: int, stream: Stream) -> Answer:
        self._streams[request_id] = stream
        self._ids[stream.wire_id] = request_id
        if isinstance(stream, Body):
            self._unfinished.add(request_id)
        self._flush_soon()
        return stream.head

    def _is_finished(self, request_id: int) -> None:
        self._unfinished.discard(request_id)
        if not self._unfinished and self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _leave(self, request_id: int) -> Stream | None:
        self._is_finished(request_id)
        stream = self._streams.pop(request_id, None)
        if stream is not None:
            del self._ids[stream.wire_id]
            self._held_bytes -= stream.held_bytes
        return stream

    def _find(self, wire_id: int) -> Stream | None:
        request_id = self._ids.get(wire_id)
        return None if request_id is None else self._streams[request_id]

    def _write(
        self, request_id: int, data: bytes, *, end: bool, text: bool
    ) -> asyncio.Future[None] | None:
        stream = self._streams.get(request_id)
        if stream is None:
            return None
        may_go_on = self._session.write(stream.wire_id, data, end=end, now=monotonic(), text=text)
        self._flush_soon()
        return None if may_go_on else stream.wait_to_write()

    def _read(self, stream: Stream, size: int, credit: int) -> None:
        self._held_bytes -= size
        if credit:
            self._session.take(stream.wire_id, credit, monotonic())
            self._flush_soon()

    def _hold(self, size: int) -> None:
        self._held_bytes += size
        if self._held_bytes <= MAX_HELD_BYTES:
            return
        request_id = max(self._streams, key=lambda one: self._streams[one].held_bytes)
        stream = self._streams[request_id]
        sentence = "The answer was read too slowly."
        if isinstance(stream, Socket):
            events = self._session.close_socket(stream.wire_id, _BROKEN, monotonic())
        else:
            events = self._session.cancel(stream.wire_id, sentence, monotonic())
        self._tell(events)
        stream.fail(BadGateway(sentence))


def _http(request: PluginRequest) -> HttpRequest:
    path, _, query = request.target.partition("?")
    return HttpRequest(
        method=request.method,
        path=path,
        query=query,
        headers=request.headers,
        body=request.body,
        user=request.user,
        role=request.role,
    )


def _failure(failed: told.Failed) -> ToruError:
    match failed.status:
        case 503:
            return Unavailable(failed.sentence, code="plugin_busy")
        case 504:
            return DeadlineExceeded(failed.sentence)
        case _:
            return BadGateway(failed.sentence)
