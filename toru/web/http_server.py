"""The HTTP server: limits on headers, bodies and time, and JSON also where Tornado is terse.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any

import msgspec
from tornado.concurrent import Future
from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from toru.errors import RequestTimeout, TooLarge, ToruError
from toru.web.base import Problem
from toru.web.dead_peers import DeadPeers
from toru.web.headers import NO_CONTENT_POLICY, fixed_headers

logger = logging.getLogger("toru.web")

HEADER_LIMIT_BYTES = 64 * 1024
HEADER_TIMEOUT_S = 30.0
"""Also how long a connection may be idle between two requests."""

LINGER_S = 2.0
LINGER_BYTES = 4 << 20
"""After a refusal so much of the body is read and thrown away, so that the client, which may be
sending still, gets to read the answer instead of a reset (RFC 9112, 9.6)."""

CONNECTIONS_LIMIT = 8192

KEEPALIVE_IDLE_S = 20
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES = 3

_BARE_REFUSAL = b"HTTP/1.1 400 Bad Request\r\n\r\n"


def refusal(error: ToruError, *, hsts: bool = False) -> tuple[HTTPHeaders, bytes]:
    """Return the headers and body of a refusal that no handler writes; the connection ends."""
    body = msgspec.json.encode(Problem(error.sentence, error.code))
    fields = fixed_headers(hsts=hsts) | {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Content-Security-Policy": NO_CONTENT_POLICY,
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    return HTTPHeaders(fields), body


def _raw_refusal(status: int, sentence: str, code: str) -> bytes:
    headers, body = refusal(ToruError(sentence, code=code))
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.get_all()]
    return "\r\n".join([*lines, "", ""]).encode() + body


_MALFORMED = _raw_refusal(400, "The request is not well-formed HTTP.", "bad_request")
_LONG_HEADER = _raw_refusal(431, "The request's headers are too long.", "headers_too_long")


class HubStream(IOStream):
    """A connection that says why where Tornado's own would just close."""

    _reads_header = False

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read a request's headers; Tornado reads nothing else this way."""
        self._reads_header = True
        return super().read_until_regex(regex, max_bytes)

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read the head of a chunk."""
        self._reads_header = False
        return super().read_until(delimiter, max_bytes)

    def write(self, data: bytes | memoryview) -> Future[None]:
        """Write; Tornado's refusal of malformed HTTP is put into words."""
        return super().write(_MALFORMED if data == _BARE_REFUSAL else data)

    def close(self, exc_info: Any = False) -> None:
        """Close; when a limit was exceeded, say so first."""
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed():
            with contextlib.suppress(OSError):
                self.socket.send(_LONG_HEADER if self._reads_header else _MALFORMED)
                self.socket.shutdown(socket.SHUT_WR)
                self._drain()
        super().close(exc_info)

    def _drain(self) -> None:
        """Take what has arrived, so that the close is no reset."""
        for _ in range(LINGER_BYTES // 65536):
            if not self.socket.recv(65536):
                return


class HubServer(HTTPServer):
    """Serves an application with Toru's limits.

    Attributes:
        dead_peers: closes connections that were cut while bytes were on their way.
    """

    def initialize(  # type: ignore[override]  # Tornado's takes many more settings
        self, request_callback: HTTPServerConnectionDelegate, **limits: Any
    ) -> None:
        """Take the application; called by Tornado's constructor.

        Args:
            request_callback: the application.
            limits: ``idle_connection_timeout`` in seconds and other settings of Tornado's.
        """
        settings = {
            "max_header_size": HEADER_LIMIT_BYTES,
            "idle_connection_timeout": HEADER_TIMEOUT_S,
            "max_body_size": sys.maxsize,  # the application's `BodyGuard` has the limits
            "max_buffer_size": 16 << 20,
        }
        self.dead_peers = DeadPeers()
        super().initialize(request_callback, **(settings | limits))

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a new connection."""
        if len(self._connections) >= CONNECTIONS_LIMIT:
            logger.warning("There are %d connections; one more is refused.", CONNECTIONS_LIMIT)
            stream.close()
            return
        _keep_alive(stream.socket)
        own = HubStream(
            stream.socket,
            max_buffer_size=self.max_buffer_size,
            read_chunk_size=self.read_chunk_size,
        )
        self.dead_peers.watch(own)
        super().handle_stream(own, address)

    async def close_all_connections(self) -> None:
        """Close every connection."""
        self.dead_peers.stop()
        await super().close_all_connections()


def _keep_alive(connection: socket.socket) -> None:
    """Have the kernel probe an idle connection, so that one that was cut ends within 50 s."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # macOS's name
    for option, value in (
        (idle, KEEPALIVE_IDLE_S),
        (getattr(socket, "TCP_KEEPINTVL", None), KEEPALIVE_INTERVAL_S),
        (getattr(socket, "TCP_KEEPCNT", None), KEEPALIVE_PROBES),
    ):
        if option is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


class UnderWay:
    """The requests whose answer is not finished."""

    def __init__(self) -> None:
        self._requests: set[object] = set()
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._requests)

    def enter(self, request: object) -> None:
        """A request has begun."""
        self._requests.add(request)
        self._none.clear()

    def leave(self, request: object) -> None:
        """A request is answered, or its client has gone; may be said twice."""
        self._requests.discard(request)
        if not self._requests:
            self._none.set()

    async def wait(self, limit_s: float) -> None:
        """Return when there is none, ``limit_s`` seconds from now at the latest."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), limit_s)


class BodyGuard(HTTPMessageDelegate):
    """Passes a request's body on as long as it is neither too long nor too slow."""

    def __init__(
        self,
        delegate: HTTPMessageDelegate,
        connection: HTTP1Connection,
        *,
        is_head: bool,
        limit: int | None,
        timeout_s: float | None,
        idle_s: float | None,
        hsts: bool,
    ) -> None:
        """Create a guard.

        Args:
            delegate: takes the request.
            connection: where it comes from.
            is_head: whether the answer must have no body.
            limit: the most bytes that the body may have.
            timeout_s: seconds that all of the body may take.
            idle_s: seconds that may pass without any of it, while the delegate takes it.
            hsts: whether a refusal asks for HTTPS.
        """
        self._delegate = delegate
        self._connection = connection
        self._is_head = is_head
        self._limit = limit
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._hsts = hsts
        self._received = 0
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Refuse a body that announces itself as too long, without reading it."""
        if self._exceeds(_declared_length(headers)):
            headers.pop("Expect", None)  # or Tornado would invite the body
            return self._refuse(self._too_large())
        has_body = "Content-Length" in headers or "Transfer-Encoding" in headers
        if has_body:
            self._start_timer(self._timeout_s or self._idle_s)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Count and pass on; what follows a refusal is thrown away."""
        self._received += len(chunk)
        if self._refused:
            if self._received > LINGER_BYTES:
                self._connection.close()
            return None
        if self._exceeds(self._received):
            return self._refuse(self._too_large())
        taken = self._delegate.data_received(chunk)
        return taken if self._idle_s is None else self._go_on_when(taken)

    def finish(self) -> None:
        """The whole body is there."""
        self._stop_timer()
        if self._refused:
            self._connection.finish()
            self._connection.close()
        else:
            self._delegate.finish()

    def on_connection_close(self) -> None:
        """The client has gone."""
        self._stop_timer()
        if not self._refused:
            self._delegate.on_connection_close()

    def _exceeds(self, length: int) -> bool:
        return self._limit is not None and length > self._limit

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body may have at most {self._limit:,} bytes.")

    async def _go_on_when(self, taken: Awaitable[None] | None) -> None:
        """Count the client's idle time from when the delegate has taken what there was."""
        self._stop_timer()
        if taken is not None:
            await taken
        if not self._refused:
            self._start_timer(self._idle_s)

    def _start_timer(self, seconds: float | None) -> None:
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._too_slow, seconds)

    def _too_slow(self, seconds: float) -> None:
        if not self._refused:
            self._delegate.on_connection_close()
            sentence = f"The body did not come within {seconds:g} seconds."
            self._waiting = asyncio.ensure_future(self._refuse(RequestTimeout(sentence)))

    async def _refuse(self, error: ToruError) -> None:
        self._refused = True
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._connection.close)
        headers, body = refusal(error, hsts=self._hsts)
        start = ResponseStartLine("HTTP/1.1", error.status, HTTPStatus(error.status).phrase)
        with contextlib.suppress(StreamClosedError, OSError):
            await self._connection.write_headers(start, headers, b"" if self._is_head else body)
            self._connection.stream.socket.shutdown(socket.SHUT_WR)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _declared_length(headers: HTTPHeaders) -> int:
    text = headers.get("Content-Length", "0").partition(",")[0].strip()
    if not text.isascii() or not text.isdigit():
        return 0  # Tornado refuses it
    return int(text) if len(text) < 19 else sys.maxsize
