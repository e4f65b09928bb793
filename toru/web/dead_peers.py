"""Closes connections whose other end has gone without a word while bytes were on their way to it.

An idle connection is looked after by the kernel's keepalive. While sent bytes wait to be
acknowledged the kernel tries for about a quarter of an hour instead (``tcp_retries2``, tcp(7)), and
all that time the connection has its actor and what it watches. A peer that is there and merely does
not read acknowledges what it got, and answers the probes of its closed window; it is left alone.

Runs on: the event loop. Only Linux says what is needed (``TCP_INFO``); elsewhere nothing is closed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import weakref

from tornado.iostream import IOStream

SILENCE_S = 35.0
"""How long an answer may be owed. A peer that owes one for longer at two looks, `INTERVAL_S` apart,
is gone: it is closed 35 to 55 s after it went. One that had stopped reading long before is probed
only every two minutes, and found after that."""

INTERVAL_S = 10.0

_INFO = struct.Struct("=8B13I")
"""The beginning of struct tcp_info (linux/tcp.h), up to ``tcpi_last_ack_recv``."""

_PROBES = 3
_UNACKED = 8 + 4
_LAST_DATA_SENT_MS = 8 + 9
_LAST_ACK_RECV_MS = 8 + 12


class DeadPeers:
    """Looks at the connections again and again, as long as there are any."""

    def __init__(self, *, silence_s: float = SILENCE_S, interval_s: float = INTERVAL_S) -> None:
        """Create a watch over no connection.

        Args:
            silence_s: seconds without an acknowledgement after which a peer is suspected.
            interval_s: seconds between two looks.
        """
        self._silence_s = silence_s
        self._interval_s = interval_s
        self._streams: weakref.WeakSet[IOStream] = weakref.WeakSet()
        self._suspects: weakref.WeakSet[IOStream] = weakref.WeakSet()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_resting(self) -> bool:
        """Whether no look is due, because there is nothing to look at."""
        return self._timer is None

    def watch(self, stream: IOStream) -> None:
        """Look after a connection until it is closed."""
        if not hasattr(socket, "TCP_INFO") or stream.socket.family == socket.AF_UNIX:
            return
        self._streams.add(stream)
        if self._timer is None:
            self._look_again()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._streams.clear()

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval_s, self._look)

    def _look(self) -> None:
        self._timer = None
        for stream in list(self._streams):
            if stream.closed():
                self._streams.discard(stream)
            elif not _is_silent(stream.socket, self._silence_s):
                self._suspects.discard(stream)
            elif stream in self._suspects:
                stream.close()
            else:
                self._suspects.add(stream)
        if self._streams:
            self._look_again()


def _is_silent(connection: socket.socket, silence_s: float) -> bool:
    """Return whether a peer has answered neither data nor a probe for so long.

    One that does not read answers what is sent again, however seldom that is, and probes too.
    """
    packed = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    info: tuple[int, ...] = _INFO.unpack(packed)
    silent_ms = info[_LAST_ACK_RECV_MS]
    owes_ack = info[_UNACKED] > 0 and silent_ms > info[_LAST_DATA_SENT_MS]
    return (owes_ack or info[_PROBES] > 0) and silent_ms >= silence_s * 1000
