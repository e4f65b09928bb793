#!/usr/bin/env python3
"""A plugin of protocol 2 that streams, in plain asyncio; it keeps to its credit and gives it back.

    /down/<n>    n bytes, 0 1 2 … 255 0 1 …
    /up          reads the body, answers {"bytes", "sha256"}
    /echo        sends the body back as it comes
    /deaf        answers 408 after two seconds in which it reads nothing of the body
    /early       answers 413 without reading the body
    /ticks       an event stream: data: 0, data: 1, … every 20 ms
    /slow/<s>    one byte every s seconds
    /left        {"left": […]}: the milliseconds since the Unix epoch of each cancel
    /broken      begins an answer and gives it up
    /chat        a WebSocket that says everything back; "bye" closes it with 4000, "big" is answered
                 with 3 MB, "flood" with messages for ever
    /refuse      a WebSocket that is refused with 403

Runs on: one thread; standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import struct
import sys
import time
from typing import Any

PIECE = 64 * 1024
CREDIT = 256 * 1024
CONNECTION_CREDIT = 4 * 1024 * 1024
PATTERN = bytes(range(256)) * (PIECE // 256)


class Stream:
    """One request or WebSocket: what came of it, and the credit to send."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        self.credit = CREDIT
        self.task: asyncio.Task[None] | None = None


class Plugin:
    """The one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.streams: dict[int, Stream] = {}
        self.credit = CONNECTION_CREDIT
        self.more = asyncio.Event()
        self.left: list[float] = []

    def send(self, **message: Any) -> None:
        """Send a JSON frame."""
        payload = json.dumps(message).encode()
        self.writer.write(struct.pack("!I", len(payload)) + payload)

    async def data(self, number: int, data: bytes, flags: int) -> None:
        """Send data frames as credit allows; the flags are the last one's."""
        stream, view = self.streams[number], memoryview(data)
        while True:
            count = min(len(view), PIECE, stream.credit, self.credit)
            if count == 0 and view:
                self.more.clear()
                await self.more.wait()
                continue
            piece, view = view[:count], view[count:]
            stream.credit -= count
            self.credit -= count
            last = flags if not len(view) else flags & 2
            head = struct.pack("!IBBHI", 8 + count, 1, last, 0, number)
            self.writer.write(head + bytes(piece))
            await self.writer.drain()
            if not len(view):
                return

    async def body(self, number: int) -> Any:
        """Yield the pieces of a body or message with their flags, giving credit back."""
        stream = self.streams[number]
        while (found := await stream.frames.get()) is not None:
            data, flags = found
            if data:
                self.send(type="window", id=number, add=len(data))
                self.send(type="window", id=0, add=len(data))
            yield data, flags

    def head(self, number: int, body: str, status: int = 200, **more: Any) -> None:
        """Send the head of an answer."""
        headers = more.pop("headers", [["Content-Type", "application/octet-stream"]])
        self.send(type="http_head", id=number, status=status, headers=headers, body=body, **more)

    def tell(self, number: int, value: Any, status: int = 200) -> None:
        """Answer with a small JSON object."""
        headers = [["Content-Type", "application/json"]]
        self.head(number, "inline", status, headers=headers, text=json.dumps(value))

    async def http(self, number: int, path: str) -> None:
        """Answer a request."""
        what, _, rest = path[1:].partition("/")
        match what:
            case "down":
                await self.down(number, int(rest))
            case "up":
                digest, size = hashlib.sha256(), 0
                async for data, flags in self.body(number):
                    digest.update(data)
                    size += len(data)
                    if flags & 1:
                        break
                self.tell(number, {"bytes": size, "sha256": digest.hexdigest()})
            case "echo":
                self.head(number, "stream")
                async for data, flags in self.body(number):
                    await self.data(number, data, flags & 1)
                    if flags & 1:
                        break
            case "deaf":
                await asyncio.sleep(2)
                self.tell(number, {"error": "too slow"}, 408)
            case "early":
                self.tell(number, {"error": "too much"}, 413)
            case "ticks":
                self.head(number, "stream", headers=[["Content-Type", "text/event-stream"]])
                for count in range(10**9):
                    await self.data(number, f"data: {count}\n\n".encode(), 0)
                    await asyncio.sleep(0.02)
            case "slow":
                self.head(number, "stream")
                for _ in range(100):
                    await self.data(number, b".", 0)
                    await asyncio.sleep(float(rest))
            case "left":
                self.tell(number, {"left": self.left})
            case "broken":
                self.head(number, "stream")
                await self.data(number, b"half", 0)
                self.send(type="error", id=number, code="INTERNAL", message="It broke.")
            case _:
                self.tell(number, {"error": "nothing"}, 404)

    async def down(self, number: int, size: int) -> None:
        """Answer with so many bytes, and say how many."""
        headers = [["Content-Type", "application/octet-stream"], ["Content-Length", str(size)]]
        self.head(number, "stream", headers=headers)
        for start in range(0, max(size, 1), PIECE):
            piece = PATTERN[: min(PIECE, size - start)]
            await self.data(number, piece, 1 if start + PIECE >= size else 0)

    async def socket(self, number: int, path: str) -> None:
        """Say everything back."""
        if path == "/refuse":
            self.tell(number, {"error": "not for you"}, 403)
            return
        self.send(type="ws_accept", id=number)
        message = b""
        async for data, flags in self.body(number):
            message += data
            if not flags & 1:
                continue
            if message == b"bye":
                self.send(type="ws_close", id=number, code=4000)
                return
            while message == b"flood":
                await self.data(number, bytes(10_000), 1)
            await self.data(number, b"b" * 3_000_000 if message == b"big" else message, flags)
            message = b""

    async def serve(self) -> None:
        """Handle all that the core says."""
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                (length,) = struct.unpack("!I", await self.reader.readexactly(4))
                payload = await self.reader.readexactly(length)
                if payload[0] == 1:
                    _, flags, _, number = struct.unpack_from("!BBHI", payload)
                    if number in self.streams:
                        self.streams[number].frames.put_nowait((payload[8:], flags))
                else:
                    self.take(json.loads(payload))

    def take(self, message: dict[str, Any]) -> None:
        """Handle a JSON frame."""
        number = message.get("id", 0)
        match message["type"]:
            case "hello":
                features = ["http", "stream", "ws"]
                agreed = {"protocol": 2, "instance": message["instance"], "features": features}
                self.send(type="hello_ok", **agreed, limits={})
            case "init":
                self.send(type="ready")
            case "ping":
                self.send(type="pong", n=message["n"])
            case "http":
                self.begin(number, self.http(number, message["path"]))
            case "ws_open":
                self.begin(number, self.socket(number, message["path"]))
            case "window":
                if number == 0:
                    self.credit += message["add"]
                elif number in self.streams:
                    self.streams[number].credit += message["add"]
                self.more.set()
            case "cancel" | "ws_close":
                self.left.append(time.time() * 1000)
                if number in self.streams:
                    task = self.streams[number].task
                    assert task is not None
                    task.cancel()
            case "shutdown":
                sys.exit(0)

    def begin(self, number: int, work: Any) -> None:
        """Work at something beside the rest."""
        stream = self.streams[number] = Stream()

        def end(task: asyncio.Task[None]) -> None:
            del self.streams[number]
            if task.cancelled():
                self.send(type="error", id=number, code="CANCELLED", message="")

        stream.task = asyncio.get_running_loop().create_task(work)
        stream.task.add_done_callback(end)


async def main() -> None:
    """Serve until told to leave."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Plugin(reader, writer).serve()

    path = os.environ["TORU_PLUGIN_SOCKET"]
    async with await asyncio.start_unix_server(connected, path, limit=1 << 20):
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["--metadata"]:
        about = {"id": "streaming", "name": "Streaming", "version": "1", "route": "/streaming"}
        sys.stdout.write(json.dumps({**about, "protocols": [2]}))
    else:
        asyncio.run(main())
