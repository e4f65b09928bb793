"""The server's stop and its connections.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, ClassVar

import pytest

from tests.support.raw_http import parse, request
from tests.support.web_app import WebStage
from tests.web.test_dead_peers import make_deaf
from toru.domain.permissions import Access
from toru.web import http_server
from toru.web.base import ApiHandler, Route, Success
from toru.web.dead_peers import DeadPeers
from toru.web.openapi import operation
from toru.web.server import WebServer

pytestmark = pytest.mark.gen_test


class Waiting(ApiHandler):
    """Answers when the test says so."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}
    go_on: ClassVar[asyncio.Event]

    @operation(summary="Wait.")
    async def get(self) -> None:
        """Wait, then answer."""
        await self.go_on.wait()
        self.answer(Success())


@pytest.fixture
def routes() -> list[Route]:
    Waiting.go_on = asyncio.Event()
    return [Route("/api/wait", Waiting)]


async def start(web: WebStage, sent: bytes) -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(sent)
    web.writers.append(writer)
    return reader


async def until_under_way(web: WebStage, count: int) -> None:
    async with asyncio.timeout(10):
        while len(web.application.under_way) != count:
            await asyncio.sleep(0.01)


async def drain(web: WebStage, limit_s: float) -> None:
    """Stop and drain as a `WebServer` does, around the stage's own application."""
    server = WebServer.__new__(WebServer)
    server.application, server._server = web.application, web.server
    server.stop()
    await server.drain(limit_s)


async def test_a_request_that_is_under_way_is_answered_before_the_stop(
    web: WebStage, routes: list[Route]
) -> None:
    await web.serve(routes)
    reader = await start(web, request("GET", "/api/wait"))
    idle = await start(web, b"")
    await until_under_way(web, 1)
    draining = asyncio.ensure_future(drain(web, 10.0))
    await asyncio.sleep(0.05)
    assert not draining.done()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", web.port)
    Waiting.go_on.set()
    assert parse(await reader.read(-1)).json == {"success": True}
    await draining
    assert await idle.read(-1) == b""


async def test_a_request_that_never_ends_does_not_hold_the_stop_up(
    web: WebStage, routes: list[Route]
) -> None:
    await web.serve(routes)
    reader = await start(web, request("GET", "/api/wait"))
    await until_under_way(web, 1)
    async with asyncio.timeout(5):
        await drain(web, 0.1)
    assert await reader.read(-1) == b""
    Waiting.go_on.set()


async def test_a_client_that_has_gone_is_not_waited_for(web: WebStage, routes: list[Route]) -> None:
    await web.serve(routes)
    _, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(request("GET", "/api/wait"))
    await until_under_way(web, 1)
    writer.close()
    await until_under_way(web, 0)
    Waiting.go_on.set()


async def test_connections_over_the_limit_are_closed_and_the_others_served(
    web: WebStage, routes: list[Route], monkeypatch: pytest.MonkeyPatch, expect_log: Any
) -> None:
    monkeypatch.setattr(http_server, "CONNECTIONS_LIMIT", 2)
    await web.serve(routes)
    kept = [await start(web, request("GET", "/api/wait")) for _ in range(2)]
    await until_under_way(web, 2)
    expect_log("one more is refused")
    assert await (await start(web, request("GET", "/api/wait"))).read(-1) == b""
    Waiting.go_on.set()
    for reader in kept:
        assert parse(await reader.read(-1)).status == 200


async def test_the_kernel_looks_after_connections_that_were_cut(
    web: WebStage, routes: list[Route]
) -> None:
    await web.serve(routes)
    reader = await start(web, request("GET", "/api/wait"))
    await until_under_way(web, 1)
    (connection,) = web.server._connections
    own = connection.stream.socket
    assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20
    Waiting.go_on.set()
    await reader.read(-1)


async def test_a_connection_that_is_cut_while_it_is_answered_is_closed(
    web: WebStage, routes: list[Route]
) -> None:
    await web.serve(routes)
    web.server.dead_peers = DeadPeers(silence_s=1.0, interval_s=0.2)
    await start(web, b"GET /api/wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until_under_way(web, 1)
    make_deaf(web.writers[-1].get_extra_info("socket"))
    Waiting.go_on.set()
    await until_under_way(web, 0)
    (connection,) = web.server._connections
    closed = asyncio.Event()
    connection.stream.set_close_callback(closed.set)
    async with asyncio.timeout(10):
        await closed.wait()
