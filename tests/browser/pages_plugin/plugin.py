"""A plugin for tests of what pages are given: it echoes, redirects, fills its keys and emits.

Runs on: the loop of its process.
"""

from __future__ import annotations

import asyncio

from toru_plugin import Plugin, Response

plugin = Plugin(id="pages", name="Pages", version="1.0.0", route="/pages", author="tests")
plugin.bundle("bundle.js")


@plugin.post("/echo")
async def echo(request):
    """Answer with the body, and with some of the headers."""
    sent = {name: request.headers.get(name) or "" for name in ("Content-Type", "X-Sent", "Cookie")}
    headers = {f"X-Got-{name}": value for name, value in sent.items()}
    return Response(201, headers, request.content(), content_type="application/x-echo")


@plugin.get("/away")
async def away(request):
    """Lead to what is the hub's."""
    return Response(302, {"Location": "/api/auth/me"})


@plugin.get("/never")
async def never(request):
    """Answer when nobody waits any more."""
    await asyncio.sleep(60)


@plugin.get("/nothing")
async def nothing(request):
    """Answer nothing."""
    return


@plugin.get("/file")
async def file(request):
    """Answer with a file that is to be saved."""
    return Response(200, {"Content-Disposition": 'attachment; filename="notes.txt"'}, b"notes")


@plugin.post("/emit")
async def emit(request):
    """Emit the events that are sent."""
    for name, data in request.json():
        await plugin.events.emit(name, data)
    return {}


if __name__ == "__main__":
    plugin.run()
