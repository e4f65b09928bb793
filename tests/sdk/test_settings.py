"""Settings in the Python library: in the core in memory, and in a real hub."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toru_plugin import Plugin, PluginError
from toru_plugin.testing import PluginTest

import tests.support.settings_plugin
from tests.cli.test_plugin_check import Checked, check, copied
from tests.sdk.core import SDK
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins

SETTINGS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "title": "Colour", "default": "blue", "minLength": 3},
        "count": {"type": "integer", "title": "Count", "default": 1},
        "token": {"type": "string", "title": "Token", "writeOnly": True},
    },
}
SAMPLE = f"""
import asyncio
import threading

from toru_plugin import CallError, Plugin

plugin = Plugin(id="NAME", name="S", version="1", route="/NAME", settings={SETTINGS!r})
seen = []


@plugin.on_start
def begin():
    seen.append(["start", dict(plugin.config), ""])


@plugin.get("/seen")
def show(_):
    return {{"seen": seen, "config": plugin.config}}


@plugin.put("/own")
async def own(request):
    try:
        return await plugin.set_config(request.json())
    except CallError as error:
        return {{"refused": error.code}}
"""
HOOKS = """

@plugin.on_config
async def on_the_loop():
    is_main = threading.current_thread() is threading.main_thread()
    seen.append(["async", dict(plugin.config), is_main])
    if plugin.config["colour"] == "bad":
        raise ValueError("no such colour")


@plugin.on_config
def on_a_thread():
    is_main = threading.current_thread() is threading.main_thread()
    seen.append(["plain", dict(plugin.config), is_main])
"""


def make_plugin() -> Plugin:
    return Plugin(id="a", name="A", version="1", route="/a", settings=SETTINGS)


def test_settings_have_their_defaults_and_are_declared() -> None:
    plugin = make_plugin()
    assert plugin.config == {"colour": "blue", "count": 1}
    assert plugin.metadata["settings"] == SETTINGS
    assert "settings" not in Plugin(id="a", name="A", version="1", route="/a").metadata
    for wrong in ([], {}, {"type": "object"}, {"type": "object", "properties": {"a": {}}}):
        with pytest.raises(PluginError):
            Plugin(id="a", name="A", version="1", route="/a", settings=wrong)  # type: ignore[arg-type]


def test_the_core_in_memory_changes_settings_and_tells() -> None:
    plugin, told = make_plugin(), []

    @plugin.on_config
    def note() -> None:
        told.append(plugin.config)

    async def scenario() -> None:
        async with PluginTest(plugin, config={"count": 2}) as test:
            first = plugin.config
            assert first == {"colour": "blue", "count": 2}
            await test.configure({"colour": "red", "token": "abcd"})
            assert first == {"colour": "blue", "count": 2}, "what was taken once stays"
            assert plugin.config == {"colour": "red", "count": 2, "token": "abcd"}
            assert await plugin.set_config({"colour": None}) == plugin.config
            assert await plugin.call("config.get", {}) == plugin.config
        assert told == [
            {"colour": "red", "count": 2, "token": "abcd"},
            {"colour": "blue", "count": 2, "token": "abcd"},
        ]

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    setting = f"import sys\nsys.path.insert(0, {str(SDK)!r})\nsys.dont_write_bytecode = True\n"
    with HubProcess(tmp_path_factory.mktemp("hub")) as process:
        plugins = Plugins(process)
        for name, source in (("live", SAMPLE + HOOKS), ("still", SAMPLE)):
            text = "#!/usr/bin/env python3\n" + setting + source.replace("NAME", name)
            plugins.write(name, text + "\nplugin.run()\n")
        plugins.ready("live", "still")
        yield process
        assert process.stop() == 0
    assert "Traceback" not in process.log, process.log


def change(hub: HubProcess, name: str, **values: Any) -> str:
    answer = hub.http("PUT", f"/api/plugins/{name}/settings", {"values": values})
    assert answer.status == 200, answer
    found: str = answer.json["applied"]
    return found


def seen(hub: HubProcess, name: str) -> Any:
    return hub.http("GET", f"/api/plugins/{name}/seen").json


def test_a_change_reaches_the_functions_for_it(hub: HubProcess) -> None:
    assert change(hub, "live", count=5, token="secret") == "live"
    whole = {"colour": "blue", "count": 5, "token": "secret"}
    wait_until(lambda: len(seen(hub, "live")["seen"]) == 3, what="both functions")
    assert seen(hub, "live") == {
        "seen": [
            ["start", {"colour": "blue", "count": 1}, ""],
            ["async", whole, True],
            ["plain", whole, False],
        ],
        "config": whole,
    }
    assert change(hub, "live", colour="bad") == "live"
    wait_until(lambda: len(seen(hub, "live")["seen"]) == 5, what="the second after a failed first")
    assert hub.http("PUT", "/api/plugins/live/own", {"count": 9}).json["count"] == 9
    wait_until(lambda: seen(hub, "live")["seen"][-1][1]["count"] == 9, what="its own change")
    refused = hub.http("PUT", "/api/plugins/live/own", {"count": "x"})
    assert refused.json == {"refused": "DENIED"}
    logs = hub.get("/api/plugins/live/logs?level=error")["logs"]
    assert {line["message"] for line in logs} == {"on_config failed."}


def test_without_such_functions_the_plugin_is_restarted(hub: HubProcess) -> None:
    assert change(hub, "still", count=5) == "restart"
    fresh = {"colour": "blue", "count": 5}

    def is_fresh() -> bool:
        found = seen(hub, "still")
        return bool(found and found.get("seen") == [["start", fresh, ""]])

    wait_until(is_fresh, what="a start with the new settings")
    assert hub.http("PUT", "/api/plugins/still/own", {"count": 7}).json["count"] == 7
    assert seen(hub, "still")["config"]["count"] == 7
    assert len(seen(hub, "still")["seen"]) == 1, "it knows what it has changed itself"


def checked_plugin(folder: Path, name: str, *words: str | Path) -> Checked:
    path = copied(tests.support.settings_plugin, folder / f"{name}.binary")
    return check(path, "--json", "--timeout", "20", "--only", "*settings*", *words)


def test_the_check_looks_at_settings(tmp_path: Path) -> None:
    live = checked_plugin(tmp_path, "set-live")
    assert live.names("passed") == [
        *("metadata-settings", "metadata-settings-words"),
        *("v2-settings", "v2-settings-many"),
    ]
    still = checked_plugin(tmp_path, "set-v2")
    assert 'the feature "config"' in still.case("v2-settings")["got"]
    values = tmp_path / "values.json"
    values.write_text('{"token": "long enough"}')
    needs = checked_plugin(tmp_path, "set-live-needs", "--settings", values)
    assert "v2-settings" in needs.names("passed")
    values.write_text('{"token": "short"}')
    refused = checked_plugin(tmp_path, "set-live-needs", "--settings", values)
    assert refused.exit_code == 2
    assert "token: This needs at least 8 characters." in refused.stderr
    broken = tmp_path / "set-broken.binary"
    source = (tmp_path / "set-live.binary").read_text()
    broken.write_text(
        source.replace('"minimum": 1', '"$ref": "#"').replace('"title": "Loud", ', "")
    )
    broken.chmod(0o755)
    checked = check(broken, "--json", "--only", "metadata*")
    assert checked.exit_code == 1
    assert "$ref" in checked.case("metadata-settings")["got"]
