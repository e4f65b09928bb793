"""Plugins that subscribe to events: of runs, and of each other.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.core import SDK
from tests.support.hub import wait_until
from tests.support.plugin_files import Plugins

SOURCE = Path("tests/plugins/v2_plugin.py").read_bytes()
LISTENER = f"""#!/usr/bin/env python3
import sys
sys.path.insert(0, {str(SDK)!r})
sys.dont_write_bytecode = True
from toru_plugin import Plugin

plugin = Plugin(id="listener", name="Listener", version="1", route="/listener")
heard = []

@plugin.on_event("task.finished")
def ended(event):
    heard.append([event.name, event.data["script_name"], event.data["exit_code"], event.dropped])

@plugin.on_event("plugin.one.door")
async def door(event):
    if event.data == "break":
        raise RuntimeError("a fault of the handler's")
    heard.append([event.name, event.data, len(event.timestamp)])

@plugin.on_event("no.such")
def never(event):
    pass

@plugin.get("/heard")
async def show(request):
    return heard

plugin.run()
"""


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """Two plugins in plain sockets, and one of the Python library."""
    plugins.write("one", SOURCE)
    plugins.write("two", SOURCE)
    plugins.write("listener", LISTENER)
    plugins.ready("one", "two", "listener")
    return plugins


def call(plugins: Plugins, by: str, method: str, **params: Any) -> Any:
    """Have a plugin make a call."""
    body = json.dumps([[method, params]]).encode()
    return plugins.ask(by, "/call", "POST", body=body).json[0]


def events(plugins: Plugins, by: str) -> list[dict[str, Any]]:
    """Return the events that a plugin was told."""
    found: list[dict[str, Any]] = plugins.ask(by, "/told").json
    return found


def test_a_plugin_hears_of_runs_and_of_what_others_emit_and_of_nothing_else(
    running: Plugins,
) -> None:
    hub = running.hub
    hub.script("fails.sh", "echo secret\nexit 3\n")
    for name in ("task.started", "task.finished", "task.finished", "plugin.one.door"):
        assert call(running, "two", "event.subscribe", name=name) is None
    assert hub.run("fails.sh")[1]["code"] == 3
    call(running, "one", "event.emit", name="window", data=1)
    call(running, "one", "event.emit", name="door", data={"open": True})
    wait_until(lambda: len(events(running, "two")) == 3, what="the events")
    started, finished, door = events(running, "two")
    assert [each["name"] for each in (started, finished, door)] == [
        "task.started",
        "task.finished",
        "plugin.one.door",
    ]
    assert set(door) == {"type", "name", "data", "timestamp"}
    assert door["data"] == {"open": True}
    run = finished["data"]
    assert (run["script_name"], run["state"], run["exit_code"]) == ("fails.sh", "failed", 3)
    assert run["id"] == started["data"]["id"]
    assert finished["timestamp"] == run["finished_at"]
    assert "secret" not in json.dumps(finished)
    assert events(running, "one") == []


def test_a_plugin_in_python_hears_with_a_decorator_and_a_handler_that_fails_ends_nothing(
    running: Plugins,
) -> None:
    running.hub.script("works.sh", "true\n")
    assert running.hub.run("works.sh")[1]["code"] == 0
    for data in ("break", "mend"):
        call(running, "one", "event.emit", name="door", data=data)
    wanted = [["task.finished", "works.sh", 0, 0], ["plugin.one.door", "mend", 24]]
    wait_until(
        lambda: all(each in running.ask("listener", "/heard").json for each in wanted),
        what="what the handlers note",
    )
    wait_until(lambda: running.logs("listener", "error"), what="the fault in the log")
    lines = running.logs("listener", "error")
    assert any("no event 'no.such'" in line["message"] for line in lines), lines
    assert any("A handler of the event plugin.one.door failed." in x["message"] for x in lines)


@pytest.mark.parametrize("name", ["task.*", "plugin.one", "settings", ""])
def test_an_event_that_is_none_is_refused_with_those_that_there_are(
    running: Plugins, name: str
) -> None:
    refused = call(running, "one", "event.subscribe", name=name)
    assert refused["code"] == "DENIED"
    assert "task.started" in refused["message"]


def test_a_plugin_subscribes_to_64_events_at_most(running: Plugins) -> None:
    calls = [["event.subscribe", {"name": f"plugin.one.e{n}"}] for n in range(64)]
    answers = []
    for begin in range(0, 64, 16):
        body = json.dumps(calls[begin : begin + 16]).encode()
        answers += running.ask("one", "/call", "POST", body=body).json
    assert answers == [None] * 64
    assert "64 events" in call(running, "one", "event.subscribe", name="task.started")["message"]
    call(running, "one", "event.emit", name="e63", data="own")
    wait_until(lambda: events(running, "one"), what="its own event")
    assert events(running, "one")[0]["data"] == "own"


def test_a_plugin_that_was_restarted_hears_nothing_that_it_has_not_asked_for_again(
    running: Plugins,
) -> None:
    assert running.wish("two", "restart").status == 200
    call(running, "two", "event.subscribe", name="plugin.one.end")
    running.hub.run(running.hub.script("again.sh", "true\n"))
    call(running, "one", "event.emit", name="door")
    call(running, "one", "event.emit", name="end")
    wait_until(lambda: events(running, "two"), what="the event")
    assert [each["name"] for each in events(running, "two")] == ["plugin.one.end"]
