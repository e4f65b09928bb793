"""What the hub says of plugins when it has only just started.

The actors run in the test's own process; runner, database and plugins are real. Runs on: the
test's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.hub_actors import hub_actors
from tests.support.plugin_files import Plugins, processes_of
from toru.actors import plugin_manager
from toru.actors.messages.auth import Session
from toru.actors.messages.plugins import DisablePlugin, GetPlugin, ListPlugins, PluginKv

ADMIN = Session(
    id="", user_id=None, username="admin", display_name="A", role="admin", expires_at=""
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Plugins]:
    """The plugins of a hub that has not started yet; nothing is left of them afterwards."""
    hub = HubProcess(tmp_path)
    yield Plugins(hub)
    hub.end_runner()
    wait_until(lambda: not processes_of(hub.plugins_dir), what="the end of the plugins")


@pytest.mark.gen_test
async def test_what_is_asked_before_the_plugins_are_known_is_answered_when_they_are(
    folder: Plugins, expect_log: Callable[..., Any]
) -> None:
    expect_log("is broken", logger="toru.plugins")
    folder.put("quick-v1", "quick-v2", "bad-meta-garbage")
    async with hub_actors(folder.hub.env()) as system:
        manager = system.address("plugin_manager")
        every, one = manager.ask(ListPlugins(ADMIN)), manager.ask(GetPlugin("quick-v2", ADMIN))
        key = manager.ask(PluginKv("quick-v2", "get", "none"))
        wish = manager.ask(DisablePlugin("quick-v1"))
        names = {view.file.removesuffix(".binary") for view in await every}
        assert names == {"quick-v1", "quick-v2", "bad-meta-garbage"}
        assert (await one).id == "quick-v2"
        assert await key is None
        await wish


@pytest.mark.gen_test
async def test_a_file_that_hangs_holds_the_first_answers_up_for_a_while_only(
    folder: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_manager, "DISCOVERY_S", 1.5)
    folder.put("bad-meta-hang", "quick-v1")
    async with hub_actors(folder.hub.env()) as system:
        manager = system.address("plugin_manager")
        began = asyncio.get_running_loop().time()
        listed = await manager.ask(ListPlugins(ADMIN))
        first_s = asyncio.get_running_loop().time() - began
        assert [view.id for view in listed] == ["quick-v1"]
        assert 0.5 < first_s < 4.0  # the file itself is given 5 s
        began = asyncio.get_running_loop().time()
        await manager.ask(ListPlugins(ADMIN))
        assert asyncio.get_running_loop().time() - began < first_s / 2


def test_a_path_of_a_plugin_that_is_not_known_yet_is_not_called_unknown(folder: Plugins) -> None:
    folder.put("quick-v2")
    with folder.hub as hub:
        paths = [f"/api/plugins/{place}/x" for place in ("route/quick-v2", "quick-v2", "none")]

        def settled(path: str) -> int:
            answer = hub.http("GET", path)
            if answer.status == 503:
                assert answer.json["code"] == "plugin_starting"
                assert answer.headers["Retry-After"] == "1"
                return 0
            return answer.status

        hub.stop()
        hub.start()
        assert [wait_until(lambda path=path: settled(path)) for path in paths] == [200, 200, 404]


@pytest.mark.gen_test
async def test_a_hub_without_plugins_does_not_wait_for_any(folder: Plugins) -> None:
    async with hub_actors(folder.hub.env()) as system:
        began = asyncio.get_running_loop().time()
        assert await system.address("plugin_manager").ask(ListPlugins(ADMIN)) == []
        assert asyncio.get_running_loop().time() - began < plugin_manager.DISCOVERY_S / 2
