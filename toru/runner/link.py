"""The hub's connection: one at a time, the newest counts, and the runner never waits for it.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import socket

from toru.runner.loop import READ, WRITE, Loop
from toru.wire.frames import DataFrame, FrameDecoder, FrameError, encode_json

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_UNSENT_BYTES = 8 * 1024 * 1024
QUIET_UNSENT_BYTES = 256 * 1024
_MAX_REQUEST_BYTES = 4 * 1024 * 1024
_READ_BYTES = 64 * 1024
_SEND_BYTES = 256 * 1024


class HubLink:
    """Listens for the hub and speaks frames with it.

    A hub that does not read gets ``MAX_UNSENT_BYTES`` buffered; over that the connection is
    dropped, and the hub connects again and asks for the list.

    Args:
        loop: which watches the sockets.
        listener: a listening, non-blocking socket.
        on_message: takes each JSON message.
        on_change: called after a hub came or went.
        on_drained: called when the buffer has become small again.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        *,
        on_message: Callable[[dict[str, object]], None],
        on_change: Callable[[], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._on_message = on_message
        self._on_change = on_change
        self._on_drained = on_drained
        self._connection: socket.socket | None = None
        self._decoder = FrameDecoder()
        self._unsent = bytearray()
        self._was_busy = False
        self._writing = False
        self.greeted = False
        loop.watch(listener.fileno(), READ, self._on_connect)

    @property
    def connected(self) -> bool:
        """Whether a hub is there, greeted or not."""
        return self._connection is not None

    @property
    def busy(self) -> bool:
        """Whether so much is unsent that what can wait should."""
        return len(self._unsent) > QUIET_UNSENT_BYTES

    def send(self, message: dict[str, object]) -> None:
        """Send a message to a hub that has said hello; otherwise it is dropped."""
        self.send_frame(encode_json(message))

    def send_frame(self, frame: bytes) -> None:
        """Send an encoded frame to a hub that has said hello; otherwise it is dropped."""
        connection = self._connection
        if connection is None or not self.greeted:
            return
        self._unsent += frame
        if len(self._unsent) == len(frame):
            self._flush()
        elif len(self._unsent) > MAX_UNSENT_BYTES:
            self.drop()
        self._was_busy = self._was_busy or self.busy

    def drop(self) -> None:
        """Close the connection to the hub, if there is one."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._loop.unwatch(connection.fileno())
        connection.close()
        self._unsent.clear()
        self._was_busy = self._writing = self.greeted = False
        self._on_change()

    def close(self) -> None:
        """Send what goes without waiting, and listen no more."""
        self._flush()
        self.drop()
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()

    def _on_connect(self, _events: int) -> None:
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return
        self.drop()
        connection.setblocking(False)
        self._connection = connection
        self._decoder = FrameDecoder(max_json_bytes=_MAX_REQUEST_BYTES)
        self._loop.watch(connection.fileno(), READ, self._on_ready)
        self._on_change()

    def _on_ready(self, events: int) -> None:
        connection = self._connection
        if events & WRITE:
            self._flush()
        if events & READ and connection is not None and connection is self._connection:
            self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        fault = None
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            frames, fault = error.frames, error
        for frame in frames:
            if self._connection is not connection:
                return
            if isinstance(frame, DataFrame):
                fault = FrameError("The runner takes no data frames.")
                break
            self._on_message(frame)
        if fault is not None and self._connection is connection:
            self.send({"type": "error", "code": "bad_frame", "message": str(fault)})
            self.drop()

    def _flush(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            while self._unsent:
                with memoryview(self._unsent) as view:
                    count = connection.send(view[:_SEND_BYTES])
                del self._unsent[:count]
        except BlockingIOError:
            pass
        except OSError:
            self.drop()
            return
        self._watch_writing(connection)
        if self._was_busy and not self.busy:
            self._was_busy = False
            self._on_drained()

    def _watch_writing(self, connection: socket.socket) -> None:
        writing = bool(self._unsent)
        if writing != self._writing:
            self._writing = writing
            events = READ | WRITE if writing else READ
            self._loop.watch(connection.fileno(), events, self._on_ready)
