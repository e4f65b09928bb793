"""What becomes of a version on trial when it stays silent, its actor raises, or the hub leaves.

The actors run in the test's own process; runner, database and plugins are real. Runs on: the
test's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.installing import offer, quick
from tests.support.hub import HubProcess, wait_until
from tests.support.hub_actors import hub_actors
from tests.support.plugin_files import Plugins, is_alive, processes_of
from toru.actors.messages.auth import Session
from toru.actors.messages.plugin_install import GetInstall, InstallPlugin, InstallState
from toru.actors.messages.plugins import GetPlugin, PluginView, Replace
from toru.actors.runtime import ActorSystem
from toru.domain import plugin_process_events
from toru.errors import ToruError

ADMIN = Session(
    id="", user_id=None, username="admin", display_name="A", role="admin", expires_at=""
)
SILENT = "signal.pause()"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Plugins]:
    """The plugins of a hub that has not started yet; nothing is left of them afterwards."""
    hub = HubProcess(tmp_path, TORU_PLUGIN_BACKOFF="1")
    yield Plugins(hub)
    hub.end_runner()
    wait_until(lambda: not processes_of(hub.plugins_dir), what="the end of the plugins")


async def until(look: Callable[[], Any]) -> Any:
    """Return the first truthy value that is found."""
    async with asyncio.timeout(20):
        while True:
            try:
                value = await look()
            except ToruError:
                value = None
            if value:
                return value
            await asyncio.sleep(0.02)


async def install(system: ActorSystem, folder: Plugins, text: str) -> str:
    """Begin an install and return its name."""
    sha256 = await asyncio.to_thread(offer, folder.hub, text)
    return (await system.address("plugin_manager").ask(InstallPlugin(sha256))).id


async def ended(system: ActorSystem, name: str) -> InstallState:
    """Return the state of an install once it is over."""

    async def look() -> InstallState | None:
        state = await system.address("plugin_manager").ask(GetInstall(name))
        return state if state.state != "running" else None

    found: InstallState = await until(look)
    return found


async def serving(system: ActorSystem, version: str) -> PluginView:
    """Return the plugin's view once this version is ready."""

    async def look() -> PluginView | None:
        view = await system.address("plugin_manager").ask(GetPlugin("trial-v2", ADMIN))
        return view if (view.state, view.version) == ("ready", version) else None

    found: PluginView = await until(look)
    return found


async def tried(folder: Plugins) -> bool:
    """Return whether two versions run, beside whatever is only asked for its metadata."""
    words = (process.info["cmdline"] for process in processes_of(folder.folder))
    return len([every for every in words if "--metadata" not in every]) == 2


@pytest.mark.gen_test
async def test_a_version_that_never_gets_ready_is_ended_and_the_reason_said(
    folder: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hub_actors(folder.hub.env()) as system:
        assert (await ended(system, await install(system, folder, quick("trial-v2", "1")))).outcome
        pid = (await serving(system, "1")).pid
        monkeypatch.setattr(plugin_process_events, "START_S", 1.0)
        name = await install(system, folder, quick("trial-v2", "2", serve=SILENT))
        state = await ended(system, name)
        assert state.error is not None
        assert "was not ready within 1 seconds. It was ended by SIGTERM" in state.error
        assert (await serving(system, "1")).pid == pid


@pytest.mark.gen_test
async def test_a_version_on_trial_whose_actor_raises_is_ended_and_the_old_one_unmoved(
    folder: Plugins, expect_log: Callable[..., Any]
) -> None:
    expect_log("crashed", logger="toru.actors")
    async with hub_actors(folder.hub.env()) as system:
        assert (await ended(system, await install(system, folder, quick("trial-v2", "1")))).outcome
        pid = (await serving(system, "1")).pid
        name = await install(system, folder, quick("trial-v2", "2", serve=SILENT))

        def alive() -> list[int]:
            return [process.pid for process in processes_of(folder.folder)]

        await until(lambda: tried(folder))
        unbearable = Replace(None, None)  # type: ignore[arg-type]  # that is the point
        system.address("plugin/trial-v2_2").tell(unbearable)
        state = await ended(system, name)
        assert state.state == "failed"

        async def is_gone() -> bool:
            return system.directory.entry("plugin/trial-v2_2") is None and alive() == [pid]

        await until(is_gone)
        assert (await serving(system, "1")).pid == pid
        again = await ended(system, await install(system, folder, quick("trial-v2", "2")))
        assert again.outcome == "started"


@pytest.mark.gen_test
async def test_a_hub_that_stops_while_it_installs_ends_both_versions_and_keeps_the_old_one(
    folder: Plugins,
) -> None:
    async with hub_actors(folder.hub.env()) as system:
        assert (await ended(system, await install(system, folder, quick("trial-v2", "1")))).outcome
        pid = (await serving(system, "1")).pid
        await install(system, folder, quick("trial-v2", "2", serve=SILENT))

        await until(lambda: tried(folder))
    assert pid is not None
    assert not is_alive(pid)
    assert not processes_of(folder.folder)
    async with hub_actors(folder.hub.env()) as system:
        assert (await serving(system, "1")).previous_version is None
