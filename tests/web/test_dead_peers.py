"""Connections whose other end has gone without a word while bytes were on their way to it.

Runs on: the test's event loop; real sockets, of which one is made deaf by a filter in the kernel.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections.abc import Callable

import pytest
from tornado.iostream import IOStream

from toru.web.dead_peers import DeadPeers

pytestmark = [
    pytest.mark.gen_test,
    pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux has TCP_INFO"),
]

SILENCE_S = 2.0
"""More than the half second in which a kernel answers only the first of several probes."""
INTERVAL_S = 0.3
SO_ATTACH_FILTER = 26  # socket(7); Python has no name for it


def make_deaf(connection: socket.socket) -> None:
    """Have the kernel drop all that arrives for a socket, as a cut cable does."""
    drop_all = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    program = struct.pack("@HP", 1, ctypes.addressof(drop_all))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


class Pair:
    """A connection: our end as a stream, and the peer's socket, which nobody reads."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.peer = socket.create_connection(listener.getsockname())
            own, _ = listener.accept()
        own.setblocking(False)
        self.stream = IOStream(own, max_write_buffer_size=1 << 30)

    def pour(self) -> None:
        """Write far more than the kernel takes."""
        self.stream.write(bytes(64 << 20)).add_done_callback(lambda done: done.exception())

    def close(self) -> None:
        self.stream.close()
        self.peer.close()


async def until(condition: Callable[[], bool], limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_cut_peer_is_found_and_one_that_only_does_not_read_is_left_alone() -> None:
    watch = DeadPeers(silence_s=SILENCE_S, interval_s=INTERVAL_S)
    cut, cut_when_full, stalled, idle = (Pair() for _ in range(4))
    pairs = (cut, cut_when_full, stalled, idle)
    for pair in pairs:
        watch.watch(pair.stream)
    stalled.pour()
    cut_when_full.pour()
    await until(cut_when_full.stream.writing, 5)
    make_deaf(cut.peer)
    make_deaf(cut_when_full.peer)
    cut.stream.write(b"a few bytes").add_done_callback(lambda done: done.exception())
    began = asyncio.get_running_loop().time()
    await until(lambda: cut.stream.closed() and cut_when_full.stream.closed(), 15)
    assert asyncio.get_running_loop().time() - began >= SILENCE_S
    with pytest.raises(TimeoutError):  # longer than a wrong verdict would take
        await until(lambda: stalled.stream.closed() or idle.stream.closed(), SILENCE_S)
    assert stalled.peer.recv(1 << 20)
    for pair in pairs:
        pair.close()
    watch.stop()


async def test_a_watch_over_nothing_rests() -> None:
    watch = DeadPeers(silence_s=SILENCE_S, interval_s=0.01)
    pair = Pair()
    watch.watch(pair.stream)
    pair.close()
    await until(lambda: watch.is_resting, 5)
    again = Pair()
    watch.watch(again.stream)
    assert not watch.is_resting
    again.close()
    watch.stop()
    assert watch.is_resting
