"""Answers that are files which the author has opened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO

from toru_plugin import Plugin, Request, Response
from toru_plugin.testing import PluginTest

ASKED = (
    ("GET", {}, 200, b"0123456789"),
    ("GET", {"Range": "bytes=2-4"}, 206, b"234"),
    ("GET", {"Range": "bytes=20-"}, 416, b""),
    ("GET", {"If-None-Match": "*"}, 304, b""),
    ("HEAD", {}, 200, b""),
)


def test_a_file_that_is_open_is_sent_in_parts_too_and_closed_in_every_case(tmp_path: Path) -> None:
    path = tmp_path / "digits.txt"
    path.write_bytes(b"0123456789")
    plugin = Plugin(id="files", name="Files", version="1", route="/files")
    opened: list[BinaryIO] = []

    @plugin.get("/file")
    def send(_: Request) -> Response:
        opened.append(path.open("rb"))
        return Response.file(opened[-1], filename="digits.txt")

    async def ask() -> None:
        async with PluginTest(plugin) as test:
            for method, headers, status, body in ASKED:
                answer = await test.request(method, "/file", headers=headers)
                assert (answer.status, answer.content) == (status, body)

    asyncio.run(ask())
    assert [file.closed for file in opened] == [True] * len(ASKED)
