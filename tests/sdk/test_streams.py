"""Streams and WebSockets of the libraries for Python and Rust, over protocol version 2."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.core import STREAM_CREDIT, CoreV2, Running, data_frame, python_plugin, running

SAMPLE = (Path(__file__).parent / "streams_sample.py").read_text()
MIB = 1024 * 1024
PIECE = bytes(range(256)) * 4096


only_python = pytest.mark.parametrize("plugin", ["python"], indirect=True)
"""For what the library for Rust does not have, or has in another way."""


@pytest.fixture(params=["python", "rust"])
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/data.csv").write_bytes(PIECE)
    environ = {"TORU_INSTANCE": "spawn-1", "STREAMS_FILE": str(tmp_path / "files/data.csv")}
    if request.param == "rust":
        command = [str(request.getfixturevalue("rust_plugins") / "streams.binary")]
    else:
        command = python_plugin(tmp_path, SAMPLE)
    with running(command, tmp_path / "s", **environ) as found:
        yield found


@pytest.fixture
def core(plugin: Running) -> Iterator[CoreV2]:
    with CoreV2(plugin) as connected:
        yield connected.ready()


def memory_bytes(plugin: Running, field: str) -> int:
    status = Path(f"/proc/{plugin.process.pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def seen(core: CoreV2, *expected: str) -> None:
    """Wait until the plugin has noted all of this, in any order."""
    found: list[str] = []
    deadline = time.monotonic() + 10
    while sorted(found) != sorted(expected):
        assert time.monotonic() < deadline, found
        found += json.loads(core.http("GET", "/seen")["text"])


def post(core: CoreV2, path: str, data: bytes, query: str = "") -> dict[str, Any]:
    """Stream a body up; return the head of the answer."""
    stream = core.start("POST", path, query, body="stream")
    core.upload(stream, data)
    return core.until("http_head", "error", id=stream)


# Memory and credit


def test_100_mib_go_up_and_down_while_memory_stays_flat(plugin: Running, core: CoreV2) -> None:
    assert json.loads(post(core, "/digest", PIECE)["text"])["size"] == MIB
    before = memory_bytes(plugin, "VmRSS")
    core.keep_bodies = False
    expected = hashlib.sha256()
    stream = core.start("POST", "/digest", body="stream")
    for index in range(100):
        expected.update(PIECE)
        core.upload(stream, PIECE, flags=1 if index == 99 else 0)
    answer = json.loads(core.until("http_head", id=stream)["text"])
    assert answer == {"digest": expected.hexdigest(), "size": 100 * MIB}
    for path in (f"/blob/{100 * MIB}", "/blob/plain/20000000"):
        head = core.http("GET", path)
        assert (head["status"], head["body"]) == (200, "stream")
        core.until("body", id=head["id"])
    assert list(core.sizes.values()) == [100 * MIB, 20_000_000]
    assert memory_bytes(plugin, "VmHWM") - before < 16 * MIB


def test_a_body_that_nobody_reads_gets_credit_for_the_connection_only(core: CoreV2) -> None:
    streams = [core.start("POST", "/unread", "s=60", body="stream") for _ in range(20)]
    for stream in streams:
        core.upload(stream, bytes(STREAM_CREDIT), flags=0)
    core.wire.send({"type": "ping", "n": 1})
    core.until("pong", n=1)
    assert {core.credit[stream] for stream in streams} == {0}
    assert core.credit[0] >= 2 * MIB
    assert json.loads(post(core, "/digest", PIECE)["text"])["size"] == MIB, "others go on"


@pytest.mark.parametrize("kind", ["request", "socket"])
def test_data_beyond_the_credit_ends_the_connection(core: CoreV2, kind: str) -> None:
    if kind == "socket":
        stream = core.open_socket("/ws/deaf")
        core.until("ws_accept", id=stream)
    else:
        stream = core.start("POST", "/unread", "s=60", body="stream")
    core.upload(stream, bytes(STREAM_CREDIT), flags=0)
    core.wire.socket.sendall(data_frame(stream, b"x"))
    assert core.until("error", id=0)["code"] == "FLOW"
    assert core.wire.is_closed()


def test_a_slow_reader_stops_only_its_own_stream(core: CoreV2) -> None:
    core.keep_bodies = False
    slow = core.next_id()
    core.slow.add(slow)
    core._next_id = slow
    assert core.start("GET", "/blob/50000000") == slow
    flood = core.open_socket("/ws/flood/50000")
    core.slow.add(flood)
    core.until("ws_accept", id=flood)
    for _ in range(3):
        head = core.http("GET", "/blob/10000000")
        core.until("body", id=head["id"])
        assert core.sizes[head["id"]] == 10_000_000
    assert (core.sizes[slow], core.sizes[flood]) == (STREAM_CREDIT, STREAM_CREDIT)
    core.wire.send({"type": "ws_close", "id": flood, "code": 1001})
    core.wire.send({"type": "cancel", "id": slow, "reason": "The browser has left."})
    assert core.until("error", id=slow)["code"] == "CANCELLED"
    seen(core, *["blob closed"] * 4, "flood ended")


# Requests


def test_plain_handlers_read_bodies_as_iterators_and_as_files(core: CoreV2) -> None:
    answer = json.loads(post(core, "/digest/plain", PIECE * 3)["text"])
    assert answer["digest"] == hashlib.sha256(PIECE * 3).hexdigest()
    assert json.loads(post(core, "/lines", b"one\ntwo\nthree")["text"]) == [
        "one\n",
        "two\n",
        "three",
    ]
    inline = core.http("POST", "/lines", body="inline", text="a\nb")
    assert json.loads(inline["text"]) == ["a\n", "b"]
    assert json.loads(core.http("POST", "/lines")["text"]) == []


def test_streamed_bodies_are_collected_for_other_handlers_up_to_a_limit(core: CoreV2) -> None:
    assert json.loads(post(core, "/json", b'{"a":"\xc3\xbc"}')["text"]) == {"a": "ü"}
    assert post(core, "/json", b"\xff")["status"] == 400
    raw = json.loads(post(core, "/whole", b"\xff\x00ab")["text"])
    assert raw == {"size": 4, "text": "\ufffd\0ab", "head": [255, 0, 97, 98]}
    assert json.loads(post(core, "/whole", bytes(1_000_000))["text"])["size"] == 1_000_000
    stream = core.start("POST", "/whole", body="stream")
    core.upload(stream, bytes(1_000_001), flags=0)
    refused = core.until("http_head", id=stream)
    assert (refused["status"], json.loads(refused["text"])["code"]) == (413, "too_large")
    assert post(core, "/small", bytes(1000))["text"] == "1000"
    assert post(core, "/small", bytes(1001))["status"] == 413
    assert core.http("POST", "/small", body="inline", text="x" * 1001)["status"] == 413


def test_an_answer_before_the_end_of_the_body_leaves_the_rest_aside(core: CoreV2) -> None:
    stream = core.start("POST", "/unread", body="stream")
    core.upload(stream, bytes(10), flags=0)
    assert core.until("http_head", id=stream)["text"] == "not read"
    core.upload(stream, bytes(200_000), flags=0)
    core.wire.send({"type": "cancel", "id": stream, "reason": "The request is answered."})
    assert core.http("GET", "/seen")["status"] == 200
    assert not [message for message in core.other if message["type"] == "error"]


def test_a_body_can_go_back_while_it_comes(core: CoreV2) -> None:
    stream = core.start("POST", "/echo", body="stream")
    for index in range(5):
        core.upload(stream, PIECE, flags=1 if index == 4 else 0)
    assert core.body(stream) == PIECE * 5


def test_the_time_for_the_answer_begins_when_the_body_has_ended(core: CoreV2) -> None:
    stream = core.start("POST", "/digest", body="stream", deadline_ms=200)
    core.upload(stream, b"a", flags=0)
    assert core.http("GET", "/unknown")["status"] == 404
    deadline = time.monotonic() + 0.4
    while time.monotonic() < deadline:
        core.http("GET", "/seen")
    core.upload(stream, b"b")
    assert json.loads(core.until("http_head", id=stream)["text"])["size"] == 2
    late = core.start("POST", "/unread", "s=60", body="stream", deadline_ms=200)
    core.upload(late, b"a")
    assert core.until("error", id=late)["code"] == "DEADLINE"


def test_a_browser_that_leaves_is_noticed_by_plain_handlers(core: CoreV2) -> None:
    stream = core.start("POST", "/lines", body="stream")
    core.upload(stream, b"half a li", flags=0)
    working = core.start("GET", "/work")
    seen(core, "lines begun", "work begun")
    for one in (stream, working):
        core.wire.send({"type": "cancel", "id": one, "reason": "The browser has left."})
        assert core.until("error", id=one)["code"] == "CANCELLED"
    seen(core, "lines: 1006 True", "work: True")


# Answers


def test_an_iterator_that_fails_ends_its_answer_only(core: CoreV2) -> None:
    first = core.http("GET", "/fails/first")
    assert (first["status"], "secret" in first["text"]) == (500, False)
    refused = core.http("GET", "/fails/refused")
    assert (refused["status"], json.loads(refused["text"])["code"]) == (409, "tea")
    later = core.http("GET", "/fails/later")
    assert later["status"] == 200
    assert core.until("error", id=later["id"])["code"] == "INTERNAL"
    assert core.bodies[later["id"]] == b"begun"
    core.http("GET", "/seen")
    logs = [call["params"]["fields"] for call in core.calls if call["method"] == "log"]
    assert ["secret detail" in log["error"] for log in logs] == [True, True]
    assert core.http("HEAD", "/blob/1000")["body"] == "none"


def test_small_pieces_are_sent_together(core: CoreV2) -> None:
    frames, stream = 0, core.start("GET", "/table/200000")
    core.until("http_head", id=stream)
    while not core.until("data", id=stream)["flags"] & 1:
        frames += 1
    assert core.bodies[stream] == b"".join(b"%d\n" % n for n in range(200_000))
    assert frames < 20_000


def test_a_cancel_closes_the_iterator_within_a_tenth_of_a_second(core: CoreV2) -> None:
    took_s = []
    for index in range(5):
        stream = core.start("GET", "/events", f"name={index}")
        core.until("http_head", id=stream)
        core.until("data", id=stream)
        begun = time.monotonic()
        core.wire.send({"type": "cancel", "id": stream, "reason": "The browser has left."})
        assert core.until("error", id=stream)["code"] == "CANCELLED"
        assert core.http("GET", "/seen")["text"] == f'["events closed {index}"]'
        took_s.append(time.monotonic() - begun)
    assert min(took_s) < 0.1


def test_events_have_their_form_and_silence_is_filled_with_comments(core: CoreV2) -> None:
    stream = core.start("GET", "/events")
    head = core.until("http_head", id=stream)
    assert ["Content-Type", "text/event-stream"] in head["headers"]
    while b"keep-alive" not in core.bodies.get(stream, b""):
        core.until("data", id=stream)
    tick = b'event: tick\nid: 1\nretry: 500\ndata: {"n":1}\n\n'
    assert core.bodies[stream] == tick + b"data: two\ndata: lines\n\n: keep-alive\n\n"


def test_event_streams_and_websockets_do_not_count_as_requests(plugin: Running) -> None:
    with CoreV2(plugin, limits={"streams": 2}) as core:
        core.ready()
        for _ in range(10):
            core.until("http_head", id=core.start("GET", "/events"))
            core.until("ws_accept", id=core.open_socket("/ws/echo/a"))
        assert core.http("GET", "/seen")["status"] == 200


@only_python
def test_a_plain_iterator_that_waits_is_closed_when_it_comes_back(core: CoreV2) -> None:
    stream = core.start("GET", "/events/plain")
    core.until("http_head", id=stream)
    assert core.until("data", id=stream)["bytes"] == b"data: first\n\n"
    core.wire.send({"type": "cancel", "id": stream, "reason": "The browser has left."})
    assert core.until("error", id=stream)["code"] == "CANCELLED"
    core.http("GET", "/go")
    seen(core, "plain events closed")


@only_python
def test_files_are_sent_whole_in_parts_or_not_at_all(core: CoreV2) -> None:
    whole = core.http("GET", "/file")
    headers = dict(whole["headers"])
    assert core.body(whole["id"]) == PIECE
    assert (headers["Content-Type"], headers["Content-Length"]) == ("text/csv", str(MIB))
    for asked, start, size in (("0-9", 0, 10), ("100-", 100, MIB - 100), ("-5", MIB - 5, 5)):
        part = core.http("GET", "/file", headers=[["Range", f"bytes={asked}"]])
        assert part["status"] == 206
        told = dict(part["headers"])
        assert told["Content-Range"] == f"bytes {start}-{start + size - 1}/{MIB}"
        assert told["Content-Length"] == str(size)
        assert core.body(part["id"]) == PIECE[start : start + size]
    beyond = core.http("GET", "/file", headers=[["Range", f"bytes={MIB}-"]])
    assert (beyond["status"], dict(beyond["headers"])["Content-Range"]) == (416, f"bytes */{MIB}")
    changed = [["Range", "bytes=0-9"], ["If-Range", '"old"']]
    for ignored in ([["Range", "bytes=9-1"]], [["Range", "bytes=0-1,4-5"]], changed):
        assert core.http("GET", "/file", headers=ignored)["status"] == 200
    for known in (
        ["If-None-Match", headers["ETag"]],
        ["If-Modified-Since", headers["Last-Modified"]],
    ):
        answer = core.http("GET", "/file", headers=[known])
        assert (answer["status"], answer["body"]) == (304, "none")
    named = core.http("GET", "/files/data.csv", "as=%C3%BC.csv")
    assert (
        dict(named["headers"])["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%BC.csv"
    )
    for outside in ("/files/none", "/files/../s", "/files/%2Fetc%2Fpasswd", "/files/%00"):
        assert core.http("GET", outside)["status"] == 404
    assert core.http("HEAD", "/file")["body"] == "none"


# WebSockets


def test_200_websockets_talk_at_once(core: CoreV2) -> None:
    sockets = []
    for first in range(0, 200, 50):  # of those that are not taken yet, 64 may be open
        opened = [core.open_socket(f"/ws/echo/{first + index}") for index in range(50)]
        accepted = {core.until("ws_accept")["id"] for _ in opened}
        assert accepted == set(opened)
        sockets += opened
    for socket in sockets:
        core.upload(socket, f"hello {socket}".encode(), flags=3)
    for socket in reversed(sockets):
        while core.bodies.get(socket) != bytearray(f"hello {socket}".encode()):
            core.until("data", id=socket)
    for socket in sockets:
        core.wire.send({"type": "ws_close", "id": socket, "code": 1001})
    seen(core, *[f"{index}: 1001" for index in range(200)])


def test_messages_of_any_size_go_both_ways_in_fragments(core: CoreV2) -> None:
    socket = core.open_socket("/ws/echo/named", "a=b")
    core.until("ws_accept", id=socket)
    assert core.message(socket) == "anna client {'a': 'b'}"
    for message in (b"", b"\xff", PIECE[:900_000]):
        core.upload(socket, message)
        assert core.message(socket) == message
    core.upload(socket, b"gr\xc3", flags=2)
    core.upload(socket, b"\xbc\xc3\x9fe", flags=3)
    assert core.message(socket) == "grüße"
    for _ in range(900):
        core.upload(socket, b"")
    for _ in range(900):
        assert core.message(socket) == b""


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/ws/echo/locked", 403, "locked"),
        ("/ws/none", 404, "not_found"),
        ("/ws/fails/before", 500, "internal"),
        ("/ws/closes/unaccepted", 403, "refused"),
    ],
)
def test_a_websocket_is_refused_with_an_answer(
    core: CoreV2, path: str, status: int, code: str
) -> None:
    answer = core.until("http_head", "ws_accept", id=core.open_socket(path))
    assert (answer["status"], json.loads(answer["text"])["code"]) == (status, code)


def test_the_end_of_the_handler_closes_a_websocket(core: CoreV2) -> None:
    for path, code in (("fails/after", 1011), ("closes/silently", 1000), ("closes/4001", 4001)):
        socket = core.open_socket(f"/ws/{path}")
        core.until("ws_accept", id=socket)
        assert core.until("ws_close", id=socket)["code"] == code
    seen(core, "Disconnected")


def test_messages_that_are_too_long_or_no_text_close_a_websocket(core: CoreV2) -> None:
    for data, flags, code in ((bytes(1_000_001), 1, 1009), (b"\xff", 3, 1007)):
        socket = core.open_socket("/ws/echo/a")
        core.until("ws_accept", id=socket)
        core.upload(socket, data, flags=flags)
        assert core.until("ws_close", id=socket)["code"] == code
    socket = core.open_socket("/ws/deaf")
    core.until("ws_accept", id=socket)
    core.wire.socket.sendall(data_frame(socket, b"", 1) * 1001)
    assert core.until("ws_close", id=socket)["code"] == 1008


def test_what_came_before_the_close_is_still_received(core: CoreV2) -> None:
    socket = core.open_socket("/ws/notes")
    core.until("ws_accept", id=socket)
    core.upload(socket, b"a", flags=3)
    core.upload(socket, b"b", flags=3)
    core.wire.send({"type": "ws_close", "id": socket, "code": 4000})
    seen(core, "a", "b", "notes: 4000")


def test_a_handler_that_does_not_listen_is_ended_some_time_after_the_close(core: CoreV2) -> None:
    socket = core.open_socket("/ws/deaf")
    core.until("ws_accept", id=socket)
    core.upload(socket, bytes(STREAM_CREDIT), flags=0)
    core.wire.send({"type": "ws_close", "id": socket, "code": 1001})
    seen(core, "deaf ended")


# The end


def test_event_streams_and_websockets_do_not_hold_up_the_stop(
    plugin: Running, core: CoreV2
) -> None:
    stream, socket = core.start("GET", "/events"), core.open_socket("/ws/echo/a")
    core.until("http_head", id=stream)
    core.until("ws_accept", id=socket)
    core.give_credit = False  # what is sent to it when it has ended fails
    begun = time.monotonic()
    plugin.process.terminate()
    messages = [core.until("error", "ws_close") for _ in range(2)]
    ended = {message["type"]: message for message in messages}
    assert (ended["error"]["id"], ended["ws_close"]["code"]) == (stream, 1001)
    assert plugin.ended()[0] == 0
    assert time.monotonic() - begun < 2.5


def test_protocol_1_has_streams_collected_and_no_event_streams(plugin: Running) -> None:
    assert len(plugin.http_v1("GET", "/blob/300000")["body"]) == 300_000
    lines = plugin.http_v1("POST", "/lines", body="a\nb")
    assert json.loads(lines["body"]) == ["a\n", "b"]
    whole = plugin.http_v1("POST", "/whole", body="ü")
    assert json.loads(whole["body"])["size"] == 2
    assert plugin.http_v1("GET", "/events")["status"] == 500
    assert plugin.http_v1("GET", "/fails/later")["status"] == 500
    assert plugin.http_v1("GET", "/blob/50000000")["status"] == 500
