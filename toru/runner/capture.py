"""Reads what a run writes and hands it to its store or to the hub.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import contextlib
import os

from toru.runner import platform
from toru.runner.loop import READ, Loop
from toru.runner.store_format import STDERR, STDOUT
from toru.wire.frames import FLAG_TEXT, MAX_DATA_BYTES, encode_data

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable

    from toru.runner.relay_rate import RelayRate
    from toru.runner.store_writer import OutputWriter

BUSY_PIPE_BYTES = 1024 * 1024
_FULL_PIPE_BYTES = 64 * 1024
_LAST_READS = 16
_buffer = bytearray(256 * 1024)
_view = memoryview(_buffer)


class StoreSink:
    """Appends output to a run's store."""

    __slots__ = ("_writer",)
    wants_big_pipes = True

    def __init__(self, writer: OutputWriter) -> None:
        self._writer = writer

    @property
    def size(self) -> int:
        """Every byte that came."""
        return self._writer.size

    def write(self, stream: int, data: memoryview) -> None:
        """Append bytes; never fails."""
        self._writer.append(stream, data)

    def close(self) -> None:
        """Close the store."""
        self._writer.close()


class RelaySink:
    """Sends output to the hub as data frames; what is over the limit is counted and dropped.

    Args:
        send: takes an encoded frame; it may drop it when no hub is there.
        relay_id: the id in the frames.
        limit_bytes: the most bytes sent in all, or None.
        rate: how fast that may be, or None.

    Attributes:
        rate: the same; the caller pauses the capture by it.
        size: every byte that came.
    """

    __slots__ = ("_left", "_relay_id", "_send", "rate", "size")
    wants_big_pipes = False

    def __init__(
        self,
        send: Callable[[bytes], None],
        relay_id: int,
        limit_bytes: int | None,
        rate: RelayRate | None = None,
    ) -> None:
        self._send = send
        self._relay_id = relay_id
        self._left = limit_bytes
        self.rate = rate
        self.size = 0

    def write(self, stream: int, data: memoryview) -> None:
        """Send bytes on."""
        self.size += len(data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        flags = FLAG_TEXT if stream == STDERR else 0
        for start in range(0, len(data), MAX_DATA_BYTES):
            part = bytes(data[start : start + MAX_DATA_BYTES])
            if self.rate is not None:
                self.rate.spend(part)
            self._send(encode_data(self._relay_id, part, flags))

    def close(self) -> None:
        """Nothing is held."""


class Capture:
    """The reading ends of a run's two pipes.

    Args:
        loop: which watches them.
        stdout: descriptor, non-blocking; owned from now on.
        stderr: likewise.
        sink: where the bytes go.
        budget: tells how many bytes one turn may read, so that runs share the thread fairly.
        on_output: called after bytes came.
        on_closed: called when both pipes have come to their end.
    """

    __slots__ = ("_budget", "_enlarged", "_loop", "_on_closed", "_on_output", "_streams", "sink")

    def __init__(
        self,
        loop: Loop,
        stdout: int,
        stderr: int,
        sink: StoreSink | RelaySink,
        *,
        budget: Callable[[], int],
        on_output: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._streams = {stdout: STDOUT, stderr: STDERR}
        self._enlarged: set[int] = set()
        self._budget = budget
        self._on_output = on_output
        self._on_closed = on_closed
        self.sink = sink
        self.resume()

    @property
    def open(self) -> bool:
        """Whether a pipe is still open."""
        return bool(self._streams)

    def inodes(self) -> frozenset[int]:
        """Return the inodes of the open pipes; both ends of a pipe have the same."""
        return frozenset(os.fstat(descriptor).st_ino for descriptor in self._streams)

    def pause(self) -> None:
        """Read no more for now: who writes will have to wait when the pipe is full."""
        for descriptor in self._streams:
            self._loop.unwatch(descriptor)

    def resume(self) -> None:
        """Read whenever there is something."""
        for descriptor in self._streams:
            self._watch(descriptor)

    def _watch(self, descriptor: int) -> None:
        self._loop.watch(descriptor, READ, lambda _events: self._on_readable(descriptor))

    def _on_readable(self, descriptor: int) -> None:
        left = self._budget()
        came = False
        while left > 0:
            count = self._read(descriptor)
            if count <= 0:
                break
            came = True
            left -= count
            if count < len(_buffer):
                break  # the pipe is empty, most likely: the next turn will tell
        if came:
            self._on_output()
        if not self._streams:
            self._on_closed()

    def _read(self, descriptor: int) -> int:
        """Read once; return the bytes that came, 0 at the end, -1 when there is nothing now."""
        try:
            count = os.readv(descriptor, [_buffer])
        except BlockingIOError:
            return -1
        except OSError:
            count = 0
        if count == 0:
            self._close(descriptor)
            return 0
        if (
            count >= _FULL_PIPE_BYTES
            and self.sink.wants_big_pipes
            and descriptor not in self._enlarged
        ):
            # Only busy pipes, because all of a user's pipes share one quota (pipe(7)).
            self._enlarged.add(descriptor)
            platform.enlarge_pipe(descriptor, BUSY_PIPE_BYTES)
        self.sink.write(self._streams[descriptor], _view[:count])
        return count

    def drain(self) -> None:
        """Read what is in the pipes now, without waiting for more, and close them."""
        for descriptor in tuple(self._streams):
            for _ in range(_LAST_READS):
                if self._read(descriptor) <= 0:
                    break
            self._close(descriptor)

    def close(self) -> None:
        """Close the pipes and the sink; twice does no harm."""
        for descriptor in tuple(self._streams):
            self._close(descriptor)
        self.sink.close()

    def _close(self, descriptor: int) -> None:
        if self._streams.pop(descriptor, None) is not None:
            self._enlarged.discard(descriptor)
            self._loop.unwatch(descriptor)
            with contextlib.suppress(OSError):
                os.close(descriptor)
