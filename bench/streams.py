"""Bodies and WebSockets that are streamed through the hub, beside a bare Tornado server.

Called as ``python -m bench.streams [--rounds N] [--held-s SECONDS]``. Exit code 1 when a budget is
missed: flat memory (the hub grows by less than 64 MiB while 100 MiB pass, by less than 8 MiB while
event streams are held for minutes, none of which loses an event), and a plugin that hears within
100 ms that a browser has left.

Runs on: a process of its own, which starts a hub with its runner and a plugin, and a bare server.
"""

from __future__ import annotations

import argparse
import http.client
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tests.support.streaming_plugin
from bench.common import Row, median, report
from tests.support.hub import HubProcess, wait_until
from tests.support.memory import Peak
from tests.support.plugin_files import Plugins

MIB = 1024 * 1024
SIZE = 100 * MIB
ROUNDS = 5
LEFT_BUDGET_MS = 100.0
GROWTH_BUDGET_MIB = 64.0
SOCKETS = 200
EVENT_STREAMS = 20
HELD_S = 150.0
HELD_GROWTH_BUDGET_MIB = 8.0
ROUTE = "/api/plugins/streaming"

_BARE = """
import asyncio, sys, tornado.httpserver, tornado.netutil, tornado.web

PIECE = bytes(65536)

@tornado.web.stream_request_body
class Handler(tornado.web.RequestHandler):
    def prepare(self):
        self.request.connection.set_max_body_size(1 << 30)
        self.size = 0
    def data_received(self, chunk):
        self.size += len(chunk)
    async def get(self, size):
        self.set_header("Content-Length", size)
        for _ in range(int(size) // len(PIECE)):
            self.write(PIECE)
            await self.flush()
    def post(self, size):
        self.finish({"bytes": self.size})

async def main():
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    application = tornado.web.Application([("/([0-9]*)", Handler)], log_function=lambda _: None)
    server = tornado.httpserver.HTTPServer(application, max_body_size=1 << 30)
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def bare_tornado() -> Iterator[int]:
    """Serve bare streams and yield the port."""
    with subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


@contextmanager
def hub_with_plugin() -> Iterator[HubProcess]:
    """Start a hub with a plugin that streams."""
    with (
        tempfile.TemporaryDirectory(prefix="toru-bench-") as folder,
        HubProcess(Path(folder)) as hub,
    ):
        plugins = Plugins(hub)
        plugins.write("streaming", Path(tests.support.streaming_plugin.__file__).read_bytes())
        plugins.ready("streaming")
        yield hub


def down(port: int, path: str, cookie: str) -> float:
    """Return the MiB a second of a download."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookie})
    answer = connection.getresponse()
    size = 0
    while piece := answer.read(MIB):
        size += len(piece)
    connection.close()
    if size != SIZE // 65536 * 65536:
        raise AssertionError(f"{size} bytes came of {SIZE}.")
    return size / MIB / (time.perf_counter() - began)


def up(port: int, path: str, cookie: str) -> float:
    """Return the MiB a second of an upload."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    pieces = (bytes(65536) for _ in range(SIZE // 65536))
    began = time.perf_counter()
    headers = {"Cookie": cookie, "Content-Length": str(SIZE)}
    connection.request("POST", path, pieces, headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise AssertionError(body)
    return SIZE / MIB / (time.perf_counter() - began)


def leaving(hub: HubProcess) -> float:
    """Return the milliseconds until the plugin hears that a browser has left in mid-answer."""
    before = len(hub.get(f"{ROUTE}/left")["left"])
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    connection.request("GET", f"{ROUTE}/ticks", headers={"Cookie": hub.cookie})
    answer = connection.getresponse()
    answer.readline()
    left_at = time.time() * 1000
    assert connection.sock is not None
    connection.sock.close()
    answer.close()
    wait_until(lambda: len(hub.get(f"{ROUTE}/left")["left"]) > before, what="the plugin's word")
    heard: float = hub.get(f"{ROUTE}/left")["left"][-1]
    return heard - left_at


def sockets(hub: HubProcess) -> float:
    """Return the seconds that 200 WebSockets take to open and say one message to and fro."""
    began = time.perf_counter()
    opened = [hub.websocket(f"{ROUTE}/chat") for _ in range(SOCKETS)]
    for number, one in enumerate(opened):
        one.send_text(f"I am {number}")
    for number, one in enumerate(opened):
        if one.read_message() != (f"I am {number}".encode(), True):
            raise AssertionError("A message came back wrong.")
    took = time.perf_counter() - began
    for one in opened:
        one.close()
    return took


class Listener:
    """A browser that has an event stream open, and counts what comes."""

    def __init__(self, hub: HubProcess) -> None:
        self.events = 0
        self._rest = b""
        self.socket = socket.create_connection(("127.0.0.1", hub.port))
        head = f"GET {ROUTE}/ticks HTTP/1.1\r\nHost: localhost\r\nCookie: {hub.cookie}\r\n\r\n"
        self.socket.sendall(head.encode())

    def read(self) -> None:
        """Take what came; the events have to be numbered without a gap."""
        piece = self.socket.recv(65536)
        if not piece:
            raise AssertionError("An event stream ended by itself.")
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                if int(line[6:]) != self.events:
                    raise AssertionError(f"{line!r} came as event {self.events}.")
                self.events += 1


def held(hub: HubProcess, seconds: float) -> tuple[int, float]:
    """Hold event streams open; return how many events came in all and the hub's growth in MiB."""
    listeners = [Listener(hub) for _ in range(EVENT_STREAMS)]
    with selectors.DefaultSelector() as selector, Peak(hub.pid) as peak:
        for listener in listeners:
            selector.register(listener.socket, selectors.EVENT_READ, listener)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in selector.select(1.0):
                key.data.read()
    for listener in listeners:
        listener.socket.close()
    return sum(listener.events for listener in listeners), peak.most / MIB


def main(rounds: int, held_s: float) -> int:
    """Measure in turns and print medians, and their ratios to the bare server."""
    with hub_with_plugin() as hub, bare_tornado() as bare:
        rates: dict[str, list[float]] = {"down": [], "bare down": [], "up": [], "bare up": []}
        with Peak(hub.pid) as peak:
            for _ in range(rounds):
                rates["bare down"].append(down(bare, f"/{SIZE}", ""))
                rates["down"].append(down(hub.port, f"{ROUTE}/down/{SIZE}", hub.cookie))
                rates["bare up"].append(up(bare, f"/{SIZE}", ""))
                rates["up"].append(up(hub.port, f"{ROUTE}/up", hub.cookie))
        left = median([leaving(hub) for _ in range(rounds)])
        took = median([sockets(hub) for _ in range(rounds)])
        events, held_mib = held(hub, held_s)
    grown_mib = peak.most / MIB
    speed = {name: median(values) for name, values in rates.items()}
    rows = [
        Row("bare Tornado, 100 MiB down", f"{speed['bare down']:,.0f} MiB/s"),
        Row(
            "through the hub, down",
            f"{speed['down']:,.0f} MiB/s",
            speed["down"] / speed["bare down"],
        ),
        Row("bare Tornado, 100 MiB up", f"{speed['bare up']:,.0f} MiB/s"),
        Row("through the hub, up", f"{speed['up']:,.0f} MiB/s", speed["up"] / speed["bare up"]),
        Row(f"{SOCKETS} WebSockets, open and echo", f"{took:.2f} s"),
        Row("growth of the hub", f"{grown_mib:.0f} MiB of {GROWTH_BUDGET_MIB:.0f}"),
        Row("until the plugin hears of a leaving", f"{left:.1f} ms of {LEFT_BUDGET_MS:.0f}"),
        Row(
            f"{EVENT_STREAMS} event streams held for {held_s:.0f} s",
            f"{events:,} events, none lost",
        ),
        Row("growth of the hub meanwhile", f"{held_mib:.1f} MiB of {HELD_GROWTH_BUDGET_MIB:.0f}"),
    ]
    report(f"Streams through a plugin, {rounds} rounds", rows)
    is_flat = grown_mib < GROWTH_BUDGET_MIB and held_mib < HELD_GROWTH_BUDGET_MIB
    return 0 if is_flat and left <= LEFT_BUDGET_MS else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--held-s", type=float, default=HELD_S)
    arguments = parser.parse_args()
    sys.exit(main(arguments.rounds, arguments.held_s))
