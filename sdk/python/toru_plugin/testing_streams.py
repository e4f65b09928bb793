"""The browser's end of streamed answers and WebSockets, for the tests of a plugin.

Runs on: the test's loop.
"""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Union

from .errors import Disconnected, PluginError
from .events import ServerEvent
from .headers import Headers
from .sockets import ABNORMAL, GOING_AWAY, NORMAL, TOO_BIG, SocketMessage, WebSocket

if TYPE_CHECKING:
    from .messages import Request, Response
    from .pieces import Pieces

MAX_WAITING_MESSAGES = 16
LEAVE_TIMEOUT_S = 5.0

Sent = Union[bytes, Any]
"""A body: bytes, or an asynchronous or plain iterable of bytes."""


class SentBody:
    """A body that comes from an iterable of the test, as the handler reads it."""

    def __init__(self, content: Any) -> None:
        pieces = [content] if isinstance(content, bytes) else content
        self._pieces = pieces if hasattr(pieces, "__aiter__") else _each(pieces)
        self._iterator: Any = self._pieces.__aiter__()

    async def read(self) -> bytes:
        """Return the next piece."""
        while True:
            try:
                piece = await self._iterator.__anext__()
            except StopAsyncIteration:
                return b""
            if piece:
                return bytes(piece)


async def _each(pieces: Any) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class Answer(NamedTuple):
    """What the plugin answered; ``content`` is empty when there was no body."""

    status: int
    headers: Headers
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    def json(self) -> Any:
        """Return the body as JSON."""
        return json_module.loads(self.content)


Asked = Callable[[], Awaitable["tuple[Response, Pieces | None]"]]


class StreamedAnswer:
    """An answer whose body is read as it comes: ``async with test.stream("GET", "/x") as answer``.

    At the end of the ``with`` the browser leaves.

    Attributes:
        status: its status.
        headers: its headers.
    """

    def __init__(self, ask: Asked) -> None:
        self._ask = ask
        self._pieces: Pieces | None = None
        self._whole: list[bytes] = []

    async def __aenter__(self) -> StreamedAnswer:
        response, self._pieces = await self._ask()
        self.status, self.headers = response.status, response.headers
        self._whole = [response.content()] if response.content() else []
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pieces is not None:
            await self._pieces.close()

    def __aiter__(self) -> StreamedAnswer:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece; what fails in the plugin is raised here."""
        piece = await self._pieces.next() if self._pieces is not None else None
        if piece is None and self._whole:
            piece = self._whole.pop()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Yield the events of an event stream, with their data as text; comments are left out."""
        rest = b""
        async for piece in self:
            *blocks, rest = (rest + piece).split(b"\n\n")
            for block in blocks:
                event = _event(block.decode())
                if event is not None:
                    yield event


def _event(block: str) -> ServerEvent | None:
    fields: dict[str, list[str]] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        if name:
            fields.setdefault(name, []).append(value[1:] if value.startswith(" ") else value)
    if not fields:
        return None
    last = {name: values[-1] for name, values in fields.items()}
    data = "\n".join(fields["data"]) if "data" in fields else None
    retry_ms = int(last["retry"]) if "retry" in last else None
    return ServerEvent(data, last.get("event"), last.get("id"), retry_ms)


class Refused(PluginError):
    """The plugin has not taken a WebSocket.

    Attributes:
        answer: what it answered instead.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the WebSocket was refused: {answer.status} {answer.text}")
        self.answer = answer


_Message = tuple[bytes, bool]


class _MemoryWire:
    """Both ends of a WebSocket."""

    def __init__(self) -> None:
        self.to_plugin: asyncio.Queue[_Message | None] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self.to_browser: asyncio.Queue[_Message | None] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self.accepted = asyncio.Event()
        self.closed = asyncio.Event()
        self.code: int | None = None
        self.on_lost: Callable[[int], None] = lambda _: None

    def accept(self) -> None:
        self.accepted.set()

    async def receive(self, max_bytes: int) -> _Message:
        message = await self._unless_closed(self.to_plugin.get(), self.to_plugin)
        if len(message[0]) > max_bytes:
            self.close(TOO_BIG)
            raise Disconnected(TOO_BIG, f"a message is longer than {max_bytes} bytes")
        found: _Message = message
        return found

    async def send(self, data: bytes, *, text: bool) -> None:
        await self._unless_closed(self.to_browser.put((data, text)), None)

    def close(self, code: int) -> None:
        if self.code is None:
            self.code = code
            self.closed.set()
            self.on_lost(code)

    async def taken(self) -> _Message:
        """Return the next message for the browser."""
        found: _Message = await self._unless_closed(self.to_browser.get(), self.to_browser)
        return found

    async def given(self, message: _Message) -> None:
        """Send a message to the plugin."""
        await self._unless_closed(self.to_plugin.put(message), None)

    async def _unless_closed(self, work: Any, waiting: asyncio.Queue[Any] | None) -> Any:
        """Do something that ends when the WebSocket is closed; what waits can still be had."""
        doing = asyncio.ensure_future(work)
        closing = asyncio.ensure_future(self.closed.wait())
        try:
            await asyncio.wait({doing, closing}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done() and (waiting is not None or not closing.done()):
                return doing.result()
            raise Disconnected(self.code or ABNORMAL, "the WebSocket is closed")
        finally:
            for task in (doing, closing):
                task.cancel()
            await asyncio.gather(doing, closing, return_exceptions=True)


class TestSocket:
    """The browser's end of a WebSocket: ``async with test.websocket("/chat") as socket``.

    At the end of the ``with`` it is closed with 1001, as by a browser that leaves, and the
    handler has five seconds to end.
    """

    __test__ = False  # for pytest: no test

    def __init__(
        self,
        request: Request,
        start: Callable[[], Awaitable[None]],
        serve: Callable[[WebSocket], Awaitable[Response | None]],
    ) -> None:
        self._request = request
        self._start = start
        self._serve = serve
        self._wire = _MemoryWire()

    @property
    def close_code(self) -> int | None:
        """Why it is closed; None while it is open."""
        return self._wire.code

    async def __aenter__(self) -> TestSocket:
        await self._start()
        socket = WebSocket(self._request, self._wire)
        self._wire.on_lost = socket.lose
        self._serving = asyncio.ensure_future(self._serve(socket))
        accepting = asyncio.ensure_future(self._wire.accepted.wait())
        await asyncio.wait({self._serving, accepting}, return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        if not self._wire.accepted.is_set():
            refusal = self._serving.result()
            if refusal is not None:
                raise Refused(Answer(refusal.status, refusal.headers, refusal.content()))
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wire.close(GOING_AWAY)
        done, _ = await asyncio.wait({self._serving}, timeout=LEAVE_TIMEOUT_S)
        if not done:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        elif error is None:
            self._serving.result()

    async def send(self, message: SocketMessage) -> None:
        """Send a message; raises `Disconnected` when the plugin has closed it."""
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        await self._wire.given((data, is_text))

    async def receive(self, timeout_s: float = 5.0) -> SocketMessage:
        """Return the next message.

        Raises:
            Disconnected: the plugin has closed it.
            TimeoutError: none came within ``timeout_s`` seconds.
        """
        data, is_text = await asyncio.wait_for(self._wire.taken(), timeout_s)
        return data.decode() if is_text else data

    async def close(self, code: int = NORMAL) -> None:
        """Close it."""
        self._wire.close(code)

    def __aiter__(self) -> TestSocket:
        return self

    async def __anext__(self) -> SocketMessage:
        try:
            return await self.receive()
        except Disconnected:
            raise StopAsyncIteration from None
