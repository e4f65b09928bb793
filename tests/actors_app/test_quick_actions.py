"""The QuickActions actor over a real database and scripts folder.

Runs on: the test's event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toru.actors.messages.quick_actions import (
    ChangeQuickAction,
    CreateQuickAction,
    IsNamedByQuickAction,
    ListActions,
    RemoveQuickAction,
)
from toru.actors.messages.storage import ListQuickActions, QuickAction
from toru.actors.runtime import Address
from toru.errors import BadRequest, NotFound, ToruError

if TYPE_CHECKING:
    from tests.actors_app.conftest import Stage


async def actions_of(stage: Stage) -> Address:
    """Start the quick actions beside two scripts."""
    stage.script("a.sh")
    stage.script("b.sh")
    await stage.open()
    await stage.scripts()
    return await stage.quick_actions()


@pytest.mark.gen_test
async def test_a_new_action_is_durable_and_names_its_script(stage: Stage) -> None:
    actions = await actions_of(stage)
    assert not await actions.ask(IsNamedByQuickAction("a.sh"))
    made = await actions.ask(CreateQuickAction(" Restart ", "a.sh", "🔁"))
    assert made == QuickAction(made.id, "Restart", "a.sh", "🔁", 0)
    assert await actions.ask(IsNamedByQuickAction("a.sh"))
    assert not await actions.ask(IsNamedByQuickAction("b.sh"))
    assert await stage.system.address("db_reader").ask(ListQuickActions()) == [made]


@pytest.mark.gen_test
async def test_actions_come_in_their_order(stage: Stage) -> None:
    actions = await actions_of(stage)
    last = await actions.ask(CreateQuickAction("one", "a.sh", display_order=5))
    appended = await actions.ask(CreateQuickAction("two", "a.sh"))
    first = await actions.ask(CreateQuickAction("three", "a.sh", display_order=-1))
    assert await actions.ask(ListActions()) == [first, last, appended]
    moved = await actions.ask(ChangeQuickAction(first.id, display_order=99))
    assert await actions.ask(ListActions()) == [last, appended, moved]


@pytest.mark.gen_test
async def test_a_change_keeps_what_it_does_not_name(stage: Stage) -> None:
    actions = await actions_of(stage)
    made = await actions.ask(CreateQuickAction("one", "a.sh", "icon", 3))
    changed = await actions.ask(ChangeQuickAction(made.id, script_path="b.sh"))
    assert changed == QuickAction(made.id, "one", "b.sh", "icon", 3)
    assert not await actions.ask(IsNamedByQuickAction("a.sh"))
    assert (await actions.ask(ChangeQuickAction(made.id, icon=""))).icon is None
    same = await actions.ask(ChangeQuickAction(made.id))
    assert same == QuickAction(made.id, "one", "b.sh", None, 3)


@pytest.mark.gen_test
async def test_actions_and_what_clients_may_run_survive_a_restart(stage: Stage) -> None:
    actions = await actions_of(stage)
    made = await actions.ask(CreateQuickAction("one", "a.sh"))
    await stage.stop()
    await stage.open()
    await stage.scripts()
    actions = await stage.quick_actions()
    assert await actions.ask(ListActions()) == [made]
    assert await actions.ask(IsNamedByQuickAction("a.sh"))


@pytest.mark.gen_test
async def test_a_removed_action_names_nothing_any_more(stage: Stage) -> None:
    actions = await actions_of(stage)
    made = await actions.ask(CreateQuickAction("one", "a.sh"))
    again = await actions.ask(CreateQuickAction("two", "a.sh"))
    await actions.ask(RemoveQuickAction(made.id))
    assert await actions.ask(IsNamedByQuickAction("a.sh"))
    await actions.ask(RemoveQuickAction(again.id))
    assert not await actions.ask(IsNamedByQuickAction("a.sh"))
    for message in (RemoveQuickAction(made.id), ChangeQuickAction(made.id, name="x")):
        with pytest.raises(NotFound):
            await actions.ask(message)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "message",
    [
        CreateQuickAction("", "a.sh"),
        CreateQuickAction("   ", "a.sh"),
        CreateQuickAction("x" * 101, "a.sh"),
        CreateQuickAction("a\x1bb", "a.sh"),
        CreateQuickAction("a\ud800", "a.sh"),
        CreateQuickAction("a", "a.sh", "i" * 65),
        CreateQuickAction("a", "a.sh", "i\n"),
        CreateQuickAction("a", "a.sh", None, 10**7),
        CreateQuickAction("a", "../a.sh"),
        CreateQuickAction("a", "gone.sh"),
        CreateQuickAction("a", "/bin/sh"),
        CreateQuickAction("a", ""),
    ],
)
async def test_a_bad_action_is_refused_and_nothing_is_written(
    stage: Stage, message: CreateQuickAction
) -> None:
    actions = await actions_of(stage)
    with pytest.raises(ToruError) as refusal:
        await actions.ask(message)
    assert isinstance(refusal.value, BadRequest | NotFound)
    assert await actions.ask(ListActions()) == []
    assert await stage.system.address("db_reader").ask(ListQuickActions()) == []


@pytest.mark.gen_test
async def test_a_bad_change_is_refused_and_changes_nothing(stage: Stage) -> None:
    actions = await actions_of(stage)
    made = await actions.ask(CreateQuickAction("one", "a.sh"))
    for change in (
        ChangeQuickAction(made.id, name=""),
        ChangeQuickAction(made.id, script_path="gone.sh"),
        ChangeQuickAction(made.id, icon="i" * 65),
        ChangeQuickAction(made.id, display_order=-(10**7)),
    ):
        with pytest.raises(ToruError):
            await actions.ask(change)
    assert await actions.ask(ListActions()) == [made]


@pytest.mark.gen_test
async def test_an_action_whose_script_was_deleted_can_still_be_renamed(stage: Stage) -> None:
    actions = await actions_of(stage)
    made = await actions.ask(CreateQuickAction("one", "a.sh"))
    (stage.scripts_dir / "a.sh").unlink()
    assert (await actions.ask(ChangeQuickAction(made.id, name="two"))).name == "two"
