"""The core in memory for authors' tests; and the library beside the hub's own codec."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from toru_plugin import CallError, HttpError, NeedsConfiguration, Plugin, PluginError, Response
from toru_plugin.testing import PluginTest

from tests.sdk.core import Wire, python_plugin, running
from toru.wire import plugin_session, plugin_v1
from toru.wire import plugin_session_events as told
from toru.wire.plugin_http import HttpAnswer, HttpRequest


def make_plugin() -> Plugin:
    return Plugin(id="a", name="A", version="1", route="/a")


def test_requests_keys_logs_and_events_are_seen_by_the_test() -> None:
    plugin = make_plugin()

    @plugin.post("/items/{id}")
    async def put(request: Any, id: str) -> dict[str, Any]:  # noqa: A002 - the route's name
        await plugin.kv.set(id, json.dumps(request.json()))
        plugin.log.info("stored", id=id)
        await plugin.events.emit("stored", {"id": id})
        return {"user": request.user, "query": request.query}

    @plugin.get("/items/{id}")
    def get(_: Any, id: str) -> Any:  # noqa: A002 - as above
        found = plugin.kv.get(id)
        if found is None:
            raise HttpError(404, "no such item")
        return json.loads(found)

    async def scenario() -> None:
        async with PluginTest(plugin, kv={"old": "1"}) as test:
            answer = await test.post("/items/x?a=1", json=[1, 2], user="bo")
            assert (answer.status, answer.json()) == (200, {"user": "bo", "query": {"a": "1"}})
            assert (await test.get("/items/x")).json() == [1, 2]
            assert (await test.get("/items/y")).status == 404
            assert test.kv == {"old": "1", "x": "[1, 2]"}
            await asyncio.sleep(0)
            assert [(log.level, log.message, log.fields) for log in test.logs] == [
                ("info", "stored", {"id": "x"})
            ]
            assert test.events == [("stored", {"id": "x"})]

    asyncio.run(scenario())


def test_the_core_in_memory_keeps_the_core_s_rules() -> None:
    plugin = make_plugin()

    async def scenario() -> None:
        async with PluginTest(plugin, config={"colour": "blue"}) as test:
            kv = plugin.kv
            assert plugin.config == {"colour": "blue"}
            first = await kv.set("a", "1", if_version=0)
            with pytest.raises(CallError, match="CONFLICT"):
                await kv.set("a", "2", if_version=0)
            second = await kv.set("a", "2", if_version=first)
            assert second > first
            assert (await kv.entry("a")).version == second
            assert await kv.entry("none") is None
            with pytest.raises(CallError, match="CONFLICT"):
                await kv.delete("a", if_version=first)
            await kv.delete("a")
            await kv.delete("a")
            await kv.set("b", "short", ttl_s=5)
            test.advance(6)
            assert await kv.get("b") is None
            for key, value in (("k" * 257, "v"), ("", "v"), ("k", "v" * 262_145)):
                with pytest.raises(CallError, match="TOO_LARGE"):
                    await kv.set(key, value)
            with pytest.raises(TypeError, match="must be a str"):
                kv.set("k", 3)
            test.kv.update({f"p{n}": str(n) for n in range(5)})
            page = await kv.list("p", limit=3)
            assert [entry.key for entry in page.entries] == ["p0", "p1", "p2"]
            page = await kv.list("p", cursor=page.cursor, limit=3)
            assert ([entry.value for entry in page.entries], page.cursor) == (["3", "4"], None)
            changes = [
                {"action": "set", "key": "p9", "value": "9"},
                {"action": "delete", "key": "p0", "if_version": 77},
            ]
            with pytest.raises(CallError, match="CONFLICT"):
                await kv.batch(changes)
            assert "p9" not in test.kv
            assert (await kv.batch([changes[0], {"action": "delete", "key": "p0"}]))[1] is None
            assert ("p9" in test.kv, "p0" in test.kv) == (True, False)
            test.calls["task.run"] = lambda params: {"task_id": params["script"]}
            assert await plugin.call("task.run", {"script": "x"}) == {"task_id": "x"}
            with pytest.raises(CallError, match="UNKNOWN_TYPE"):
                await plugin.call("task.cancel", {})

    asyncio.run(scenario())


def test_hooks_run_at_the_start_and_at_the_end_and_errors_reach_the_test() -> None:
    plugin = make_plugin()
    seen: list[str] = []

    @plugin.on_start
    def start() -> None:
        plugin.status("reading")
        seen.append("start")

    @plugin.on_stop
    async def stop() -> None:
        seen.append("stop")

    @plugin.get("/fail")
    def fail(_: Any) -> None:
        raise ValueError("why")

    async def scenario() -> None:
        async with PluginTest(plugin) as test:
            await asyncio.sleep(0)
            assert test.statuses == ["reading"]
            assert (await test.get("/fail")).status == 500
            await asyncio.sleep(0)
            assert "ValueError: why" in test.logs[0].fields["error"]

        @plugin.on_start
        def refuse() -> None:
            raise NeedsConfiguration("no address")

        with pytest.raises(NeedsConfiguration):
            await PluginTest(plugin).start()

    asyncio.run(scenario())
    assert seen == ["start", "stop", "start"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x", "must begin"),
        ("/{", "placeholder"),
        ("/{a b}", "placeholder"),
        ("/{a}/{a}", "no path"),
    ],
)
def test_wrong_routes_are_refused_when_they_are_written(path: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        make_plugin().get(path)(lambda _: None)


def test_what_cannot_be_is_refused_when_it_is_written() -> None:
    plugin = make_plugin()
    plugin.get("/x")(lambda _: None)
    with pytest.raises(PluginError, match="two handlers"):
        plugin.get("/x")(lambda _: None)
    with pytest.raises(PluginError, match="the id"):
        Plugin(id="a b", name="A", version="1", route="/a")
    with pytest.raises(PluginError, match="the route"):
        Plugin(id="a", name="A", version="1", route="a")
    with pytest.raises(PluginError, match="does not run yet"):
        plugin.kv.get("a")
    for bad in (99, 600, "200", True):
        with pytest.raises(PluginError, match="no HTTP status"):
            Response(bad)  # type: ignore[arg-type] # the point
    for name, value in (("a b", "c"), ("a", "b\r\nc"), ("a", "b\0"), ("a", "☃"), ("", "x")):
        with pytest.raises(PluginError, match="header"):
            Response(200, {name: value})
    for body in (float("nan"), {"a": {1}}, object()):
        with pytest.raises(PluginError, match="is no body"):
            Response(200, body=body)  # type: ignore[arg-type] # the point


# Against the hub's own codec

SAMPLE = (Path(__file__).parent / "sample.py").read_text()
STREAMS = (Path(__file__).parent / "streams_sample.py").read_text()


class Hub:
    """The hub's own session on a connection to a plugin that is ready."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._events: deque[told.SessionEvent] = deque()
        self.session = plugin_session.Session(instance="spawn-1", now=time.monotonic())
        self.features = self.until(told.HelloAccepted).features
        self.session.init(instance_id="hub-1", config={"a": 1}, data_dir="/d", log_path="/l")
        self.until(told.BecameReady)

    def flush(self) -> None:
        self.wire.socket.sendall(self.session.output())

    def until(self, *kinds: type) -> Any:
        """Carry bytes both ways until an event of these types comes."""
        while True:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, told.Called):
                    self.session.answer_call(event.id, None)
                elif isinstance(event, (told.BodyCame, told.SocketCame)):
                    self.body += event.data
                    self.session.take(event.id, len(event.data), time.monotonic())
                if isinstance(event, kinds):
                    return event
            self.flush()
            self._events += self.session.feed(self.wire.socket.recv(65536), time.monotonic())

    def begin(self, path: str, method: str = "GET", body: bytes | None = b"") -> int:
        request = HttpRequest(method, path, "a=1", (("X-One", "1"),), body, "jö", "admin")
        self.body = bytearray()
        return self.session.request(request, now=time.monotonic())

    def ask(self, path: str, method: str = "GET", body: bytes | None = b"") -> Any:
        """Return an answer with its whole body."""
        self.begin(path, method, body)
        return self.answer()

    def answer(self) -> HttpAnswer:
        answer: HttpAnswer = self.until(told.Answered).answer
        if answer.body is not None:
            return answer
        while not self.until(told.BodyCame).end:
            pass
        return HttpAnswer(answer.status, answer.headers, bytes(self.body))

    def write(self, stream: int, data: bytes, *, end: bool = True, text: bool = False) -> None:
        now = time.monotonic()
        if not self.session.write(stream, data, end=end, now=now, text=text):
            self.until(told.MayWrite)
        self.flush()

    def open_socket(self, path: str) -> Any:
        request = HttpRequest("GET", path, "a=1", (), b"", "jö", "admin")
        self.body = bytearray()
        self.session.open_socket(request, now=time.monotonic())
        return self.until(told.SocketOpened, told.Answered, told.Failed)


def test_the_hub_s_own_session_and_the_library_understand_each_other(tmp_path: Path) -> None:
    with running(python_plugin(tmp_path, SAMPLE), tmp_path / "s") as plugin, plugin.wire() as wire:
        hub = Hub(wire)
        assert {"health", "stream", "ws"} <= set(hub.features)
        seen = json.loads(hub.ask("/echo/a/b").body)
        assert (seen["user"], seen["header"], seen["query"]) == ("jö", "1", {"a": "1"})
        assert hub.ask("/json", "POST", '{"ü":1}'.encode()).body == '{"ü":1}'.encode()
        assert hub.ask("/bytes").body == b"\xff"
        assert len(hub.ask("/big/3000000").body) == 3_000_000
        assert hub.ask("/crash").status == 500
        hub.session.ask_health()
        assert hub.until(told.HealthAnswered).ok
        assert hub.session.goaway(time.monotonic())
        hub.session.shutdown()
        hub.flush()
        assert plugin.ended()[0] == 0


def test_the_hub_s_own_session_streams_to_the_library_and_back(tmp_path: Path) -> None:
    with running(python_plugin(tmp_path, STREAMS), tmp_path / "s") as plugin, plugin.wire() as wire:
        hub = Hub(wire)
        stream = hub.begin("/digest", "POST", None)
        piece = bytes(1024 * 1024)
        for index in range(8):
            hub.write(stream, piece, end=index == 7)
        assert json.loads(hub.answer().body or b"")["size"] == 8 * 1024 * 1024
        assert len(hub.ask("/blob/20000000").body) == 20_000_000
        refused = hub.begin("/small", "POST", None)
        hub.write(refused, bytes(200_000), end=False)
        assert hub.answer().status == 413
        assert hub.session.write(refused, piece, end=True, now=time.monotonic())
        hub.begin("/fails/later")
        assert hub.until(told.Failed).status == 502
        events = hub.begin("/events")
        assert hub.until(told.Answered).answer.body is None
        while b"keep-alive" not in hub.body:
            hub.until(told.BodyCame)
        hub.session.cancel(events, "The browser has left.", time.monotonic())
        noted: list[str] = []
        while "events closed " not in noted:
            noted = json.loads(hub.ask("/seen").body or b"")
        assert (hub.session.open_requests, hub.session.waiting_requests) == (0, 0)
        assert plugin.end()[0] == 0


def test_the_hub_s_own_session_and_the_library_talk_over_websockets(tmp_path: Path) -> None:
    with running(python_plugin(tmp_path, STREAMS), tmp_path / "s") as plugin, plugin.wire() as wire:
        hub = Hub(wire)
        socket = hub.open_socket("/ws/echo/named").id
        while not hub.body:
            hub.until(told.SocketCame)
        assert hub.body == "jö admin {'a': '1'}".encode()
        for message, text in ((bytes(900_000), False), ("ü".encode() * 300_000, True)):
            hub.body = bytearray()
            hub.write(socket, message, text=text)
            last = None
            while last is None or not last.end:
                last = hub.until(told.SocketCame)
            assert (hub.body == message, last.text) == (True, text)
        hub.write(socket, bytes(1_000_001), end=False)
        assert hub.until(told.SocketClosed).code == 1009
        assert hub.open_socket("/ws/echo/locked").answer.status == 403
        assert hub.open_socket("/ws/none").answer.status == 404
        hub.open_socket("/ws/closes/4001")
        closed = hub.open_socket("/ws/echo/a").id
        hub.session.close_socket(closed, 1001, time.monotonic())
        hub.open_socket("/ws/deaf")
        ended = hub.session.goaway(time.monotonic())
        assert [event.code for event in ended if isinstance(event, told.SocketClosed)] == [1001]
        hub.session.shutdown()
        hub.flush()
        assert plugin.ended()[0] == 0


def test_the_hub_s_version_1_and_the_library_understand_each_other(tmp_path: Path) -> None:
    stamp = "2026-11-22T14:01:30.123Z"
    with running(python_plugin(tmp_path, SAMPLE), tmp_path / "s") as plugin, plugin.wire() as wire:
        wire.socket.sendall(
            plugin_v1.http_request(
                request_id="r",
                method="GET",
                path="/kv/sync?x",
                headers=[("A", "1")],
                body=b"",
                timestamp=stamp,
            )
        )
        decoder, values = plugin_v1.decoder(), iter(["2", "2", None])
        while True:
            for found in decoder.feed(wire.socket.recv(65536)):
                message = plugin_v1.parse_message(found, "r")
                if not isinstance(message, plugin_v1.KvRequest):
                    assert isinstance(message, plugin_v1.HttpAnswer)
                    assert message.body == b'["2",null]'
                    return
                answer = plugin_v1.kv_answer(
                    request_id=message.request_id, value=next(values), timestamp=stamp
                )
                wire.socket.sendall(answer)
