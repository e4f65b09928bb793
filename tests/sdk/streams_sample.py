"""A plugin that streams both ways and talks over WebSockets; the tests run it as a process.

Runs on: the plugin's process.
"""

import asyncio
import hashlib
import os
import threading
import time
from pathlib import Path

from toru_plugin import (
    Disconnected,
    EventStream,
    HttpError,
    Plugin,
    Response,
    ServerEvent,
    exchange_v2,
)

exchange_v2.CLOSE_GRACE_S = 0.5

plugin = Plugin(id="streams", name="Streams", version="1", route="/s", max_body_bytes=1_000_000)
seen: list = []
go_on = threading.Event()


@plugin.get("/seen")
async def get_seen(_):
    found = list(seen)
    seen.clear()
    return found


# Uploads


@plugin.post("/digest", stream=True)
async def digest(request):
    whole, size = hashlib.sha256(), 0
    async for piece in request.stream():
        whole.update(piece)
        size += len(piece)
    return {"digest": whole.hexdigest(), "size": size}


@plugin.post("/digest/plain", stream=True)
def digest_plain(request):
    whole = hashlib.sha256()
    for piece in request.stream():
        whole.update(piece)
    return {"digest": whole.hexdigest()}


@plugin.post("/lines", stream=True)
def lines(request):
    seen.append("lines begun")
    try:
        return [line.decode() for line in request.reader]
    except Disconnected as error:
        seen.append(f"lines: {error.code} {request.disconnected}")
        raise


@plugin.post("/whole")
def whole(request):
    content = request.content()
    return {"size": len(content), "text": request.text[:20], "head": list(content[:4])}


@plugin.post("/json")
async def json_back(request):
    return request.json()


@plugin.post("/small", stream=True, max_body_bytes=1000)
async def small(request):
    return sum([len(piece) async for piece in request.stream()])


@plugin.post("/unread", stream=True)
async def unread(request):
    await asyncio.sleep(float(request.query.get("s", 0)))
    return "not read"


@plugin.post("/echo", stream=True)
async def echo(request):
    return Response(stream=request.stream())


# Answers


@plugin.get("/blob/{size}")
async def blob(_, size):
    left = int(size)
    try:
        while left:
            piece = bytes(min(left, 100_000))
            left -= len(piece)
            yield piece
    finally:
        seen.append("blob closed")


@plugin.get("/blob/plain/{size}")
def blob_plain(_, size):
    for _ in range(int(size) // 100_000):
        yield bytes(100_000)


@plugin.get("/table/{lines}")
def table(_, lines):
    return Response(stream=(f"{n}\n" for n in range(int(lines))), content_type="text/csv")


@plugin.get("/file")
def file(_):
    return Response.file(os.environ["STREAMS_FILE"])


@plugin.get("/files/{name:path}")
def files(request, name):
    root = Path(os.environ["STREAMS_FILE"]).parent
    return Response.file(name, root=root, filename=request.query.get("as"))


@plugin.get("/fails/{when}")
async def fails(_, when):
    if when == "refused":
        raise HttpError(409, "There is tea already.", "tea")
    if when == "later":
        yield b"begun"
    raise RuntimeError("secret detail")


@plugin.get("/events")
async def events(request):
    return EventStream(ticks(request.query.get("name", "")), keep_alive_s=0.05)


async def ticks(name):
    try:
        yield ServerEvent({"n": 1}, event="tick", id="1", retry_ms=500)
        yield "two\nlines"
        await asyncio.sleep(3600)
    finally:
        seen.append(f"events closed {name}")


@plugin.get("/events/plain")
def events_plain(_):
    def generate():
        try:
            yield "first"
            go_on.wait(20)
            yield "second"
        finally:
            seen.append("plain events closed")

    return EventStream(generate(), keep_alive_s=None)


@plugin.get("/go")
def go(_):
    go_on.set()


@plugin.get("/work")
def work(request):
    seen.append("work begun")
    deadline = time.monotonic() + 20
    while not request.disconnected and time.monotonic() < deadline:
        time.sleep(0.01)
    seen.append(f"work: {request.disconnected}")


# WebSockets


@plugin.websocket("/ws/echo/{room}", max_message_bytes=1_000_000)
async def ws_echo(socket, room):
    if room == "locked":
        raise HttpError(403, "This room is locked.", "locked")
    if room == "named":
        await socket.send(f"{socket.request.user} {socket.request.role} {socket.request.query}")
    async for message in socket:
        await socket.send(message)
    seen.append(f"{room}: {socket.close_code}")


@plugin.websocket("/ws/notes")
async def ws_notes(socket):
    await socket.accept()
    seen.extend([message async for message in socket])
    seen.append(f"notes: {socket.close_code}")


@plugin.websocket("/ws/fails/{when}")
async def ws_fails(socket, when):
    if when == "before":
        raise RuntimeError("secret detail")
    await socket.send("now")
    raise RuntimeError("secret detail")


@plugin.websocket("/ws/closes/{code}")
async def ws_closes(socket, code):
    if code == "silently":
        return
    if code != "unaccepted":
        await socket.accept()
    await socket.close(int(code) if code.isdigit() else 1000)
    with_send = asyncio.ensure_future(socket.send("late"))
    await asyncio.wait({with_send})
    seen.append(type(with_send.exception()).__name__)


@plugin.websocket("/ws/deaf")
async def ws_deaf(socket):
    await socket.accept()
    try:
        await asyncio.sleep(3600)
    finally:
        seen.append("deaf ended")


@plugin.websocket("/ws/flood/{size}")
async def ws_flood(socket, size):
    try:
        while True:
            await socket.send(bytes(int(size)))
    finally:
        seen.append("flood ended")
