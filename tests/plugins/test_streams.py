"""Bodies streamed both ways, event streams and WebSockets, through one hub to one plugin."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

import tests.support.streaming_plugin
from tests.support.hub import HubProcess, wait_until
from tests.support.memory import Peak
from tests.support.plugin_files import Plugins
from tests.support.websocket import Closed, Refused, WebSocket

SOURCE = Path(tests.support.streaming_plugin.__file__)
ROUTE = "/api/plugins/streaming"
MIB = 1024 * 1024
PATTERN = bytes(range(256)) * 256
GROWTH = 48 * MIB


@pytest.fixture(scope="module")
def streaming(hub: HubProcess) -> HubProcess:
    """The hub, with the plugin ready."""
    plugins = Plugins(hub)
    plugins.write("streaming", SOURCE.read_bytes())
    plugins.put("quick-v1", "quick-v2")
    plugins.ready("streaming", "quick-v1", "quick-v2")
    return hub


def open_answer(
    hub: HubProcess, path: str, body: Any = None, method: str = "GET", **headers: str
) -> http.client.HTTPResponse:
    """Send a request and return its answer, unread; closing that closes the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    connection.request(method, ROUTE + path, body, {"Cookie": hub.cookie, **headers})
    answer = connection.getresponse()
    answer.connection = connection  # type: ignore[attr-defined]  # kept alive with it
    return answer


def leave(answer: http.client.HTTPResponse) -> None:
    """Cut the connection of an answer, as a browser does that is closed."""
    connection: http.client.HTTPConnection = answer.connection  # type: ignore[attr-defined]
    if connection.sock is not None:
        connection.sock.close()
    answer.close()


def leavings(hub: HubProcess) -> list[float]:
    """Return when the plugin was told that somebody has left."""
    answer: list[float] = hub.get(f"{ROUTE}/left")["left"]
    return answer


def pieces(total: int) -> Iterator[bytes]:
    for _ in range(total // len(PATTERN)):
        yield PATTERN


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000])
def test_a_streamed_answer_arrives_as_it_was_sent(streaming: HubProcess, size: int) -> None:
    answer = streaming.http("GET", f"{ROUTE}/down/{size}")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(size))
    assert answer.body == (PATTERN * (size // len(PATTERN) + 1))[:size]


def test_a_hundred_mebibytes_come_down_at_flat_memory(streaming: HubProcess) -> None:
    digest = hashlib.sha256()
    with Peak(streaming.pid) as peak:
        answer = open_answer(streaming, f"/down/{100 * MIB}")
        while piece := answer.read(MIB):
            digest.update(piece)
    leave(answer)
    expected = hashlib.sha256()
    for piece in pieces(100 * MIB):
        expected.update(piece)
    assert digest.hexdigest() == expected.hexdigest()
    assert peak.most < GROWTH


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_hundred_mebibytes_go_up_at_flat_memory(streaming: HubProcess, is_chunked: bool) -> None:
    size = 100 * MIB if not is_chunked else 20 * MIB
    expected = hashlib.sha256()
    for piece in pieces(size):
        expected.update(piece)
    headers = {} if is_chunked else {"Content-Length": str(size)}
    with Peak(streaming.pid) as peak:
        answer = open_answer(streaming, "/up", pieces(size), "POST", **headers)
    assert answer.status == 200
    assert answer.read() == (f'{{"bytes": {size}, "sha256": "{expected.hexdigest()}"}}'.encode())
    leave(answer)
    assert peak.most < GROWTH


def test_a_body_over_the_limit_is_refused_unread(streaming: HubProcess) -> None:
    answer = open_answer(streaming, "/up", b"", "POST", **{"Content-Length": str(101 * MIB)})
    assert answer.status == 413
    leave(answer)


def test_a_plugin_that_takes_only_whole_bodies_gets_them_whole(streaming: HubProcess) -> None:
    answer = streaming.http("POST", "/api/plugins/quick-v1/x", b"x" * MIB)
    assert answer.status == 200
    for plugin, size in (("quick-v1", 17 * MIB), ("quick-v2", 2 * MIB)):
        body = itertools.repeat(b"x" * MIB, size // MIB)
        connection = http.client.HTTPConnection("127.0.0.1", streaming.port, timeout=30)
        headers = {"Cookie": streaming.cookie, "Content-Length": str(size)}
        connection.request("POST", f"/api/plugins/{plugin}/x", body, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:8]) == (413, b'{"error"')
        connection.close()


def test_a_body_comes_back_while_it_is_sent(streaming: HubProcess) -> None:
    with socket.create_connection(("127.0.0.1", streaming.port)) as raw:
        raw.settimeout(10)
        head = f"POST {ROUTE}/echo HTTP/1.1\r\nHost: localhost\r\nCookie: {streaming.cookie}\r\n"
        raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())
        heard = b""
        while b"hello" not in heard:
            heard += raw.recv(4096)
        raw.sendall(b"5\r\nworld\r\n0\r\n\r\n")
        while not heard.endswith(b"0\r\n\r\n"):
            heard += raw.recv(4096)
        assert b"world" in heard


def test_an_empty_body_in_chunks_ends_too(streaming: HubProcess) -> None:
    head = f"POST {ROUTE}/up HTTP/1.1\r\nHost: localhost\r\nCookie: {streaming.cookie}\r\n"
    sent = f"{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", streaming.port)) for _ in range(40)]
    for one in sockets:  # more at once than are let in without waiting
        one.sendall(sent)
    for one in sockets:
        with one:
            one.settimeout(10)
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")


def test_an_answer_before_the_end_of_the_body_arrives(streaming: HubProcess) -> None:
    with socket.create_connection(("127.0.0.1", streaming.port)) as raw:
        raw.settimeout(10)
        head = f"POST {ROUTE}/early HTTP/1.1\r\nHost: localhost\r\nCookie: {streaming.cookie}\r\n"
        raw.sendall(f"{head}Content-Length: {50 * MIB}\r\n\r\n".encode() + bytes(MIB))
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_plugin_that_does_not_read_stops_its_own_upload_only(streaming: HubProcess) -> None:
    with socket.create_connection(("127.0.0.1", streaming.port)) as raw:
        head = f"POST {ROUTE}/deaf HTTP/1.1\r\nHost: localhost\r\nCookie: {streaming.cookie}\r\n"
        raw.sendall(f"{head}Content-Length: {90 * MIB}\r\n\r\n".encode())
        raw.setblocking(False)
        sent, still_since = 0, time.monotonic()
        with Peak(streaming.pid) as peak:
            while time.monotonic() - still_since < 0.5:
                try:
                    sent += raw.send(PATTERN)
                    still_since = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
            assert streaming.http("GET", f"{ROUTE}/down/1").status == 200
        assert sent < 40 * MIB
        assert peak.most < GROWTH
        raw.setblocking(True)
        assert raw.recv(4096).startswith(b"HTTP/1.1 408")


def test_uploads_to_a_plugin_that_reads_slowly_are_no_reason_to_refuse_a_request(
    streaming: HubProcess,
) -> None:
    sent = [0] * 8

    def upload(number: int) -> int:
        def body() -> Iterator[bytes]:
            for piece in pieces(2 * MIB):
                yield piece
                sent[number] += len(piece)

        return status("/up", body(), "POST")

    def status(*request: Any) -> int:
        answer = open_answer(streaming, *request)
        leave(answer)
        return answer.status

    plugin = psutil.Process(streaming.get("/api/plugins/streaming")["pid"])
    plugin.suspend()
    try:
        with ThreadPoolExecutor(9) as threads:
            statuses = [threads.submit(upload, number) for number in range(8)]
            wait_until(lambda: min(sent) >= MIB // 2, what="the uploads to stand still")
            statuses.append(threads.submit(status, "/down/1"))
            # Answered from the hub alone, so the request before has been taken, or refused.
            assert streaming.get("/api/health") == {"status": "ok"}
            plugin.resume()
            assert [status.result(30) for status in statuses] == [200] * 9
    finally:
        plugin.resume()


def test_a_browser_that_leaves_in_mid_answer_is_told_to_the_plugin_at_once(
    streaming: HubProcess,
) -> None:
    for path in ("/slow/0.02", "/ticks", f"/down/{90 * MIB}"):
        answer = open_answer(streaming, path)
        assert answer.read(1)
        before = len(leavings(streaming))
        left_at = time.time() * 1000
        leave(answer)
        wait_until(lambda n=before: len(leavings(streaming)) > n, what=f"the end of {path}")
        assert leavings(streaming)[-1] - left_at < 100


def test_a_browser_that_stops_reading_costs_no_memory_and_delays_nobody(
    streaming: HubProcess,
) -> None:
    with Peak(streaming.pid) as peak:
        stalled = [open_answer(streaming, f"/down/{90 * MIB}") for _ in range(8)]
        began = time.monotonic()
        assert streaming.http("GET", f"{ROUTE}/down/{10 * MIB}").status == 200
        assert time.monotonic() - began < 10
    assert peak.most < GROWTH
    for answer in stalled:
        leave(answer)


def test_an_answer_that_breaks_off_is_cut_off(streaming: HubProcess) -> None:
    answer = open_answer(streaming, "/broken")
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    leave(answer)
    assert caught.value.partial == b"half"
    assert streaming.http("GET", f"{ROUTE}/down/1").body == b"\0"


def test_events_arrive_as_they_are_told(streaming: HubProcess) -> None:
    with closing(open_answer(streaming, "/ticks")) as answer:
        assert answer.getheader("Content-Type") == "text/event-stream"
        began = time.monotonic()
        lines = [answer.readline() for _ in range(40)]
        assert lines[::2] == [f"data: {count}\n".encode() for count in range(20)]
        assert time.monotonic() - began < 5
        leave(answer)


def test_a_head_without_its_body(streaming: HubProcess) -> None:
    answer = streaming.http("HEAD", f"{ROUTE}/down/{5 * MIB}")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(5 * MIB))


# WebSockets


def test_messages_go_both_ways_as_they_are(streaming: HubProcess) -> None:
    with streaming.websocket(f"{ROUTE}/chat") as chat:
        for text in ("hello", "ü \N{SNOWMAN}", "x" * 200_000):
            chat.send_text(text)
            assert chat.read_message() == (text.encode(), True)
        for data in (b"", bytes(range(256)), bytes(300_000)):
            chat.send_bytes(data)
            assert chat.read_message() == (data, False)
        chat.send_text("big")
        assert chat.read_message() == (b"b" * 3_000_000, True)


def test_the_plugin_closes_a_websocket_with_its_code(streaming: HubProcess) -> None:
    with streaming.websocket(f"{ROUTE}/chat") as chat:
        chat.send_text("bye")
        with pytest.raises(Closed) as caught:
            chat.read_message()
        assert caught.value.code == 4000


def test_a_websocket_that_is_left_is_told_to_the_plugin(streaming: HubProcess) -> None:
    chat = streaming.websocket(f"{ROUTE}/chat")
    chat.send_text("hello")
    chat.read_message()
    before = len(leavings(streaming))
    chat.close()
    wait_until(lambda: len(leavings(streaming)) > before, what="the plugin hears of it")


def test_websockets_are_refused_with_a_sentence(streaming: HubProcess) -> None:
    cases = {
        f"{ROUTE}/refuse": (403, b"not for you"),
        "/api/plugins/quick-v1/x": (400, b"no WebSockets"),
        "/api/plugins/quick-v2/x": (400, b"no WebSockets"),
        "/api/plugins/nothing/x": (404, b"no plugin"),
    }
    for path, (status, words) in cases.items():
        with pytest.raises(Refused) as caught:
            streaming.websocket(path)
        assert caught.value.status == status
        assert words in caught.value.body
    for headers, status in (({}, 401), ({"Cookie": streaming.cookie, "Origin": "http://x"}, 403)):
        with pytest.raises(Refused) as caught:
            WebSocket("127.0.0.1", streaming.port, f"{ROUTE}/chat", headers)
        assert caught.value.status == status


def test_a_websocket_ends_with_its_session(streaming: HubProcess) -> None:
    cookie = streaming.add_client("ann-ws")
    chat = streaming.websocket(f"{ROUTE}/chat", cookie=cookie)
    chat.send_text("hello")
    chat.read_message()
    began = time.monotonic()
    streaming.http("POST", "/api/auth/logout", {}, cookie=cookie)
    with pytest.raises(Closed) as caught:
        chat.read_message()
    chat.close()
    assert caught.value.code == 4401
    assert time.monotonic() - began < 1


def test_a_browser_that_does_not_read_its_websocket_costs_no_memory(
    streaming: HubProcess,
) -> None:
    with Peak(streaming.pid) as peak, streaming.websocket(f"{ROUTE}/chat") as chat:
        chat.send_text("flood")
        time.sleep(1.0)  # a second of flood, which nobody reads
        assert streaming.http("GET", f"{ROUTE}/down/{MIB}").status == 200
    assert peak.most < GROWTH


def test_two_hundred_websockets_through_one_plugin(streaming: HubProcess) -> None:
    sockets = [streaming.websocket(f"{ROUTE}/chat") for _ in range(200)]
    for number, chat in enumerate(sockets):
        chat.send_text(f"I am {number}")
    for number, chat in enumerate(sockets):
        assert chat.read_message() == (f"I am {number}".encode(), True)
    assert streaming.http("GET", f"{ROUTE}/down/1").status == 200
    for chat in sockets:
        chat.close()


def test_all_of_it_ends_when_the_plugin_is_stopped(streaming: HubProcess) -> None:
    chat = streaming.websocket(f"{ROUTE}/chat")
    events = open_answer(streaming, "/ticks")
    assert events.readline()
    began = time.monotonic()
    assert streaming.http("POST", "/api/plugins/streaming/restart").status == 200
    assert time.monotonic() - began < 5
    with pytest.raises(Closed) as caught:
        chat.read_message()
    chat.close()
    assert caught.value.code == 1001
    with pytest.raises((http.client.IncompleteRead, OSError)):
        while events.read(65_536):
            pass
    leave(events)
    assert streaming.http("GET", f"{ROUTE}/down/3").body == b"\0\1\2"
