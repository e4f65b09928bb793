"""Streams, events and WebSockets in the core in memory, for authors' tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from toru_plugin import (
    Disconnected,
    EventStream,
    HttpError,
    Plugin,
    PluginError,
    Request,
    Response,
    ServerEvent,
    WebSocket,
)
from toru_plugin.testing import PluginTest, Refused


@pytest.fixture
def plugin() -> Plugin:
    return Plugin(id="a", name="A", version="1", route="/a", max_body_bytes=100)


def run(plugin: Plugin, scenario: Callable[[PluginTest], Awaitable[None]]) -> None:
    async def main() -> None:
        async with PluginTest(plugin) as test:
            await scenario(test)

    asyncio.run(main())


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


def test_bodies_are_read_as_streams_as_files_or_as_a_whole(plugin: Plugin) -> None:
    @plugin.post("/async", stream=True)
    async def count(request: Request) -> list[int]:
        return [len(piece) async for piece in request.stream()]

    @plugin.put("/plain", stream=True, max_body_bytes=10)
    def lines(request: Request) -> list[str]:
        return [line.decode() for line in request.reader]

    @plugin.patch("/whole")
    def whole(request: Request) -> Any:
        return [request.content().hex(), len(list(request.stream())), request.reader.read().hex()]

    @plugin.post("/wrong", stream=True)
    async def wrong(request: Request) -> str:
        return request.text

    @plugin.post("/blocking", stream=True)
    async def blocking(request: Request) -> Any:
        return list(request.stream())

    async def scenario(test: PluginTest) -> None:
        answer = await test.post("/async", content=pieces_of(b"abc", b"", b"d"))
        assert answer.json() == [3, 1]
        assert (await test.put("/plain", content=[b"a\n", b"b"])).json() == ["a\n", "b"]
        assert (await test.put("/plain", content=bytes(11))).status == 413
        assert (await test.patch("/whole", content=b"\xff")).json() == ["ff", 1, ""]
        assert (await test.patch("/whole", content=[bytes(60), bytes(60)])).status == 413
        for path, words in (("/wrong", "request.stream()"), ("/blocking", '"async for"')):
            assert (await test.post(path, text="x")).status == 500
            await asyncio.sleep(0)
            assert words in test.logs.pop().fields["error"]

    run(plugin, scenario)


def test_answers_are_streamed_from_every_kind_of_iterator(plugin: Plugin, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"file")
    closed: list[str] = []

    @plugin.get("/async")
    async def generate(_: Request) -> AsyncIterator[str]:
        try:
            yield "ü"
            yield ""
            yield "b"
        finally:
            closed.append("async")

    @plugin.get("/plain")
    def plain(_: Request) -> Any:
        yield b"a"
        yield memoryview(b"b")

    @plugin.get("/made")
    def made(_: Request) -> Response:
        return Response(203, {"X-A": "1"}, stream=[b"a", b"b"], content_type="text/csv")

    @plugin.get("/open")
    def opened(_: Request) -> Response:
        return Response(stream=(tmp_path / "a.txt").open("rb"))

    @plugin.get("/file")
    def file(_: Request) -> Response:
        return Response.file(tmp_path / "a.txt", filename="b ü.txt")

    @plugin.get("/empty")
    def empty(_: Request) -> Response:
        return Response(stream=[])

    async def scenario(test: PluginTest) -> None:
        assert (await test.get("/async")).text == "üb"
        assert (await test.get("/plain")).content == b"ab"
        made = await test.get("/made")
        assert (made.status, made.headers["content-type"], made.text) == (203, "text/csv", "ab")
        for path in ("/open", "/file"):
            assert (await test.get(path)).text == "file"
        part = await test.get("/file", headers={"Range": "bytes=1-2"})
        assert (part.status, part.text) == (206, "il")
        assert (await test.get("/empty")).content == b""
        head = await test.request("HEAD", "/file")
        assert (head.headers["Content-Length"], head.content) == ("4", b"")
        closed.clear()
        async with test.stream("GET", "/async") as answer:
            assert await answer.__anext__() == "ü".encode()
            assert not closed
        assert closed == ["async"], "the browser left"
        assert (await test.request("HEAD", "/async")).content == b""

    run(plugin, scenario)


def test_what_cannot_be_streamed_is_refused_when_it_is_written(plugin: Plugin) -> None:
    for stream in ("text", b"bytes", {"a": 1}, 7):
        with pytest.raises(PluginError, match="is no stream"):
            Response(stream=stream)
    with pytest.raises(PluginError, match="not both"):
        Response(body="a", stream=[b"b"])
    with pytest.raises(PluginError, match="async function"):
        plugin.websocket("/x")(lambda _: None)
    with pytest.raises(PluginError, match="line break"):
        ServerEvent("a", event="b\nc").encode()
    with pytest.raises(PluginError, match="is no event"):
        ServerEvent({1}).encode()

    @plugin.get("/")
    def bad(_: Request) -> Any:
        yield 7

    async def scenario(test: PluginTest) -> None:
        assert (await test.get("/")).status == 500
        await asyncio.sleep(0)
        assert "yields bytes or str, not int" in test.logs[0].fields["error"]

    run(plugin, scenario)


def test_events_are_read_and_the_generator_ends_when_the_browser_leaves(plugin: Plugin) -> None:
    closed: list[str] = []

    async def news() -> AsyncIterator[Any]:
        try:
            yield ServerEvent({"n": 1}, event="tick", id="7", retry_ms=100)
            await asyncio.sleep(0.1)
            yield "two\r\nlines"
            await asyncio.Event().wait()
        finally:
            closed.append("news")

    @plugin.get("/events")
    async def events(_: Request) -> Response:
        return EventStream(news(), keep_alive_s=0.02)

    @plugin.get("/plain")
    def plain(_: Request) -> Response:
        return EventStream(iter([["a"], ServerEvent(id="3")]))

    async def scenario(test: PluginTest) -> None:
        async with test.stream("GET", "/events") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            events = answer.events()
            assert await events.__anext__() == ServerEvent('{"n":1}', "tick", "7", 100)
            assert await events.__anext__() == ServerEvent("two\nlines")
            assert await answer.__anext__() == b": keep-alive\n\n"
        assert closed == ["news"]
        whole = await test.get("/plain")
        assert whole.text == 'data: ["a"]\n\nid: 3\n\n'

    run(plugin, scenario)


def test_a_websocket_is_talked_over_refused_and_closed(plugin: Plugin) -> None:
    codes: list[Any] = []

    @plugin.websocket("/chat/{room}", max_message_bytes=10)
    async def chat(socket: WebSocket, room: str) -> None:
        if room == "locked":
            raise HttpError(403, "locked")
        await socket.send(f"{socket.request.user} in {room}")
        async for message in socket:
            if message == "bye":
                await socket.close(4000)
            else:
                await socket.send(message)
        codes.append(socket.close_code)

    @plugin.websocket("/fails")
    async def fails(socket: WebSocket) -> None:
        await socket.accept()
        raise RuntimeError("why")

    @plugin.websocket("/silent")
    async def silent(_: WebSocket) -> None:
        pass

    @plugin.websocket("/deaf")
    async def deaf(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(TypeError, match="str or bytes"):
            await socket.send(7)  # type: ignore[arg-type] # the point
        with pytest.raises(PluginError, match="close code"):
            await socket.close(1006)
        while True:
            await socket.send(b"x")

    async def scenario(test: PluginTest) -> None:
        async with test.websocket("/chat/a", user="bo") as socket:
            assert await socket.receive() == "bo in a"
            await socket.send("hi")
            await socket.send(b"\xff")
            assert [await socket.receive(), await socket.receive()] == ["hi", b"\xff"]
            await socket.send("bye")
            assert [message async for message in socket] == []
            assert socket.close_code == 4000
            with pytest.raises(Disconnected):
                await socket.send("late")
        async with test.websocket("/chat/b") as socket:
            await socket.send("x" * 11)
            assert [message async for message in socket] == ["admin in b"]
        async with test.websocket("/chat/c") as socket:
            assert await socket.receive() == "admin in c"
            await socket.close(3001)
        assert codes == [4000, 1009, 3001]
        for path, status in (("/chat/locked", 403), ("/none", 404)):
            with pytest.raises(Refused) as refused:
                await test.websocket(path).__aenter__()
            assert refused.value.answer.status == status
        for path, code in (("/fails", 1011), ("/silent", 1000)):
            async with test.websocket(path) as socket:
                assert [message async for message in socket] == []
                assert socket.close_code == code
        await asyncio.sleep(0)
        assert "RuntimeError: why" in test.logs[0].fields["error"]
        begun = time.monotonic()
        async with test.websocket("/deaf") as socket:
            assert await socket.receive() == b"x"
        assert time.monotonic() - begun < 4, "sending to nobody ends it"

    run(plugin, scenario)
