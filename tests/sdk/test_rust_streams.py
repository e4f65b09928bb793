"""A plugin in Rust that streams, through a real hub."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.memory import Peak
from tests.support.plugin_files import Plugins
from tests.support.websocket import Closed, Refused

ROUTE = "/api/plugins/route/streams"
MIB = 1024 * 1024
PATTERN = bytes(range(256)) * 256
GROWTH = 24 * MIB


@pytest.fixture(scope="module")
def hub(rust_plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as process:
        plugins = Plugins(process)
        plugins.write("streams", (rust_plugins / "streams.binary").read_bytes())
        plugins.ready("streams")
        yield process
        assert process.stop() == 0
    assert "Traceback" not in process.log, process.log


def plugin_pid(hub: HubProcess) -> int:
    pid: int = Plugins(hub).view("streams")["pid"]
    return pid


def opened(
    hub: HubProcess, path: str, body: Any = None, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Send a request; return its answer, unread, and the connection, for leaving."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    connection.request(method, ROUTE + path, body, {"Cookie": hub.cookie, **headers})
    return connection, connection.getresponse()


def seen(hub: HubProcess, expected: str) -> None:
    """Wait until the plugin has noted something that begins like this."""

    def is_there() -> bool:
        return any(note.startswith(expected) for note in hub.get(f"{ROUTE}/seen"))

    wait_until(is_there, what=expected)


def test_100_mib_go_up_and_down_at_flat_memory(hub: HubProcess) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100 * MIB // len(PATTERN)):
            yield PATTERN

    expected = hashlib.sha256()
    for piece in pieces():
        expected.update(piece)
    size = {"Content-Length": str(100 * MIB)}
    with Peak(plugin_pid(hub)) as of_plugin, Peak(hub.pid) as of_hub:
        connection, answer = opened(hub, "/digest", pieces(), "POST", **size)
        digest = expected.hexdigest()
        assert answer.read() == f'{{"digest":"{digest}","size":{100 * MIB}}}'.encode()
        connection.close()
        connection, answer = opened(hub, f"/blob/{100 * MIB}")
        received = 0
        while piece := answer.read(MIB):
            received += len(piece)
        connection.close()
    assert received == 100 * MIB
    assert of_plugin.most < GROWTH
    assert of_hub.most < 2 * GROWTH


def test_a_body_goes_back_while_it_comes(hub: HubProcess) -> None:
    echoed = hub.http("POST", f"{ROUTE}/echo", PATTERN * 40)
    assert echoed.body == PATTERN * 40


def test_a_browser_that_leaves_ends_what_it_asked_for(hub: HubProcess) -> None:
    for path, end in (("/events?name=a", "events closed a"), ("/blob/500000000", "blob closed")):
        connection, answer = opened(hub, path)
        assert answer.read(20)
        connection.close()
        answer.close()
        seen(hub, end)
    connection, answer = opened(hub, "/events")
    assert answer.getheader("Content-Type") == "text/event-stream"
    lines = [answer.readline() for _ in range(5)]
    assert lines == [b"event: tick\n", b"id: 1\n", b"retry: 500\n", b'data: {"n":1}\n', b"\n"]
    connection.close()
    answer.close()


def test_messages_of_websockets_go_both_ways_until_one_side_leaves(hub: HubProcess) -> None:
    with hub.websocket(f"{ROUTE}/ws/echo/hub") as socket:
        for text in ("hello", "ü \N{SNOWMAN}", "x" * 200_000):
            socket.send_text(text)
            assert socket.read_message() == (text.encode(), True)
        for data in (b"", bytes(range(256)), bytes(300_000)):
            socket.send_bytes(data)
            assert socket.read_message() == (data, False)
    seen(hub, "hub: 1")
    with hub.websocket(f"{ROUTE}/ws/closes/4001") as socket, pytest.raises(Closed) as closed:
        socket.read_message()
    assert closed.value.code == 4001
    with pytest.raises(Refused) as refused:
        hub.websocket(f"{ROUTE}/ws/echo/locked")
    assert refused.value.status == 403
    assert b"This room is locked." in refused.value.body
