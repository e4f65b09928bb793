"""A plugin that uses all of the library; the tests run it as a process.

Runs on: the plugin's process.
"""

import asyncio
import os
import threading

from toru_plugin import CallError, HttpError, NeedsConfiguration, Plugin, Response

plugin = Plugin(id="sample", name="Sample", version="1.2.3", route="/sample", icon="S")
trouble: list = []


@plugin.get("/echo/{first}/{rest:path}")
async def echo(request, first, rest):
    return {
        "first": first,
        "rest": rest,
        "query": request.query,
        "many": request.query_all("a"),
        "user": request.user,
        "role": request.role,
        "header": request.headers.get("x-one"),
        "thread": threading.current_thread() is threading.main_thread(),
    }


@plugin.post("/json")
def back(request):
    return request.json()


@plugin.get("/text")
def text(_):
    return "grüße"


@plugin.get("/nothing")
def nothing(_):
    return None


@plugin.get("/made")
def made(_):
    return Response(418, [("X-A", "1"), ("X-A", "2")], b"tea", content_type="text/tea")


@plugin.get("/big/{size}")
def big(_, size):
    return "x" * int(size)


@plugin.get("/control/{size}")
def control(_, size):
    return "\x01" * int(size)


@plugin.get("/bytes")
def raw(_):
    return b"\xff"


@plugin.get("/header")
def header(_):
    return Response(200, {"X-Bad": "a\r\nSet-Cookie: b"})


@plugin.get("/teapot")
def teapot(_):
    raise HttpError(409, "There is tea already.", "tea")


@plugin.get("/crash")
def crash(_):
    raise RuntimeError("secret detail")


@plugin.get("/slow/{seconds}")
async def slow(_, seconds):
    await asyncio.sleep(float(seconds))
    return {"slept": seconds}


@plugin.get("/stuck")
def stuck(_):
    threading.Event().wait()


@plugin.get("/kv/async")
async def kv_async(_):
    await plugin.kv.set("a", "1")
    found = await plugin.kv.get("a"), await plugin.kv.get("b")
    await plugin.kv.delete("a")
    return [*found, await plugin.kv.get("a")]


@plugin.get("/kv/sync")
def kv_sync(_):
    plugin.kv.set("a", "2")
    return [plugin.kv.get("a"), plugin.kv.get("b")]


@plugin.get("/kv/version")
async def kv_version(_):
    return {"set": await plugin.kv.set("v", "x"), "entry": await plugin.kv.entry("v")}


@plugin.get("/call")
def call(_):
    try:
        return plugin.call("task.run", {"script": "a.sh", "args": {}})
    except CallError as error:
        return {"code": error.code, "sentence": error.sentence}


@plugin.get("/report")
async def report(_):
    plugin.log.info("seen", size=3)
    await plugin.events.emit("seen", {"size": 3})
    print("printed on stdout")  # noqa: T201 - must not reach the protocol
    return {}


@plugin.get("/flood")
def flood(_):
    for n in range(500):
        plugin.log.info("line", n=n)


@plugin.get("/about")
def about(_):
    return {
        "protocol": plugin.protocol,
        "config": plugin.config,
        "instance_id": plugin.instance_id,
        "data_dir": plugin.data_dir,
    }


@plugin.health
def health():
    return trouble[0] if trouble else None


@plugin.post("/health")
def set_health(request):
    trouble[:] = [request.text] if request.text else []


@plugin.on_start
async def start():
    mode = os.environ.get("SAMPLE_START")
    if mode == "configuration":
        raise NeedsConfiguration("set the address")
    if mode == "crash":
        raise RuntimeError("cannot start")
    if mode == "slow":
        plugin.status("Reading the index", extend_s=60)
        await asyncio.sleep(0.3)


@plugin.on_stop
def stop():
    plugin.log.info("stopped in order")
