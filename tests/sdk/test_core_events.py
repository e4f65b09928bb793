"""The Python library: events of the core and of other plugins, and their handlers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from toru_plugin import Plugin, PluginEvent
from toru_plugin.core_events import MAX_WAITING, CoreEvents
from toru_plugin.host import Host
from toru_plugin.testing import PluginTest

from tests.sdk.core import CoreV2, python_plugin, running

SOURCE = """
import time
from toru_plugin import Plugin

plugin = Plugin(id="a", name="A", version="1", route="/a")
heard = []


@plugin.on_event("task.finished")
def slow(event):
    if event.data == 1:
        time.sleep(0.1)
    heard.append(["plain", event.data])


@plugin.on_event("task.finished")
async def quick(event):
    heard.append(["async", event.data, event.timestamp, event.dropped])


@plugin.on_event("other")
async def other(event):
    raise RuntimeError("a fault")


@plugin.get("/heard")
async def show(request):
    return heard
"""


def test_events_are_subscribed_to_before_ready_and_handled_one_after_the_other(
    tmp_path: Path,
) -> None:
    command = python_plugin(tmp_path, SOURCE)
    with running(command, tmp_path / "s") as plugin, CoreV2(plugin) as core:
        core.ready()
        assert [(call["method"], call["params"]) for call in core.calls] == [
            ("event.subscribe", {"name": "task.finished"}),
            ("event.subscribe", {"name": "other"}),
        ]
        core.wire.send({"type": "event", "name": "other", "data": None, "timestamp": "t"})
        for number in (1, 2, 3):
            event = {"name": "task.finished", "data": number, "timestamp": "t"}
            more = {"dropped": 5} if number == 2 else {}
            core.wire.send({"type": "event", **event, **more})
        core.wire.send({"type": "event"})
        wanted = (
            '[["plain",1],["async",1,"t",0],["plain",2],["async",2,"t",5],'
            '["plain",3],["async",3,"t",0]]'
        )
        while (text := core.http("GET", "/heard")["text"]) != wanted:
            assert len(text) < len(wanted)


def test_of_too_many_events_that_wait_the_oldest_are_left_out_and_counted() -> None:
    seen: list[PluginEvent] = []

    async def scenario() -> None:
        events, host, gate = CoreEvents(), Host(), asyncio.Event()

        async def handler(event: PluginEvent) -> None:
            await gate.wait()
            seen.append(event)

        events.handlers["e"] = [handler]
        work = events.received({"name": "e", "data": 0, "dropped": 2}, host)
        assert work is not None
        await asyncio.sleep(0)
        for number in range(MAX_WAITING + 3):
            assert events.received({"name": "e", "data": number}, host) is None
        gate.set()
        await work
        host.close()

    asyncio.run(scenario())
    assert [event.dropped for event in seen] == [2, 3] + [0] * (MAX_WAITING - 1)
    assert [event.data for event in seen] == [0, *range(3, MAX_WAITING + 3)]


def test_a_test_tells_a_plugin_of_an_event_and_sees_what_its_handlers_raise() -> None:
    plugin = Plugin(id="a", name="A", version="1", route="/a", sandbox=True)

    @plugin.on_event("plugin.b.door")
    async def note(event: PluginEvent) -> None:
        await plugin.kv.set("door", event.data["state"])

    async def scenario() -> None:
        async with PluginTest(plugin) as test:
            await test.tell("plugin.b.door", {"state": "open"})
            await test.tell("plugin.b.window")
            assert test.kv == {"door": "open"}
            with pytest.raises(KeyError):
                await test.tell("plugin.b.door", {})

    asyncio.run(scenario())
    assert plugin.metadata["sandbox"] is True
    assert "sandbox" not in Plugin(id="a", name="A", version="1", route="/a").metadata
