"""A request's body: whole, or piece by piece as it comes.

Runs on: bodies on the loop; `BodyStream` and `BodyReader` also on the threads of plain handlers.
"""

from __future__ import annotations

import asyncio
import io
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .errors import Disconnected, HttpError, PluginError
from .frames import FLAG_END

if TYPE_CHECKING:
    from .credit import Allowance
    from .host import Host

READER_BUFFER_BYTES = 64 * 1024


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
            sentence = f"The body is longer than {self._max_bytes} bytes."
            raise HttpError(413, sentence, "too_large")
        return piece


async def collect(body: Body) -> bytes:
    """Return all of a body."""
    pieces = []
    while True:
        piece = await body.read()
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


class Fragment(NamedTuple):
    """Bytes of one data frame."""

    data: bytes
    flags: int


class Inbox:
    """What came in data frames and was not read; as much as the credit allows.

    Args:
        allowance: the stream's credit, which is given back as it is read.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._fragments: deque[Fragment] = deque()
        self._came = asyncio.Event()
        self._lost: Disconnected | None = None
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many fragments are there."""
        return len(self._fragments)

    def put(self, data: bytes, flags: int) -> None:
        """Take a frame.

        Raises:
            FrameError: it is beyond the credit.
        """
        self._allowance.spend(len(data))
        if self._lost is None:
            self._fragments.append(Fragment(data, flags))
            self._came.set()

    def lose(self, error: Disconnected) -> None:
        """Have nothing more come; what is there can still be read."""
        self._lost = self._lost or error
        self._came.set()

    async def next(self) -> Fragment:
        """Wait for a fragment; raises `Disconnected` when none comes any more."""
        while not self._fragments:
            if self._lost is not None:
                raise Disconnected(self._lost.code, str(self._lost))
            self._came.clear()
            await self._came.wait()
        fragment = self._fragments.popleft()
        self._allowance.take(len(fragment.data))
        return fragment

    async def read(self) -> bytes:
        """Return the next piece of a body; empty at its end."""
        while not self._ended:
            data, flags = await self.next()
            self._ended = bool(flags & FLAG_END)
            if data:
                return data
        return b""


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
