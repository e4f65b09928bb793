"""One connection from the core: cuts the bytes into frames and finds out which protocol it is.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from .errors import FrameError
from .frames import MAX_JSON_BYTES_V2, Data, Frame, FrameDecoder, Message
from .reports import write_line

if TYPE_CHECKING:
    from .server import Server

FRAME_TIMEOUT_S = 10.0
"""A frame that has begun must be whole within this time."""


class Session(Protocol):
    """What is spoken over a connection."""

    def received(self, message: Message) -> None:
        """Handle a message."""

    def received_data(self, data: Data) -> None:
        """Handle raw bytes; raises `FrameError` where there must be none."""

    def broken(self, error: FrameError) -> None:
        """Say that the other side broke the framing, where there is a way to say it."""

    def ended(self) -> bool:
        """Handle the end of what the core sends; return whether there is still to be answered."""

    def lost(self) -> None:
        """Handle the end of the connection."""


class Connection(asyncio.Protocol):
    """A connection that the core has opened; its first message decides on the session."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._decoder = FrameDecoder()
        self._session: Session | None = None
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.closed = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """End."""
        self.closed = True
        self._cancel_timer()
        self._writable.set()
        self._server.connections.discard(self)
        if self._session is not None:
            self._session.lost()
        self.lost.set_result(None)

    def eof_received(self) -> bool:
        """Keep the way back open while there is something to answer."""
        self._cancel_timer()
        return self._session is not None and self._session.ended()

    def pause_writing(self) -> None:
        """Have `drain` wait: the core does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drain` go on."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Handle the messages that these bytes complete."""
        self._decoder.feed(data)
        try:
            self._take_frames()
        except FrameError as error:
            self._refuse(error)

    def _take_frames(self) -> None:
        while not self.closed:
            frame = self._decoder.next()
            if frame is None:
                break
            self._cancel_timer()
            self._dispatch(frame)
        if self._decoder.pending and self._timer is None and not self.closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FRAME_TIMEOUT_S, self._too_slow)

    def _dispatch(self, frame: Frame) -> None:
        if isinstance(frame, Data):
            if self._session is None:
                raise FrameError("BAD_FRAME", "the first message must be JSON")
            self._session.received_data(frame)
            return
        if self._session is None:
            self._session = self._server.session_for(frame, self)
        self._session.received(frame)

    def limit_to_version_2(self) -> None:
        """Take no longer messages than version 2 allows."""
        self._decoder.max_json_bytes = MAX_JSON_BYTES_V2

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(FrameError("BAD_FRAME", f"a frame was not whole within {FRAME_TIMEOUT_S} s"))

    def _refuse(self, error: FrameError) -> None:
        write_line("error", f"The core's connection is closed: {error}", {})
        if self._session is not None:
            self._session.broken(error)
        self.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send(self, data: bytes) -> None:
        """Send bytes; nothing happens when the connection is gone."""
        if not self.closed and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the core has read enough."""
        await self._writable.wait()

    def close(self) -> None:
        """Close the connection when what was sent is out; take nothing more from it."""
        self.closed = True
        self._cancel_timer()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
