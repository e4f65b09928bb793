"""A plugin of the Python library in a real hub: streams, events and WebSockets pass through."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.core import SDK
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins
from tests.support.websocket import Closed, Refused

SAMPLE = (Path(__file__).parent / "streams_sample.py").read_text()
ROUTE = "/api/plugins/route/s"
MIB = 1024 * 1024
PIECE = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "data.csv").write_bytes(PIECE)
    setting = f"import os, sys\nsys.path.insert(0, {str(SDK)!r})\nsys.dont_write_bytecode = True\n"
    setting += f"os.environ['STREAMS_FILE'] = {str(folder / 'data.csv')!r}\n"
    with HubProcess(folder) as process:
        plugins = Plugins(process)
        source = "#!/usr/bin/env python3\n" + setting + SAMPLE + "\nplugin.run()\n"
        plugins.write("streams", source)
        plugins.ready("streams")
        yield process
        assert process.stop() == 0
    assert "Traceback" not in process.log, process.log


def wait_for_note(hub: HubProcess, note: str) -> None:
    seen: list[str] = []
    wait_until(lambda: seen.extend(hub.get(f"{ROUTE}/seen")) or note in seen, what=note)


def test_bodies_go_up_and_down_through_the_hub(hub: HubProcess) -> None:
    sent = PIECE * 20
    answer = hub.http("POST", f"{ROUTE}/digest", sent)
    assert answer.json == {"digest": hashlib.sha256(sent).hexdigest(), "size": len(sent)}
    assert hub.http("POST", f"{ROUTE}/whole", b"\xff" * 300_000).json["size"] == 300_000
    assert hub.http("POST", f"{ROUTE}/whole", b"\xff").json["size"] == 1
    assert hub.http("POST", f"{ROUTE}/whole", bytes(2 * MIB)).status == 413
    assert hub.http("POST", f"{ROUTE}/echo", PIECE[:400_000]).body == PIECE[:400_000]
    assert len(hub.http("GET", f"{ROUTE}/blob/20000000").body) == 20_000_000
    assert hub.http("GET", f"{ROUTE}/fails/refused").status == 409


def test_files_come_whole_and_in_parts(hub: HubProcess) -> None:
    whole = hub.http("GET", f"{ROUTE}/file")
    assert (whole.body, whole.headers["Content-Length"]) == (PIECE, str(MIB))
    part = hub.http("GET", f"{ROUTE}/file", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, PIECE[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{MIB}"
    known = {"If-None-Match": whole.headers["Etag"]}
    assert hub.http("GET", f"{ROUTE}/file", headers=known).status == 304
    assert hub.http("HEAD", f"{ROUTE}/file").body == b""
    assert hub.http("GET", f"{ROUTE}/file", headers={"Range": f"bytes={MIB}-"}).status == 416


def test_events_come_live_and_end_when_the_browser_leaves(hub: HubProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    connection.request("GET", f"{ROUTE}/events?name=hub", headers={"Cookie": hub.cookie})
    answer: Any = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert [answer.readline() for _ in range(2)] == [b"event: tick\n", b"id: 1\n"]
    answer.close()
    connection.close()
    wait_for_note(hub, "events closed hub")


def test_people_talk_over_websockets_through_the_hub(hub: HubProcess) -> None:
    path = f"{ROUTE}/ws"
    with hub.websocket(f"{path}/echo/named?a=b") as socket:
        assert socket.read_message() == (b"admin admin {'a': 'b'}", True)
        socket.send_text("grüße")
        assert socket.read_message() == ("grüße".encode(), True)
        socket.send_bytes(PIECE[:300_000])
        assert socket.read_message() == (PIECE[:300_000], False)
    wait_for_note(hub, "named: 1001")
    for name, status in (("echo/locked", 403), ("none", 404), ("fails/before", 500)):
        with pytest.raises(Refused) as refused:
            hub.websocket(f"{path}/{name}")
        assert refused.value.status == status
    for name, code in (("closes/4001", 4001), ("closes/silently", 1000), ("fails/after", 1011)):
        with hub.websocket(f"{path}/{name}") as socket, pytest.raises(Closed) as closed:
            while True:
                socket.read_message()
        assert closed.value.code == code
