"""Slow, endless, oversized and malformed requests: refused, and no memory lost on them.

Runs on: the test's event loop for short time limits, against a real hub for the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import time
from typing import Annotated, Any, ClassVar

import msgspec
import psutil
import pytest

from tests.support.hub import HubProcess
from tests.support.raw_http import RawAnswer, exchange, parse, read_answer, request
from tests.support.web_app import WebStage
from toru.domain.permissions import Access
from toru.errors import ActorCrashed, Conflict, DeadlineExceeded, Unavailable
from toru.web.app import collect_routes
from toru.web.base import INTERNAL_SENTENCE, ApiHandler, Body, Query, Route, SmallInt
from toru.web.openapi import operation

MIB = 1 << 20


class EchoBody(Body, frozen=True):
    """What `Echo` takes."""

    name: str
    count: SmallInt = 0
    tags: list[Annotated[str, msgspec.Meta(max_length=5)]] = msgspec.field(default_factory=list)


class EchoQuery(Query, frozen=True):
    """What `Echo` takes in the query."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    flag: bool = False
    q: str | None = None


class Echo(ApiHandler):
    """Answers what it was sent."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon", "POST": "anon"}
    body_timeout_s: ClassVar[float | None] = 0.4

    @operation(summary="Echo the query.", query=EchoQuery, answer=EchoQuery)
    def get(self) -> None:
        """Answer the query."""
        self.answer(self.query(EchoQuery))

    @operation(summary="Echo the body.", body=EchoBody, answer=EchoBody)
    def post(self) -> None:
        """Answer the body."""
        self.answer(self.body(EchoBody))


class Failing(ApiHandler):
    """Fails as it is told to."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}
    errors: ClassVar[dict[str, Exception]] = {
        "bug": ZeroDivisionError("secret detail"),
        "crash": ActorCrashed("auth failed while it handled the message."),
        "busy": Unavailable("Later."),
        "late": DeadlineExceeded("No answer."),
        "conflict": Conflict("Taken.", code="name_taken"),
    }

    @operation(summary="Fail.")
    async def get(self, kind: str) -> None:
        """Raise."""
        raise self.errors[kind]


ROUTES = [Route("/api/echo", Echo), Route("/api/fail/{kind}", Failing)]


async def send(port: int, *parts: bytes, pause_s: float = 0.0) -> RawAnswer:
    """Send the parts with pauses, read to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
    async with asyncio.timeout(20):
        try:
            received = await reader.read(-1)
        except ConnectionError:
            received = b""
    writer.close()
    return parse(received)


# Time


@pytest.mark.gen_test
async def test_headers_that_do_not_end_are_given_up(web: WebStage) -> None:
    port = await web.serve(ROUTES, idle_connection_timeout=0.3)
    parts = [b"GET /api/echo HTTP/1.1\r\n", *(b"X-%d: a\r\n" % n for n in range(40))]
    began = time.monotonic()
    answer = await send(port, *parts, pause_s=0.05)
    assert answer.status == 0
    assert time.monotonic() - began < 10
    assert not web.server._connections


@pytest.mark.gen_test
async def test_a_connection_that_says_nothing_is_given_up(web: WebStage) -> None:
    port = await web.serve(ROUTES, idle_connection_timeout=0.2)
    assert (await send(port)).status == 0
    assert not web.server._connections


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
async def test_a_body_that_trickles_is_refused(web: WebStage, framing: str) -> None:
    port = await web.serve(ROUTES)
    head = f"POST /api/echo HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode()
    chunk = b"x" if "Length" in framing else b"1\r\nx\r\n"
    answer = await send(port, head, *([chunk] * 20), pause_s=0.04)
    assert answer.status == 408
    assert answer.json["code"] == "timeout"


@pytest.mark.gen_test
async def test_a_body_that_stays_away_is_refused_and_others_are_served_meanwhile(
    web: WebStage,
) -> None:
    port = await web.serve(ROUTES)
    head = b"POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    slow = [asyncio.ensure_future(send(port, head)) for _ in range(100)]
    began = time.monotonic()
    assert (await send(port, request("GET", "/api/echo"))).status == 200
    assert time.monotonic() - began < 2
    assert {(await each).status for each in slow} == {408}
    async with asyncio.timeout(10):
        while web.server._connections:
            await asyncio.sleep(0.02)


@pytest.mark.gen_test
async def test_a_body_in_time_is_taken_however_it_is_cut(web: WebStage) -> None:
    port = await web.serve(ROUTES)
    body = b'{"name":"\xc3\xbcmlaut","count":3}'
    cut = [body[n : n + 1] for n in range(len(body))]
    head = request("POST", "/api/echo", f"Content-Length: {len(body)}")
    answer = await send(port, head, *cut)
    assert answer.json == {"name": "ümlaut", "count": 3, "tags": []}
    head = request("POST", "/api/echo", "Transfer-Encoding: chunked")
    chunks = [b"1\r\n" + each + b"\r\n" for each in cut]
    assert (await send(port, head, *chunks, b"0\r\n\r\n")).status == 200
    assert len(web.application.under_way) == 0


# Input


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "missing"),
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'"x"', "object"),
        (b"{}", "'name'"),
        (b'{"name":1}', "'name'"),
        (b'{"name":null}', "'name'"),
        (b'{"name":"a","count":"1"}', "'count'"),
        (b'{"name":"a","count":1.5}', "'count'"),
        (b'{"name":"a","count":true}', "'count'"),
        (b'{"name":"a","count":NaN}', "JSON"),
        (b'{"name":"a","count":Infinity}', "JSON"),
        (b'{"name":"a","count":1e999}', "count"),
        (b'{"name":"a","count":99999999999999999999}', "count"),
        (b'{"name":"a","count":' + b"9" * 10_000 + b"}", "count"),
        (b'{"name":"a","tags":["abcdef"]}', "'tags[0]'"),
        (b'{"name":"a","more":1}', "'more'"),
        (b'{"name":"a","\\u001b[31m`x`":1}', "unknown field"),
        (b'{"name":"\xff"}', "JSON"),
        (b'{"name":"\\ud800"}', "JSON"),
        (b'{"name":"a"} {"name":"b"}', "JSON"),
        (b'\xef\xbb\xbf{"name":"a"}', "JSON"),
        (b'{"tags":' + b"[" * 100_000, ""),
        (b"[" * 500_000, ""),
        (b'{"a":' * 100_000, ""),
        (b"\0" * 100, "JSON"),
    ],
)
async def test_a_bad_body_gets_a_sentence_that_names_what_is_wrong(
    web: WebStage, body: bytes, named: str
) -> None:
    port = await web.serve(ROUTES)
    answer = await send(port, request("POST", "/api/echo", f"Content-Length: {len(body)}") + body)
    assert answer.status == 400, answer
    assert named in answer.json["error"], answer
    assert answer.json["error"].endswith(".")
    assert len(answer.body) < 500
    assert "\x1b" not in answer.json["error"]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=", "limit=1&limit=2", "other=1", "flag=maybe",
     "limit=9999999999999999999999999", "q=%ff", "%ff=1", "limit=1.5"],
)  # fmt: skip
async def test_a_bad_query_is_refused(web: WebStage, query: str) -> None:
    port = await web.serve(ROUTES)
    answer = await send(port, request("GET", f"/api/echo?{query}"))
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")


@pytest.mark.gen_test
async def test_a_good_query_is_taken(web: WebStage) -> None:
    port = await web.serve(ROUTES)
    answer = await send(port, request("GET", "/api/echo?limit=7&flag=true&q=a%20b"))
    assert answer.json == {"limit": 7, "flag": True, "q": "a b"}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("", 200),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("multipart/form-data; boundary=x", 400),
        ("multipart/form-data", 400),
    ],
)
async def test_a_form_is_no_json(web: WebStage, content_type: str, status: int) -> None:
    port = await web.serve(ROUTES)
    headers = [f"Content-Type: {content_type}"] if content_type else []
    sent = request("POST", "/api/echo", *headers, body=b'{"name":"a"}')
    assert (await send(port, sent)).status == status


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("bug", 500, "internal"), ("crash", 500, "internal"), ("busy", 503, "unavailable"),
     ("late", 504, "deadline_exceeded"), ("conflict", 409, "name_taken")],
)  # fmt: skip
async def test_what_a_handler_raises_is_an_answer_without_a_traceback(
    web: WebStage, expect_log: Any, kind: str, status: int, code: str
) -> None:
    port = await web.serve(ROUTES)
    if kind == "bug":
        expect_log("GET /api/fail/bug failed", count=1)
    answer = await send(port, request("GET", f"/api/fail/{kind}"))
    assert (answer.status, answer.json["code"]) == (status, code)
    assert b"secret" not in answer.body
    assert (answer.json["error"] == INTERNAL_SENTENCE) == (status == 500)


@pytest.mark.gen_test
async def test_an_actor_that_is_not_there_is_a_503(web: WebStage) -> None:
    port = await web.serve()
    cookie = "Cookie: session_id=abc"
    for route in collect_routes():
        for method in route.handler.roles:
            if "{" in route.path or route.handler.roles[method] == "anon":
                continue
            answer = await send(port, request(method, route.path, cookie))
            assert answer.status == 503, (method, route.path)
            assert answer.json["code"] == "unavailable"


def test_a_body_or_query_that_lets_unknown_fields_pass_is_a_mistake_of_the_program() -> None:
    class Loose(msgspec.Struct):
        name: str

    with pytest.raises(TypeError):
        operation(summary="x", body=Loose)


# Size, against a real hub


@pytest.mark.parametrize("length", [MIB + 1, 2_000_000_000, 10**15, 10**30])
def test_a_body_that_announces_itself_as_too_long_is_refused_unread(
    hub: HubProcess, length: int
) -> None:
    began = time.monotonic()
    answer = exchange(
        hub.port, request("POST", "/api/users", f"Content-Length: {length}", "Expect: 100-continue")
    )
    assert answer.status == 413
    assert answer.json["code"] == "too_large"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_two_gigabytes_are_not_read_and_cost_no_memory(hub: HubProcess, framing: str) -> None:
    process = psutil.Process(hub.pid)
    before = process.memory_info().rss
    sent = 0
    with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as connection:
        header = (
            "Content-Length: 2000000000" if framing == "length" else "Transfer-Encoding: chunked"
        )
        connection.sendall(request("POST", "/api/users", header, f"Cookie: {hub.cookie}"))
        block = b"x" * MIB if framing == "length" else b"100000\r\n" + b"x" * MIB + b"\r\n"
        with contextlib.suppress(ConnectionError):
            while sent < 2_000_000_000:
                connection.sendall(block)
                sent += len(block)
        answer = read_answer(connection)
    assert answer.status == 413
    assert sent < 64 * MIB
    assert process.memory_info().rss - before < 32 * MIB


def test_a_client_that_sends_first_and_reads_later_still_gets_its_413(hub: HubProcess) -> None:
    answer = hub.http("POST", "/api/users", b"x" * (2 * MIB))
    assert answer.status == 413
    assert answer.json["error"] == "The body may have at most 1,048,576 bytes."


def test_a_body_of_the_limit_is_read(hub: HubProcess) -> None:
    answer = hub.http("POST", "/api/users", b" " * MIB)
    assert answer.status == 400


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/api/health", "X-Long: " + "a" * MIB),
        request("GET", "/" + "a" * MIB),
        request("GET", "/api/health", *(f"X-{n}: {'b' * 50}" for n in range(20_000))),
        b"a" * MIB,
    ],
    ids=["one header", "target", "many headers", "no end"],
)
def test_a_megabyte_of_headers_is_refused(hub: HubProcess, sent: bytes) -> None:
    process = psutil.Process(hub.pid)
    before = process.memory_info().rss
    for _ in range(5):
        answer = exchange(hub.port, sent)
        assert answer.status == 431
        assert answer.json["code"] == "headers_too_long"
    assert process.memory_info().rss - before < 16 * MIB


MALFORMED = {
    "no version": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
    "header without colon": request("GET", "/", "nonsense"),
    "space in a name": request("GET", "/", "A B: c"),
    "NUL in a value": request("GET", "/", "A: b\0c"),
    "two lengths": request("POST", "/api/users", "Content-Length: 1", "Content-Length: 2"),
    "negative length": request("POST", "/api/users", "Content-Length: -1"),
    "signed length": request("POST", "/api/users", "Content-Length: +1"),
    "length and chunks": request(
        "POST", "/api/users", "Content-Length: 5", "Transfer-Encoding: chunked"
    ),
    "unknown coding": request("POST", "/api/users", "Transfer-Encoding: gzip"),
    "bad chunk": request("POST", "/api/users", "Transfer-Encoding: chunked") + b"zz\r\n",
    "endless chunk size": request("POST", "/api/users", "Transfer-Encoding: chunked") + b"0" * 999,
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_http_gets_a_400_in_json(hub: HubProcess, sent: bytes) -> None:
    answer = exchange(hub.port, sent)
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 50\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"]
)
def test_a_client_that_leaves_in_mid_body_leaves_nothing_behind(
    hub: HubProcess, framing: bytes
) -> None:
    process = psutil.Process(hub.pid)
    hub.get("/api/health")
    before = process.num_fds()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", hub.port)) as connection:
            connection.sendall(b"POST /api/users HTTP/1.1\r\nHost: localhost\r\n" + framing)
    deadline = time.monotonic() + 10
    while process.num_fds() > before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_bad_bodies_on_every_route_are_never_a_fault(hub: HubProcess) -> None:
    bodies = [b"", b"{", b"[]", b"null", b'{"x":NaN}', b"[" * 50_000, b"\xff", b'{"no_such":1}']
    for route in collect_routes():
        path = route.path.replace("{", "").replace(":int}", "").replace("}", "")
        for method in sorted(set(route.handler.roles) & {"POST", "PUT", "PATCH"}):
            if path.endswith("logout"):
                continue
            for body in bodies:
                answer = hub.http(method, path, body or None)
                assert 400 <= answer.status < 500, (method, path, body[:20], answer)
                assert json.loads(answer.body)["code"]


def test_a_thousand_idle_connections_cost_little(hub: HubProcess) -> None:
    count = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    process = psutil.Process(hub.pid)
    before = process.memory_info().rss
    with contextlib.ExitStack() as stack:
        waits_s = []
        for _ in range(count):
            began = time.monotonic()
            connection = socket.create_connection(("127.0.0.1", hub.port))
            waits_s.append(time.monotonic() - began)
            stack.callback(connection.close)
            connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert max(waits_s) < 0.9, "a full queue of the listener makes clients wait for a second"
        assert hub.http("GET", "/api/health").status == 200
        assert process.memory_info().rss - before < 64 * MIB
