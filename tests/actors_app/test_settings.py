"""The Settings actor over a real database.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toru.actors.messages.scripts import ListScripts
from toru.actors.messages.settings import (
    ChangeSetting,
    DescribeSettings,
    GetInForce,
    SettingsChanged,
)
from toru.actors.messages.storage import GetSettings, SaveSetting
from toru.actors.runtime import ActorContext, ChildSpec, Message, ThreadActor
from toru.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from tests.actors_app.conftest import Stage


@pytest.mark.gen_test
async def test_the_defaults_are_in_force_and_the_instance_has_an_id(stage: Stage) -> None:
    await stage.open()
    settings = await stage.settings()
    in_force = await settings.ask(GetInForce())
    assert in_force.max_concurrent_tasks == 16
    assert in_force.scripts_dir == str(stage.scripts_dir)
    assert len(in_force.instance_id) == 36


@pytest.mark.gen_test
async def test_a_change_is_durable_told_and_in_force_when_it_is_answered(stage: Stage) -> None:
    await stage.open()
    await stage.recorder("task_manager")
    settings = await stage.settings("task_manager", "nobody")
    assert await settings.ask(ChangeSetting("max_concurrent_tasks", " 3 ")) == "3"
    rows = sqlite3.connect(stage.folder / "steering.db")
    found = rows.execute("SELECT value FROM settings WHERE key = 'max_concurrent_tasks'")
    assert found.fetchone() == ("3",)
    rows.close()
    assert (await settings.ask(GetInForce())).max_concurrent_tasks == 3
    assert stage.heard == [SettingsChanged("max_concurrent_tasks", "3")]


class BusyListener(ThreadActor):
    """A listener that takes one message and then none until it is let go on."""

    mailbox_limit = 1

    def __init__(
        self, context: ActorContext, go_on: threading.Event, heard: list[Message[Any]]
    ) -> None:
        super().__init__(context)
        self._go_on = go_on
        self._heard = heard

    def on_receive(self, message: Message[Any]) -> None:
        """Keep a message once there is time for it."""
        self._go_on.wait(30)
        self._heard.append(message)


@pytest.mark.gen_test
async def test_a_listener_that_was_too_busy_hears_the_last_value_later(stage: Stage) -> None:
    await stage.open()
    go_on = threading.Event()
    await stage.system.spawn(ChildSpec("busy", BusyListener, (go_on, stage.heard)))
    settings = await stage.settings("busy")
    for value in ("2", "3", "4", "5"):
        await settings.ask(ChangeSetting("max_concurrent_tasks", value))
    go_on.set()
    last = SettingsChanged("max_concurrent_tasks", "5")
    async with asyncio.timeout(20):
        while last not in stage.heard:
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_a_change_survives_a_restart(stage: Stage) -> None:
    await stage.open()
    settings = await stage.settings()
    await settings.ask(ChangeSetting("cancel_grace_s", "0.5"))
    identity = (await settings.ask(GetInForce())).instance_id
    await stage.stop()
    await stage.open()
    settings = await stage.settings()
    in_force = await settings.ask(GetInForce())
    assert (in_force.cancel_grace_s, in_force.instance_id) == (0.5, identity)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("no_such", "1", NotFound),
        ("max_concurrent_tasks", "many", BadRequest),
        ("instance_id", "x", BadRequest),
        ("scripts_dir", "/no/such/folder", BadRequest),
    ],
)
async def test_a_refused_change_changes_nothing(
    stage: Stage, key: str, value: str, error: type[Exception]
) -> None:
    await stage.open()
    await stage.scripts()
    await stage.recorder("task_manager")
    settings = await stage.settings("task_manager")
    before = await settings.ask(DescribeSettings())
    with pytest.raises(error):
        await settings.ask(ChangeSetting(key, value))
    assert await settings.ask(DescribeSettings()) == before
    stored = await stage.system.address("db_reader").ask(GetSettings())
    assert set(stored) == {"instance_id"}
    assert stage.heard == []


@pytest.mark.gen_test
async def test_another_scripts_folder_is_in_force_at_once(stage: Stage) -> None:
    await stage.open()
    scripts = await stage.scripts()
    settings = await stage.settings("scripts")
    other = stage.folder / "other"
    other.mkdir()
    (other / "new.sh").write_text("echo new\n")
    await settings.ask(ChangeSetting("scripts_dir", "other"))
    assert [script.name for script in await scripts.ask(ListScripts())] == ["new.sh"]


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", ["missing", "file", "relative file"])
async def test_a_scripts_folder_that_is_none_is_refused(stage: Stage, kind: str) -> None:
    await stage.open()
    await stage.scripts()
    settings = await stage.settings("scripts")
    (stage.folder / "file").write_text("")
    value = {"missing": str(stage.folder / "x"), "file": str(stage.folder / "file")}.get(kind)
    with pytest.raises(BadRequest, match="no folder"):
        await settings.ask(ChangeSetting("scripts_dir", value or "file"))


@pytest.mark.gen_test
async def test_changes_of_one_setting_at_once_end_as_the_database_does(stage: Stage) -> None:
    await stage.open()
    settings = await stage.settings()
    values = [str(number) for number in range(1, 101)]
    replies = [settings.ask(ChangeSetting("max_concurrent_tasks", value)) for value in values]
    assert [await reply for reply in replies] == values
    stored = await stage.system.address("db_reader").ask(GetSettings())
    assert stored["max_concurrent_tasks"] == "100"
    assert (await settings.ask(GetInForce())).max_concurrent_tasks == 100


@pytest.mark.gen_test
async def test_a_stored_value_that_is_not_usable_is_named_and_its_default_used(
    stage: Stage, expect_log: Any
) -> None:
    await stage.open()
    await stage.system.address("db_writer").ask(SaveSetting("max_concurrent_tasks", "many"))
    with expect_log("max_concurrent_tasks must be a whole number"):
        settings = await stage.settings()
    assert (await settings.ask(GetInForce())).max_concurrent_tasks == 16


@pytest.mark.gen_test
async def test_every_setting_is_described_with_its_default(stage: Stage) -> None:
    await stage.open()
    settings = await stage.settings()
    await settings.ask(ChangeSetting("leftover_policy", "leave"))
    rows = {row.key: row for row in await settings.ask(DescribeSettings())}
    assert rows["leftover_policy"].value == "leave"
    assert rows["leftover_policy"].default == "end"
    assert rows["instance_id"].read_only
    assert all(row.description.endswith(".") for row in rows.values())
    assert rows["scripts_dir"].default == str(stage.scripts_dir)
    assert Path(rows["scripts_dir"].value).is_dir()
