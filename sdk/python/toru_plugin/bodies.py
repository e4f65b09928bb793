"""A request's body: whole, or piece by piece as it comes.

Runs on: bodies on the loop; `BodyStream` and `BodyReader` also on the threads of plain handlers.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Protocol

from .errors import HttpError, PluginError

if TYPE_CHECKING:
    from .host import Host


class Body(Protocol):
    """Where the bytes of a body come from."""

    async def read(self) -> bytes:
        """Return the next piece; empty at the end. Raises `Disconnected` when the end is lost."""


class WholeBody:
    """A body that is there already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes:
        """Return all of it, then nothing."""
        content, self._content = self._content, b""
        return content


class LimitedBody:
    """A body that may not be longer than a limit.

    Args:
        body: the body.
        max_bytes: its limit.
    """

    def __init__(self, body: Body, max_bytes: int) -> None:
        self._body = body
        self._max_bytes = max_bytes
        self._left = max_bytes

    async def read(self) -> bytes:
        """Return the next piece; raises `HttpError` with 413 when it goes over the limit."""
        piece = await self._body.read()
        self._left -= len(piece)
        if self._left < 0:
            raise too_long(self._max_bytes)
        return piece


def too_long(max_bytes: int) -> HttpError:
    """Return what answers a body that is too long."""
    return HttpError(413, f"The body is longer than {max_bytes} bytes.", "too_large")


async def collect(body: Body) -> bytes:
    """Return all of a body."""
    pieces: list[bytes] = []
    while True:
        piece = await body.read()
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


class BodyStream:
    """What `Request.stream` returns: the pieces of a body, for ``async for`` or plain ``for``."""

    def __init__(self, body: Body, host: Host | None) -> None:
        self._body = body
        self._host = host

    def __aiter__(self) -> BodyStream:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._body.read()
        if not piece:
            raise StopAsyncIteration
        return piece

    def __iter__(self) -> BodyStream:
        return self

    def __next__(self) -> bytes:
        if self._host is None:
            raise PluginError("a body is read while its request is handled")
        piece: bytes = self._host.wait(self._body.read())
        if not piece:
            raise StopIteration
        return piece


class BodyReader(io.RawIOBase):
    """What is under `Request.reader`: a body as an unbuffered file, on a thread."""

    def __init__(self, stream: BodyStream) -> None:
        self._stream = stream
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        if not self._rest:
            self._rest = memoryview(next(self._stream, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
