"""One connection of the plugin protocol, version 2, with the plugin's side played by hand."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toru.errors import TooLarge, ToruError, Unavailable
from toru.wire import plugin_session_events as told
from toru.wire.frames import FLAG_END, DataFrame, FrameDecoder, encode_data, encode_json
from toru.wire.plugin_http import BodyNotText, HttpAnswer, HttpRequest, ProtocolFault
from toru.wire.plugin_session import Session
from toru.wire.plugin_session_events import SessionEvent
from toru.wire.plugin_streams import TooManyRequests

INSTANCE = "0b8a0a6e-1b3c-4a53-9a6f-0d3f8f6e2f11"
HELLO_OK = {"type": "hello_ok", "protocol": 2, "instance": INSTANCE, "features": ["http", "x"]}


def asked_for(changes: dict[str, Any]) -> tuple[HttpRequest, dict[str, Any]]:
    """Return a request with these changes, and those that are none of a request."""
    fields = {"method": "GET", "path": "/a", "query": "b=c", "headers": (("A", "1"),)}
    fields |= {"body": b"", "user": "ann", "role": "admin"}
    own = {name: value for name, value in changes.items() if name in fields}
    more = {name: value for name, value in changes.items() if name not in fields}
    return HttpRequest(**{**fields, **own}), more  # type: ignore[arg-type]


class Wire:
    """A session, a clock that is set by hand, and the plugin's end of the connection."""

    def __init__(self, *, ready: bool = True, limits: dict[str, Any] | None = None) -> None:
        self.now = 1000.0
        self.session = Session(instance=INSTANCE, now=self.now)
        self.decoder = FrameDecoder()
        self.hello = self.sent()[0]
        if ready:
            self.say({**HELLO_OK, "limits": limits or {}})
            assert self.say({"type": "ready"}) == [told.BecameReady()]

    def say(self, *frames: dict[str, Any] | bytes) -> list[SessionEvent]:
        data = b"".join(f if isinstance(f, bytes) else encode_json(f) for f in frames)
        return self.session.feed(data, self.now)

    def sent(self) -> list[Any]:
        return list(self.decoder.feed(self.session.output()))

    def request(self, **changes: Any) -> int:
        asked, more = asked_for(changes)
        return self.session.request(asked, now=self.now, **more)

    def socket(self, **changes: Any) -> int:
        asked, more = asked_for(changes)
        return self.session.open_socket(asked, now=self.now, **more)

    def tick(self, seconds: float) -> list[SessionEvent]:
        self.now += seconds
        return self.session.tick(self.now)

    def fault(self, *frames: dict[str, Any] | bytes) -> ProtocolFault:
        """Say what ends the connection; return the fault."""
        self.sent()
        with pytest.raises(ProtocolFault) as caught:
            self.say(*frames)
        sent = self.sent()
        if caught.value.wire_code is None:
            assert sent == []
        else:
            assert (sent[-1]["type"], sent[-1]["code"]) == ("error", caught.value.wire_code)
        assert self.session.phase == "closed"
        with pytest.raises(ProtocolFault):
            self.say({"type": "pong"})
        assert self.session.tick(self.now + 1000) == []
        return caught.value


def head(request: int, **fields: Any) -> dict[str, Any]:
    return {"type": "http_head", "id": request, "status": 200, "headers": [], **fields}


def call(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "call", "id": number, "method": "kv.get", "params": {"key": "a"}, **fields}


# Beginning


def test_the_core_greets_with_its_limits_and_the_plugin_answers_with_the_smaller_ones() -> None:
    wire = Wire(ready=False)
    assert wire.hello["type"] == "hello"
    assert (wire.hello["protocols"], wire.hello["instance"]) == ([2], INSTANCE)
    limits = {"streams": 3, "calls": 10**9, "calls_per_s": "x", "data_bytes": -1, "mine": 7}
    events = wire.say({**HELLO_OK, "limits": limits, "sdk": "mine/1"})
    assert events == [told.HelloAccepted(("http",), "mine/1")]
    assert wire.session.limits == {**wire.hello["limits"], "streams": 3}
    wire.session.init(instance_id="i", config={"a": 1}, data_dir="/d", log_path="/l")
    assert wire.sent() == [
        {
            "type": "init",
            "instance_id": "i",
            "config": {"a": 1},
            "data_dir": "/d",
            "log_path": "/l",
            "deadline_ms": 30000,
        }
    ]
    with pytest.raises(Unavailable):
        wire.request()
    assert wire.say({"type": "status", "text": "busy", "extend_ms": 90_000}) == [
        told.StartStatus("busy", 90.0)
    ]
    assert wire.say({"type": "ready"}, {"type": "ready"}) == [told.BecameReady()]
    assert wire.say({"type": "status", "text": "late"}) == []


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({**HELLO_OK, "instance": "another"}, "wrong instance"),
        ({**HELLO_OK, "protocol": 1}, "not offered"),
        ({**HELLO_OK, "protocol": "2"}, "hello_ok"),
        ({"type": "hello_ok"}, "hello_ok"),
        ({"type": "ready"}, "before hello_ok"),
        ({"type": "pong"}, "before hello_ok"),
        ({"type": "error", "code": "DENIED", "message": "No."}, "No. (DENIED)"),
        ({"id": 1}, "no type"),
        ({"type": 3}, "no type"),
        (encode_data(1, b"x"), "data before"),
        (b"\0\0\0\1", "length"),
        (b"HTTP/1.1", "length"),
    ],
)
def test_a_wrong_greeting_ends_the_connection(frame: Any, words: str) -> None:
    assert words in Wire(ready=False).fault(frame).sentence


def test_a_second_greeting_ends_the_connection() -> None:
    assert "second" in Wire().fault(HELLO_OK).sentence


def test_no_greeting_within_five_seconds_ends_the_connection() -> None:
    wire = Wire(ready=False)
    assert wire.tick(4.9) == []
    with pytest.raises(ProtocolFault, match="within 5 seconds"):
        wire.tick(0.2)
    assert wire.sent()[-1]["code"] == "DEADLINE"


# Requests


def test_a_request_is_sent_and_its_answer_read() -> None:
    wire = Wire()
    first = wire.request()
    second = wire.request(method="POST", body="hä".encode(), request_id="t" * 100, deadline_s=5)
    assert (first, second) == (1, 3)
    assert wire.sent() == [
        {
            "type": "http",
            "id": 1,
            "method": "GET",
            "path": "/a",
            "query": "b=c",
            "headers": [["A", "1"]],
            "user": "ann",
            "role": "admin",
            "deadline_ms": 30_000,
            "body": "none",
        },
        {
            "type": "http",
            "id": 3,
            "method": "POST",
            "path": "/a",
            "query": "b=c",
            "headers": [["A", "1"]],
            "user": "ann",
            "role": "admin",
            "deadline_ms": 5000,
            "body": "inline",
            "text": "hä",
            "request_id": "t" * 64,
        },
    ]
    answers = wire.say(
        head(3, status=404, headers=[["B", "2"], ["B", "3"]], body="inline", text="ö"), head(1)
    )
    assert answers == [
        told.Answered(3, HttpAnswer(404, (("B", "2"), ("B", "3")), "ö".encode())),
        told.Answered(1, HttpAnswer(200, (), b"")),
    ]
    assert wire.session.open_requests == 0


def test_bodies_that_cannot_be_sent_inline_are_refused() -> None:
    wire = Wire()
    with pytest.raises(BodyNotText):
        wire.request(body=b"\xff")
    with pytest.raises(TooLarge):
        wire.request(body=b"x" * 1024 * 1024)
    assert wire.sent() == []
    assert wire.session.open_requests == wire.session.waiting_requests == 0


def test_64_requests_are_open_64_more_wait_and_the_rest_is_refused() -> None:
    wire = Wire()
    ids = [wire.request() for _ in range(128)]
    assert ids == list(range(1, 256, 2))
    assert [frame["id"] for frame in wire.sent()] == ids[:64]
    with pytest.raises(TooManyRequests) as caught:
        wire.request()
    assert caught.value.status == 503
    wire.say(head(ids[5]), head(ids[7]))
    assert [frame["id"] for frame in wire.sent()] == ids[64:66]
    assert (wire.session.open_requests, wire.session.waiting_requests) == (64, 62)
    assert wire.request() == 257


def test_a_plugin_that_does_not_read_gets_no_more_requests() -> None:
    wire = Wire()
    with pytest.raises(TooManyRequests):
        wire.request(unsent_bytes=1024 * 1024)


def test_data_that_is_unsent_is_no_reason_to_refuse_a_request() -> None:
    wire = Wire()
    for _ in range(8):
        assert wire.session.write(wire.request(body=None), bytes(256 * 1024), end=False, now=0)
    unsent = len(wire.session.output())
    assert unsent > 2 * 1024 * 1024
    assert wire.request(unsent_bytes=unsent)
    with pytest.raises(TooManyRequests):
        wire.request(unsent_bytes=unsent + 1024 * 1024)


def test_a_plugin_can_ask_for_fewer_requests_at_once() -> None:
    wire = Wire(limits={"streams": 1})
    first, second = wire.request(), wire.request()
    assert [frame["id"] for frame in wire.sent()] == [first]
    wire.say(head(first))
    assert [frame["id"] for frame in wire.sent()] == [second]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 99},
        {"status": 600},
        {"headers": [["A", "b\r\nSet-Cookie: c"]]},
        {"headers": [["A B", "c"]]},
        {"status": "200"},
        {"headers": {"A": "b"}},
        {"headers": [["A"]]},
        {"body": "other"},
        {"body": "inline", "text": 7},
        {"status": 99, "body": "stream"},
    ],
)
def test_a_bad_answer_fails_its_own_request_only(fields: dict[str, Any]) -> None:
    wire = Wire()
    bad, good = wire.request(), wire.request()
    failed, answered = wire.say(head(bad, **fields), head(good))
    assert isinstance(failed, told.Failed)
    assert (failed.id, failed.code, failed.status) == (bad, "BAD_ANSWER", 502)
    assert isinstance(answered, told.Answered)


def test_a_late_or_repeated_answer_is_dropped_and_counted() -> None:
    wire = Wire()
    wire.request()
    wire.say(head(1))
    assert wire.say(head(1), encode_data(1, b"x", FLAG_END)) == []
    assert wire.session.dropped == 2


@pytest.mark.parametrize("request_id", [3, 2, 0, 2**32 - 1])
def test_an_answer_to_what_was_never_asked_ends_the_connection(request_id: int) -> None:
    wire = Wire()
    wire.request()
    assert "never was" in wire.fault(head(request_id)).sentence


def test_an_answer_to_a_request_that_still_waits_ends_the_connection() -> None:
    wire = Wire(limits={"streams": 1})
    wire.request()
    assert "never was" in wire.fault(head(wire.request())).sentence


def test_a_request_without_a_head_in_time_fails_with_504_and_is_cancelled() -> None:
    wire = Wire()
    number = wire.request(deadline_s=30.0)
    wire.sent()
    wire.say({"type": "pong"})
    assert wire.tick(29.9) == []
    (failed,) = wire.tick(0.2)
    assert isinstance(failed, told.Failed)
    assert (failed.id, failed.code, failed.status) == (number, "DEADLINE", 504)
    assert {"type": "cancel", "id": number, "reason": failed.sentence} in wire.sent()
    assert wire.say(head(number)) == []
    assert wire.session.dropped == 1


def test_a_cancelled_request_holds_its_place_until_the_plugin_has_ended_it() -> None:
    wire = Wire(limits={"streams": 1})
    first, second, third = wire.request(), wire.request(), wire.request()
    wire.session.cancel(first, "The browser has left.", wire.now)
    wire.session.cancel(second, "The browser has left.", wire.now)
    sent = wire.sent()
    assert sent[-1] == {"type": "cancel", "id": first, "reason": "The browser has left."}
    assert [frame["type"] for frame in sent].count("cancel") == 1
    assert wire.session.open_requests == 0
    wire.say({"type": "error", "id": first, "code": "CANCELLED", "message": ""})
    assert [frame["id"] for frame in wire.sent()] == [third]


def test_a_plugin_that_never_ends_a_cancelled_request_holds_its_place_for_five_seconds() -> None:
    wire = Wire(limits={"streams": 1})
    first, second = wire.request(), wire.request()
    wire.session.cancel(first, "Gone.", wire.now)
    wire.sent()
    wire.tick(4.9)
    assert wire.sent() == []
    wire.tick(0.2)
    assert [frame["id"] for frame in wire.sent()] == [second]


@pytest.mark.parametrize(
    ("code", "status"),
    [("BUSY", 503), ("NOT_READY", 503), ("DEADLINE", 504), ("INTERNAL", 502), ("STRANGE", 502)],
)
def test_an_error_answers_its_request(code: str, status: int) -> None:
    wire = Wire()
    number = wire.request()
    error = {"type": "error", "id": number, "code": code, "message": "Why.", "retryable": True}
    (failed,) = wire.say(error)
    assert isinstance(failed, told.Failed)
    assert (failed.id, failed.code, failed.status, failed.retryable) == (number, code, status, True)
    assert "Why." in failed.sentence


def test_a_plugin_can_give_a_request_up() -> None:
    wire = Wire()
    (failed,) = wire.say({"type": "cancel", "id": wire.request(), "reason": "x"})
    assert isinstance(failed, told.Failed)
    assert failed.code == "CANCELLED"
    assert wire.say({"type": "cancel", "id": 1}, {"type": "cancel", "id": 8}) == []
    assert wire.session.dropped == 2


# Streamed answers


def begin(wire: Wire, **fields: Any) -> int:
    """Make a request whose answer has begun; return its id."""
    number = wire.request()
    answered = told.Answered(number, HttpAnswer(200, tuple(fields.get("headers", ())), None))
    more = {"headers": [list(header) for header in fields.get("headers", ())]}
    assert wire.say(head(number, body="stream", **more)) == [answered]
    wire.sent()
    return number


def test_a_streamed_answer_is_told_as_it_comes_and_its_credit_given_back_as_it_is_taken() -> None:
    wire = Wire()
    number = begin(wire)
    granted = 256 * 1024
    for index in range(40):
        piece = bytes([index]) * 65_536
        last = index == 39
        told_now = wire.say(encode_data(number, piece, FLAG_END if last else 0))
        assert told_now == [told.BodyCame(number, piece, last)]
        wire.session.take(number, len(piece), wire.now)
        windows = wire.sent()
        granted += sum(window["add"] for window in windows if window["id"] == number)
        assert granted - 65_536 * (index + 1) >= 65_536 or last, "the plugin would stand still"
    assert wire.session.open_requests == 0


def test_what_is_not_taken_gives_no_credit_back_and_is_never_late() -> None:
    wire = Wire()
    number = begin(wire)
    for _ in range(4):
        wire.say(encode_data(number, bytes(65_536)))
    assert not [frame for frame in wire.sent() if frame.get("id") == number]
    for _ in range(100):
        wire.say({"type": "pong"})
        assert wire.tick(9) == []
    wire.session.take(number, 65_536, wire.now)
    assert not [frame for frame in wire.sent() if frame["type"] == "window"]
    wire.session.take(number, 65_536, wire.now)
    assert {"type": "window", "id": number, "add": 131_072} in wire.sent()
    wire.session.take(number, 131_072, wire.now)
    wire.sent()
    failed = [event for event in (*wire.tick(59), *wire.tick(2)) if isinstance(event, told.Failed)]
    assert [event.status for event in failed] == [504]


def test_the_credit_of_the_connection_comes_back_too() -> None:
    wire = Wire(limits={"connection_credit": 100_000})
    number = begin(wire)
    wire.say(encode_data(number, bytes(49_999)))
    assert not [frame for frame in wire.sent() if frame["type"] == "window"]
    wire.say(encode_data(number, b"x"))
    assert {"type": "window", "id": 0, "add": 50_000} in wire.sent()


def test_data_beyond_the_credit_ends_the_connection() -> None:
    wire = Wire(limits={"stream_credit": 1000})
    number = begin(wire)
    assert wire.fault(encode_data(number, bytes(1001))).wire_code == "FLOW"
    wire = Wire(limits={"connection_credit": 1000})
    assert wire.fault(encode_data(begin(wire), bytes(1001))).wire_code == "FLOW"


def test_a_body_that_stands_still_for_a_minute_fails_with_504() -> None:
    wire = Wire()
    number = begin(wire)
    wire.now += 50
    wire.say(encode_data(number, b"x"))
    wire.session.take(number, 1, wire.now)
    assert not [event for event in wire.tick(59) if isinstance(event, told.Failed)]
    failed = [event for event in wire.tick(2) if isinstance(event, told.Failed)]
    assert [event.status for event in failed] == [504]


def test_event_streams_do_not_count_and_are_never_late() -> None:
    wire = Wire(limits={"streams": 1})
    lasting = [begin(wire, headers=[("Content-Type", "Text/Event-Stream")]) for _ in range(10)]
    assert wire.session.open_requests == 10
    for _ in range(100):
        wire.say({"type": "pong"})
        assert wire.tick(9) == []
    assert wire.say(encode_data(lasting[3], b"data: x\n\n")) == [
        told.BodyCame(lasting[3], b"data: x\n\n", False)
    ]
    wire.session.cancel(lasting[0], "The browser has left.", wire.now)
    assert wire.sent()[-1]["type"] == "cancel"
    ended = wire.session.goaway(wire.now)
    assert [type(event) for event in ended] == [told.Failed] * 9 + [told.Drained]


def test_too_many_event_streams_are_refused() -> None:
    wire = Wire()
    for _ in range(1024):
        begin(wire, headers=[("Content-Type", "text/event-stream")])
    number = wire.request()
    headers = [["Content-Type", "text/event-stream"]]
    (failed,) = wire.say(head(number, body="stream", headers=headers))
    assert isinstance(failed, told.Failed)
    assert (failed.id, failed.status) == (number, 503)


# Streamed requests


def data_of(frames: list[Any], number: int) -> bytes:
    return b"".join(f.payload for f in frames if isinstance(f, DataFrame) and f.id == number)


def test_a_body_goes_up_in_frames_as_credit_allows() -> None:
    wire = Wire()
    number = wire.request(method="POST", body=None)
    (asked,) = wire.sent()
    assert (asked["body"], "text" in asked) == ("stream", False)
    first = bytes(range(256)) * 400
    assert wire.session.write(number, first, end=False, now=wire.now)
    frames = wire.sent()
    assert [len(frame.payload) for frame in frames] == [65_536, 36_864]
    assert data_of(frames, number) == first
    second = bytes(300_000)
    assert not wire.session.write(number, second, end=True, now=wire.now)
    sent = data_of(wire.sent(), number)
    assert len(first) + len(sent) == 256 * 1024
    assert wire.say({"type": "window", "id": number, "add": 100_000}) == []
    sent += data_of(wire.sent(), number)
    assert wire.say({"type": "window", "id": number, "add": 10**9}) == [told.MayWrite(number)]
    rest = wire.sent()
    assert sent + data_of(rest, number) == second
    assert [frame.end for frame in rest] == [False] * (len(rest) - 1) + [True]


def test_the_end_of_a_body_may_be_an_empty_frame() -> None:
    wire = Wire()
    number = wire.request(body=None)
    assert wire.session.write(number, b"", end=False, now=wire.now)
    assert wire.session.write(number, b"", end=True, now=wire.now)
    _, ended = wire.sent()
    assert (ended.payload, ended.end) == (b"", True)


def test_all_bodies_share_the_credit_of_the_connection() -> None:
    wire = Wire(limits={"connection_credit": 1000})
    first, second = wire.request(body=None), wire.request(body=None)
    wire.sent()
    assert wire.session.write(first, bytes(900), end=False, now=wire.now)
    assert not wire.session.write(second, bytes(200), end=False, now=wire.now)
    assert len(data_of(wire.sent(), second)) == 100
    assert wire.say({"type": "window", "id": 0, "add": 100}) == [told.MayWrite(second)]
    assert len(data_of(wire.sent(), second)) == 100


def test_a_body_waits_with_its_request() -> None:
    wire = Wire(limits={"streams": 1})
    first, second = wire.request(), wire.request(body=None)
    assert not wire.session.write(second, b"abc", end=True, now=wire.now)
    assert [frame["id"] for frame in wire.sent()] == [first]
    assert wire.say(head(first))[-1] == told.MayWrite(second)
    asked, body = wire.sent()
    assert (asked["id"], body.payload, body.end) == (second, b"abc", True)


def test_the_time_for_the_head_begins_when_the_body_has_ended() -> None:
    wire = Wire()
    number = wire.request(body=None, deadline_s=30.0)
    wire.session.write(number, b"a", end=False, now=wire.now)
    for _ in range(20):
        wire.say({"type": "pong"})
        assert wire.tick(9) == []
    wire.session.write(number, b"b", end=True, now=wire.now)
    assert not [event for event in wire.tick(29) if isinstance(event, told.Failed)]
    assert [event for event in wire.tick(2) if isinstance(event, told.Failed)]


def test_a_plugin_that_takes_nothing_of_a_body_for_a_minute_is_late() -> None:
    wire = Wire()
    number = wire.request(body=None)
    assert not wire.session.write(number, bytes(300_000), end=False, now=wire.now)
    assert not [event for event in wire.tick(59) if isinstance(event, told.Failed)]
    assert [event for event in wire.tick(2) if isinstance(event, told.Failed)]


def test_an_answer_before_the_end_of_the_body_stops_it() -> None:
    wire = Wire()
    number = wire.request(body=None)
    wire.session.write(number, b"a", end=False, now=wire.now)
    wire.sent()
    answered = told.Answered(number, HttpAnswer(413, (), b""))
    assert wire.say(head(number, status=413)) == [answered]
    assert wire.sent() == [{"type": "cancel", "id": number, "reason": "The request is answered."}]
    assert wire.session.write(number, b"more", end=True, now=wire.now)
    assert wire.sent() == []


# WebSockets


def open_socket(wire: Wire) -> int:
    number = wire.socket()
    assert wire.say({"type": "ws_accept", "id": number}) == [told.SocketOpened(number)]
    wire.sent()
    return number


def test_a_websocket_is_asked_for_and_taken() -> None:
    wire = Wire()
    number = wire.socket()
    assert wire.sent() == [
        {
            "type": "ws_open",
            "id": number,
            "path": "/a",
            "query": "b=c",
            "headers": [["A", "1"]],
            "user": "ann",
            "role": "admin",
        }
    ]
    assert wire.say({"type": "ws_accept", "id": number}) == [told.SocketOpened(number)]
    assert "no WebSocket" in wire.fault({"type": "ws_accept", "id": number}).sentence


def test_messages_go_both_ways_in_fragments() -> None:
    wire = Wire()
    number = open_socket(wire)
    assert wire.session.write(number, bytes(70_000), end=True, now=wire.now, text=True)
    frames = wire.sent()
    assert [(len(f.payload), f.text, f.end) for f in frames] == [
        (65_536, True, False),
        (4464, True, True),
    ]
    assert wire.session.write(number, b"", end=True, now=wire.now)
    (empty,) = wire.sent()
    assert (empty.payload, empty.text, empty.end) == (b"", False, True)
    heard = wire.say(encode_data(number, b"a", 2), encode_data(number, b"b", FLAG_END | 2))
    assert heard == [
        told.SocketCame(number, b"a", True, False),
        told.SocketCame(number, b"b", True, True),
    ]


def test_either_side_closes_a_websocket() -> None:
    wire = Wire()
    first, second = open_socket(wire), open_socket(wire)
    closing = {"type": "ws_close", "id": first, "code": 4000}
    assert wire.say(closing) == [told.SocketClosed(first, 4000)]
    assert wire.session.close_socket(second, 1001, wire.now) == []
    assert wire.sent() == [{"type": "ws_close", "id": second, "code": 1001}]
    late = encode_data(second, b"late", FLAG_END)
    assert wire.say(late, {**closing, "id": second}) == []
    assert wire.session.dropped == 2
    assert wire.session.open_requests == 0


def test_a_websocket_can_be_refused() -> None:
    wire = Wire()
    first, second, third = (wire.socket() for _ in range(3))
    refused = wire.say(
        {"type": "error", "id": first, "code": "DENIED", "message": "Not for you."},
        head(second, status=404, body="inline", text="{}"),
        {"type": "ws_close", "id": third, "code": 1000},
    )
    assert isinstance(refused[0], told.Failed)
    assert refused[1] == told.Answered(second, HttpAnswer(404, (), b"{}"))
    assert isinstance(refused[2], told.Failed)


def test_websockets_do_not_count_and_end_when_the_plugin_is_stopped() -> None:
    wire = Wire(limits={"streams": 1})
    numbers = [open_socket(wire) for _ in range(200)]
    assert wire.session.open_requests == 200
    events = wire.session.goaway(wire.now)
    assert events == [*(told.SocketClosed(number, 1001) for number in numbers), told.Drained()]


def test_a_websocket_that_is_not_taken_in_time_is_given_up() -> None:
    wire = Wire()
    number = wire.socket()
    assert not [event for event in wire.tick(29) if isinstance(event, told.Failed)]
    (failed,) = [event for event in wire.tick(2) if isinstance(event, told.Failed)]
    assert (failed.id, failed.status) == (number, 504)


@pytest.mark.parametrize("kind", ["ws_accept", "ws_close"])
def test_what_is_said_of_a_websocket_that_is_none_ends_the_connection(kind: str) -> None:
    assert "never was" in Wire().fault({"type": kind, "id": 9}).sentence
    wire = Wire()
    assert "WebSocket" in wire.fault({"type": kind, "id": wire.request()}).sentence


# Nonsense about data


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ((encode_data(1, b"x"),), "before its head"),
        ((encode_data(5, b"x"),), "never was"),
        ((encode_data(2, b"x"),), "never was"),
        ((head(1, body="stream"), head(1)), "second head"),
    ],
)
def test_data_that_belongs_to_nothing_ends_the_connection(frames: Any, words: str) -> None:
    wire = Wire()
    wire.request()
    assert words in wire.fault(*frames).sentence


# Calls


def test_a_call_is_answered_or_refused_once() -> None:
    wire = Wire()
    assert wire.say(call(2), call(4, deadline_ms=100)) == [
        told.Called(2, "kv.get", {"key": "a"}, 5.0),
        told.Called(4, "kv.get", {"key": "a"}, 0.1),
    ]
    wire.session.answer_call(2, {"value": "ä"})
    wire.session.refuse_call(4, "CONFLICT", "Another version is there.")
    wire.session.answer_call(4, 1)
    wire.session.refuse_call(2, "DENIED", "No.")
    assert wire.sent() == [
        {"type": "result", "id": 2, "value": {"value": "ä"}},
        {
            "type": "error",
            "code": "CONFLICT",
            "id": 4,
            "message": "Another version is there.",
            "retryable": False,
        },
    ]
    assert wire.session.open_calls == 0


def test_calls_may_come_before_the_plugin_is_ready() -> None:
    wire = Wire(ready=False)
    wire.say(HELLO_OK)
    assert isinstance(wire.say(call(2))[0], told.Called)


def test_a_33rd_open_call_is_refused_as_busy() -> None:
    wire = Wire()
    assert len(wire.say(*(call(number) for number in range(2, 68, 2)))) == 32
    (error,) = wire.sent()
    assert (error["id"], error["code"], error["retryable"]) == (66, "BUSY", True)
    wire.session.answer_call(2, None)
    assert len(wire.say(call(68))) == 1


def test_a_201st_call_within_a_second_is_refused_as_busy() -> None:
    wire = Wire()
    for number in range(2, 404, 2):
        wire.say(call(number))
        wire.session.answer_call(number, None)
    codes = [frame.get("code") for frame in wire.sent()]
    assert codes == [None] * 200 + ["BUSY"]
    wire.now += 1.0
    assert len(wire.say(call(404))) == 1


@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_call_with_the_cores_ids_ends_the_connection(number: int) -> None:
    assert "even" in Wire().fault(call(number)).sentence


def test_a_call_with_an_id_that_was_used_ends_the_connection() -> None:
    wire = Wire()
    wire.say(call(2))
    wire.session.answer_call(2, None)
    assert "twice" in wire.fault(call(2)).sentence


def test_ids_of_calls_need_no_order_and_cost_no_memory() -> None:
    wire = Wire()
    for number in [40, 2, 8, *range(100, 20_100, 2)]:
        wire.now += 0.01
        assert len(wire.say(call(number))) == 1
        wire.session.answer_call(number, None)
    assert len(wire.session._calls._recent_ids) == 4096


def test_a_cancelled_or_late_call_is_over_for_both_sides() -> None:
    wire = Wire()
    wire.say(call(2), call(4, deadline_ms=1000))
    assert wire.say({"type": "cancel", "id": 2}) == [told.CallEnded(2, "cancelled")]
    assert wire.tick(1.1) == [told.CallEnded(4, "deadline")]
    assert [frame["code"] for frame in wire.sent()] == ["CANCELLED", "DEADLINE"]
    wire.session.answer_call(2, 1)
    wire.session.answer_call(4, 1)
    assert wire.sent() == []


def test_a_result_that_is_too_large_is_an_error() -> None:
    wire = Wire()
    wire.say(call(2))
    wire.session.answer_call(2, "x" * 1024 * 1024)
    assert [frame["code"] for frame in wire.sent()] == ["INTERNAL"]


# Liveness and health


def test_silence_is_pinged_and_three_misses_are_told() -> None:
    wire = Wire()
    assert wire.tick(9.9) == []
    assert wire.sent() == []
    assert wire.tick(0.1) == []
    assert wire.sent() == [{"type": "ping", "n": 1}]
    assert wire.tick(4.9) == []
    found = [wire.tick(0.1), wire.tick(5), wire.tick(5)]
    assert found == [[told.PingMissed()]] * 3
    assert [frame["n"] for frame in wire.sent()] == [2, 3, 4]
    assert wire.say({"type": "pong", "n": 4}) == [told.Alive()]
    assert wire.say({"type": "pong", "n": 4}) == []


def test_any_frame_is_a_sign_of_life() -> None:
    wire = Wire()
    for _ in range(20):
        wire.now += 9
        wire.say({"type": "window", "id": 0, "add": 1})
        assert wire.session.tick(wire.now) == []
    assert not [frame for frame in wire.sent() if frame["type"] == "ping"]


def test_a_ping_is_answered() -> None:
    wire = Wire()
    wire.say({"type": "ping", "n": 9})
    assert wire.sent() == [{"type": "pong", "n": 9}]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"type": "health", "ok": True}, (True, "")),
        ({"type": "health", "ok": False, "text": "Disk full."}, (False, "Disk full.")),
        ({"type": "health"}, (False, "")),
        ({"type": "result", "value": {"ok": True}}, (True, "")),
        ({"type": "result", "value": {"ok": False, "text": "No."}}, (False, "No.")),
        ({"type": "result", "value": None}, (True, "")),
        ({"type": "result", "value": "bad"}, (False, "")),
        ({"type": "error", "code": "INTERNAL", "message": "Oh."}, (False, "Oh. (INTERNAL)")),
    ],
)
def test_the_answer_to_health_is_read(answer: dict[str, Any], found: tuple[bool, str]) -> None:
    wire = Wire()
    assert wire.session.ask_health() == []
    (asked,) = wire.sent()
    assert asked["type"] == "health"
    assert wire.say({**answer, "id": asked["id"]}) == [told.HealthAnswered(*found)]
    if answer["type"] != "error":
        assert wire.say({**answer, "id": asked["id"]}) == []
        assert wire.session.dropped == 1


def test_no_answer_to_health_is_a_bad_one() -> None:
    wire = Wire()
    wire.session.ask_health()
    assert wire.session.ask_health() == [
        told.HealthAnswered(False, "It did not say how it is."),
    ]


# Ending


def test_goaway_fails_what_waits_and_drains_what_is_open() -> None:
    wire = Wire(limits={"streams": 1})
    first, second = wire.request(), wire.request()
    wire.say(call(2))
    wire.sent()
    (failed,) = wire.session.goaway(wire.now)
    assert isinstance(failed, told.Failed)
    assert (failed.id, failed.status) == (second, 503)
    assert wire.sent() == [{"type": "goaway", "last_id": second}]
    with pytest.raises(Unavailable, match="stopped"):
        wire.request()
    assert [type(event) for event in wire.say(head(first))] == [told.Answered]
    assert wire.session.answer_call(2, None) == [told.Drained()]
    assert wire.session.goaway(wire.now) == []
    wire.session.shutdown()
    assert wire.sent()[-1] == {"type": "shutdown"}


def test_a_connection_with_nothing_open_is_drained_at_once() -> None:
    assert Wire().session.goaway(0.0) == [told.Drained()]


def test_a_plugin_that_goes_away_keeps_what_it_has_taken_and_gets_no_more() -> None:
    wire = Wire()
    first, second = wire.request(), wire.request()
    failed, going = wire.say({"type": "goaway", "last_id": first})
    assert isinstance(failed, told.Failed)
    assert (failed.id, failed.status, going) == (second, 503, told.GoingAway())
    with pytest.raises(Unavailable):
        wire.request()
    assert [type(event) for event in wire.say(head(first))] == [told.Answered]


@pytest.mark.parametrize("code", ["BAD_FRAME", "TOO_LARGE", "FLOW"])
def test_an_error_that_ends_the_connection_is_not_answered(code: str) -> None:
    fault = Wire().fault({"type": "error", "code": code, "message": "You erred."})
    assert fault.sentence == f"It ended the connection: You erred. ({code})"


def test_other_errors_about_nothing_are_worth_a_line() -> None:
    assert Wire().say({"type": "error", "code": "INTERNAL", "message": "x" * 9999}) == [
        told.PeerError("INTERNAL", "x" * 4096 + " (INTERNAL)")
    ]


@pytest.mark.parametrize(
    "kind",
    ["what", "hello", "init", "http", "shutdown", "event", "ws_open"],
)
def test_a_message_that_is_not_taken_is_answered_and_the_connection_stays(kind: str) -> None:
    samples: dict[str, dict[str, Any]] = {
        "hello": {"protocols": [2], "instance": "x"},
        "init": {"instance_id": "", "config": {}, "data_dir": "", "log_path": ""},
        "http": {"method": "GET", "path": "/", "query": "", "deadline_ms": 1, "body": "none"},
        "event": {"name": "x"},
    }
    more = {"headers": [], "user": "", "role": "", "path": "/"}
    wire = Wire()
    assert wire.say({**more, **samples.get(kind, {}), "type": kind, "id": 8}) == []
    (error,) = wire.sent()
    assert error["code"] == "UNKNOWN_TYPE"
    assert error["id"] in (0, 8)
    assert wire.say({"type": "window", "id": 0, "add": 5}) == []


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "call", "id": 2},
        {"type": "call", "id": "2", "method": "x"},
        {"type": "call", "id": 2**32, "method": "x"},
        {"type": "call", "id": -2, "method": "x"},
        {"type": "call", "id": 2, "method": "x", "params": []},
        {"type": "error"},
        {"type": "http_head"},
        {"type": "http_head", "id": 1.5, "status": 200},
        {"type": "window", "id": 0, "add": -1},
        {"type": "status", "extend_ms": -1},
        {"type": "ping", "n": "x"},
    ],
)
def test_a_message_with_wrong_fields_ends_the_connection(frame: dict[str, Any]) -> None:
    assert Wire().fault(frame).wire_code == "BAD_FRAME"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (struct.pack("!I", 0), "TOO_LARGE"),
        (struct.pack("!I", 2**32 - 1), "TOO_LARGE"),
        (struct.pack("!I", 1024 * 1024 + 1) + b"{", "TOO_LARGE"),
        (struct.pack("!I", 65_545) + b"\1", "TOO_LARGE"),
        (struct.pack("!I", 4) + b"{abc", "BAD_FRAME"),
        (struct.pack("!I", 4) + b"\2abc", "BAD_FRAME"),
    ],
)
def test_broken_framing_ends_the_connection(data: bytes, code: str) -> None:
    assert Wire().fault(data).wire_code == code


def test_what_came_before_a_fault_is_not_lost() -> None:
    wire = Wire()
    wire.request()
    wire.fault(head(1), {"type": "call", "id": 3, "method": "x"})
    assert [type(event) for event in wire.session.take_events()] == [told.Answered]


def test_half_a_frame_may_take_ten_seconds() -> None:
    wire = Wire()
    data = encode_json({"type": "ping"})
    for byte in data[:9]:
        wire.say(bytes([byte]))
        wire.tick(1)
    with pytest.raises(ProtocolFault, match="not whole"):
        wire.tick(1)


def test_a_frame_that_begins_behind_another_has_its_own_ten_seconds() -> None:
    wire = Wire()
    data = encode_json({"type": "pong"})
    wire.say(data[:5])
    for _ in range(5):
        wire.tick(9)
        wire.say(data[5:] + data[:5])
    assert wire.session.phase == "ready"


# Nonsense

FIELDS = st.dictionaries(
    st.sampled_from(["id", "status", "headers", "body", "text", "method", "params", "code", "add"]),
    st.none() | st.integers(-2, 9) | st.text(max_size=4) | st.just([]) | st.just("stream"),
)
KINDS = [
    *("hello_ok", "ready", "status", "http_head", "cancel", "window", "ws_accept", "call", "error"),
    *("result", "ping", "pong", "goaway", "health", "http", "what"),
]
FRAMES = st.one_of(
    st.builds(lambda kind, more: {**more, "type": kind}, st.sampled_from(KINDS), FIELDS).map(
        encode_json
    ),
    st.builds(head, st.integers(0, 9), body=st.sampled_from(["none", "stream"])).map(encode_json),
    st.builds(call, st.integers(0, 9)).map(encode_json),
    st.builds(encode_data, st.integers(0, 9), st.binary(max_size=9), st.integers(0, 3)),
    st.binary(max_size=9),
)


def outcome(data: bytes, cuts: list[int]) -> tuple[list[SessionEvent], str, list[Any]]:
    """Return the events, the fault and the bytes that come of ``data``, cut anywhere."""
    wire = Wire()
    for _ in range(3):
        wire.request()
    events: list[SessionEvent] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    fault = ""
    try:
        for start, end in itertools.pairwise(edges):
            events += wire.say(data[start:end])
    except ToruError as error:
        assert isinstance(error, ProtocolFault)
        fault = error.sentence
        events += wire.session.take_events()
    return events, fault, wire.sent()


def is_ending(event: SessionEvent) -> bool:
    match event:
        case told.Answered(answer=answer):
            return answer.body is not None
        case told.BodyCame(end=end):
            return end
    return isinstance(event, told.Failed | told.SocketClosed)


@settings(max_examples=200, deadline=None)
@given(frames=st.lists(FRAMES, max_size=8), cuts=st.lists(st.integers(0, 2000), max_size=9))
def test_nonsense_is_told_answered_or_a_fault_however_it_is_cut(
    frames: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(frames)
    whole = outcome(data, [])
    assert outcome(data, cuts) == whole
    ended = [e.id for e in whole[0] if is_ending(e)]
    assert len(ended) == len(set(ended)), "a request has two endings"


def test_a_conversation_cut_at_every_byte_says_the_same() -> None:
    data = b"".join(
        [
            encode_json(head(1, body="inline", text="hä")),
            encode_json(call(2)),
            encode_json(head(3, body="stream")),
            encode_data(3, b"abc"),
            encode_data(3, b"def", FLAG_END),
            encode_json({"type": "error", "id": 5, "code": "INTERNAL"}),
        ]
    )
    whole = outcome(data, [])
    assert len(whole[0]) == 6
    assert whole[1] == ""
    for cut in range(len(data)):
        assert outcome(data, [cut]) == whole
    assert outcome(data, list(range(len(data)))) == whole


def test_ids_are_never_used_twice_and_end_before_they_wrap() -> None:
    wire = Wire()
    wire.session._exchange.streams._next_id = 2**32 - 1
    assert wire.request() == 2**32 - 1
    with pytest.raises(Unavailable, match="anew"):
        wire.request()
