"""The quick actions: kept in order, checked when they change, and run for whoever may.

Runs on: the event loop.

It asks the task manager to run a script, and the task manager asks it which scripts clients may
run. Neither waits inside its mailbox, so the two never hold each other up.
"""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Any

import msgspec

from toru.actors.messages.quick_actions import (
    ChangeQuickAction,
    CreateQuickAction,
    ExecuteQuickAction,
    IsNamedByQuickAction,
    ListActions,
    RemoveQuickAction,
)
from toru.actors.messages.scripts import ResolveScript
from toru.actors.messages.storage import (
    DeleteQuickAction,
    InsertQuickAction,
    ListQuickActions,
    QuickAction,
    UpdateQuickAction,
)
from toru.actors.messages.tasks import StartTask, TaskStarted
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.errors import BadRequest, NotFound

MAX_NAME = 100
MAX_ICON = 64
MAX_ORDER = 1_000_000
COMMIT_DEADLINE_S = 60.0
"""Longer than any asker waits, so that the memory follows what was committed in the end."""


class QuickActions(LoopActor):
    """Keeps all quick actions in memory, written through.

    Args:
        db_reader: where they are read at the start.
        db_writer: where changes are made durable.
        scripts: who finds the script of an action.
        task_manager: who runs it.
    """

    def __init__(
        self,
        context: ActorContext,
        db_reader: Address,
        db_writer: Address,
        scripts: Address,
        task_manager: Address,
    ) -> None:
        super().__init__(context)
        self._db_reader = db_reader
        self._db_writer = db_writer
        self._scripts = scripts
        self._task_manager = task_manager
        self._actions: dict[int, QuickAction] = {}
        self._changing = asyncio.Lock()

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Read the quick actions."""
        for action in await self._db_reader.ask(ListQuickActions()):
            self._keep(action)

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message."""
        match message:
            case ListActions():
                return sorted(
                    self._actions.values(), key=lambda each: (each.display_order, each.id)
                )
            case IsNamedByQuickAction(script=script):
                return any(action.script_path == script for action in self._actions.values())
            case ExecuteQuickAction():
                return self._execute(message)
            case CreateQuickAction():
                return self._create(message)
            case ChangeQuickAction():
                return self._change(message)
            case RemoveQuickAction(id=id):
                return self._remove(id)
        return None

    async def _create(self, message: CreateQuickAction) -> QuickAction:
        name = _checked_name(message.name)
        icon = _checked_icon(message.icon)
        order = _checked_order(message.display_order)
        async with self._changing:
            await self._scripts.ask(ResolveScript(message.script_path))
            insert = InsertQuickAction(
                name, message.script_path, icon or None, order, message.confirm
            )
            return self._keep(await self._db_writer.ask(insert, deadline_s=COMMIT_DEADLINE_S))

    async def _change(self, message: ChangeQuickAction) -> QuickAction:
        update = UpdateQuickAction(
            message.id,
            None if message.name is None else _checked_name(message.name),
            message.script_path,
            _checked_icon(message.icon),
            _checked_order(message.display_order),
            message.confirm,
        )
        async with self._changing:
            known = self._find(message.id)
            if update == UpdateQuickAction(message.id):
                return known
            if message.script_path is not None:
                await self._scripts.ask(ResolveScript(message.script_path))
            return self._keep(await self._db_writer.ask(update, deadline_s=COMMIT_DEADLINE_S))

    async def _remove(self, id: int) -> None:  # noqa: A002 - the column's name
        async with self._changing:
            self._find(id)
            await self._db_writer.ask(DeleteQuickAction(id), deadline_s=COMMIT_DEADLINE_S)
            del self._actions[id]

    async def _execute(self, message: ExecuteQuickAction) -> TaskStarted:
        script = self._find(message.id).script_path
        start = StartTask(script, message.session, message.args, trigger="quick_action")
        return await self._task_manager.ask(start)

    def _find(self, id: int) -> QuickAction:  # noqa: A002 - the column's name
        if id not in self._actions:
            raise NotFound("There is no such quick action.")
        return self._actions[id]

    def _keep(self, action: QuickAction) -> QuickAction:
        shown = msgspec.structs.replace(action, icon=action.icon or None)
        self._actions[shown.id] = shown
        return shown


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not _is_plain(name):
        raise BadRequest(
            f"A quick action's name must have 1 to {MAX_NAME} characters and no control characters."
        )
    return name


def _checked_icon(icon: str | None) -> str | None:
    if icon is not None and (len(icon) > MAX_ICON or not _is_plain(icon)):
        raise BadRequest(
            f"A quick action's icon must have at most {MAX_ICON} characters "
            "and no control characters."
        )
    return icon


def _checked_order(order: int | None) -> int | None:
    if order is not None and abs(order) > MAX_ORDER:
        raise BadRequest(f"The order must be a whole number from -{MAX_ORDER:,} to {MAX_ORDER:,}.")
    return order


def _is_plain(text: str) -> bool:
    """Return whether a text has no control characters and no lone surrogates."""
    return not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text)
