"""The actors of plugins fail themselves: each is replaced, and its plugins with it.

The actors run in the test's own process, so that they can be told what they cannot bear; runner,
database and plugins are real. Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.hub_actors import hub_actors
from tests.support.plugin_files import Plugins, is_alive, processes_of
from toru.actors.messages.auth import Session
from toru.actors.messages.plugins import (
    DisablePlugin,
    Forward,
    ListPlugins,
    PluginChanged,
    PluginRequest,
    PluginView,
    Replace,
)
from toru.actors.runtime import ActorSystem
from toru.errors import ToruError

ADMIN = Session(
    id="", user_id=None, username="admin", display_name="A", role="admin", expires_at=""
)
_numbers = itertools.count(1)


def asked() -> Forward:
    """Return a request with a number of its own."""
    number = next(_numbers)
    return Forward(PluginRequest("GET", "/x", (), b"", user="admin", role="admin", id=number))


class Stage:
    """All actors of a hub but its web, in this process."""

    def __init__(self, folder: HubProcess) -> None:
        self.folder = folder
        self.plugins = Plugins(folder)
        self.system: ActorSystem

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the actors, and stop them."""
        async with hub_actors(self.folder.env()) as self.system:
            yield

    async def views(self) -> dict[str, PluginView]:
        """Return what the manager lists; nothing while it cannot."""
        try:
            listed = await self.system.address("plugin_manager").ask(ListPlugins(ADMIN))
        except ToruError:
            return {}
        return {view.id: view for view in listed}

    async def ready(self, *plugin_ids: str, but: frozenset[int | None] = frozenset()) -> list[int]:
        """Wait until these are ready with other processes than ``but``; return the processes."""

        async def are_ready() -> list[int]:
            views = await self.views()
            own = [views.get(plugin_id) for plugin_id in plugin_ids]
            pids = [view.pid for view in own if view and view.state == "ready" and view.pid]
            return pids if len(pids) == len(plugin_ids) and not but & set(pids) else []

        return await until(are_ready)

    async def forward(self, plugin_id: str) -> int:
        """Send a request to a plugin's actor and return the status."""
        answer = await self.system.address(f"plugin/{plugin_id}").ask(asked())
        return answer.status


async def until(condition: Callable[[], Awaitable[Any]], timeout_s: float = 20.0) -> Any:
    """Return the first truthy value of a condition."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        value = await condition()
        if value:
            return value
        assert asyncio.get_running_loop().time() < deadline, "It did not come true in time."
        await asyncio.sleep(0.02)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A folder with two plugins; nothing is left of them afterwards."""
    folder = HubProcess(tmp_path, TORU_PLUGIN_BACKOFF="1")
    found = Stage(folder)
    found.plugins.put("quick-v1", "quick-v2")
    yield found
    folder.end_runner()
    wait_until(lambda: not processes_of(folder.plugins_dir), what="the end of the plugins")


@pytest.mark.gen_test
async def test_the_actor_of_a_plugin_that_raises_is_replaced_and_the_old_process_ended(
    stage: Stage, expect_log: Callable[..., Any]
) -> None:
    expect_log("crashed", logger="toru.actors")
    async with stage.running():
        v1, v2 = await stage.ready("quick-v1", "quick-v2")
        unbearable = Replace(None, None)  # type: ignore[arg-type]  # that is the point
        stage.system.address("plugin/quick-v2").tell(unbearable)
        [fresh] = await stage.ready("quick-v2", but=frozenset({v2}))
        assert not is_alive(v2)
        assert is_alive(fresh)
        assert await stage.ready("quick-v1") == [v1]
        assert await stage.forward("quick-v2") == 200
        assert len(processes_of(stage.folder.plugins_dir)) == 2


@pytest.mark.gen_test
async def test_a_disabled_plugin_stays_so_when_its_actor_raises(
    stage: Stage, expect_log: Callable[..., Any]
) -> None:
    expect_log("crashed", logger="toru.actors")
    async with stage.running():
        await stage.ready("quick-v1", "quick-v2")
        manager = stage.system.address("plugin_manager")
        await manager.ask(DisablePlugin("quick-v1"))
        stage.system.address("plugin/quick-v1").tell(Replace(None, None))  # type: ignore[arg-type]

        async def is_back() -> bool:
            found = [one for one in stage.system.directory.statistics() if one.restarts]
            return [(one.name, one.state) for one in found] == [("plugin/quick-v1", "running")]

        await until(is_back)
        view = (await stage.views())["quick-v1"]
        assert (view.state, view.enabled, view.pid) == ("disabled", False, None)


@pytest.mark.gen_test
async def test_requests_that_wait_at_an_actor_that_raises_are_answered(
    stage: Stage, expect_log: Callable[..., Any]
) -> None:
    expect_log("crashed", logger="toru.actors")
    expect_log("not stopped in order", logger="toru.plugins", optional=True)
    stage.plugins.put("bad-silent-v2")
    async with stage.running():
        await stage.ready("bad-silent-v2")
        address = stage.system.address("plugin/bad-silent-v2")
        waiting = [address.ask(asked(), deadline_s=25.0) for _ in range(20)]
        address.tell(Replace(None, None))  # type: ignore[arg-type]
        began = asyncio.get_running_loop().time()
        for reply in waiting:
            with pytest.raises(ToruError) as caught:
                await reply
            assert caught.value.status in (502, 503)
        assert asyncio.get_running_loop().time() - began < 1.0


@pytest.mark.gen_test
async def test_a_manager_that_raises_comes_back_with_all_plugins(
    stage: Stage, expect_log: Callable[..., Any]
) -> None:
    expect_log("crashed", logger="toru.actors")
    async with stage.running():
        old = await stage.ready("quick-v1", "quick-v2")
        manager = stage.system.address("plugin_manager")
        manager.tell(PluginChanged(None))  # type: ignore[arg-type]
        fresh = await stage.ready("quick-v1", "quick-v2", but=frozenset(old))
        assert not any(map(is_alive, old))
        assert {one.pid for one in processes_of(stage.folder.plugins_dir)} == set(fresh)
        assert await stage.forward("quick-v1") == 200
        assert await stage.forward("quick-v2") == 200
        stage.plugins.put("quick-late-v2")
        await stage.ready("quick-late-v2")  # the new manager watches the folder too


@pytest.mark.gen_test
async def test_an_actor_system_that_stops_leaves_no_plugin(stage: Stage) -> None:
    async with stage.running():
        pids = await stage.ready("quick-v1", "quick-v2")
    assert not any(map(psutil.pid_exists, pids))
