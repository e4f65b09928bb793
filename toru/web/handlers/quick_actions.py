"""The quick actions: their list, their changes, and running one.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from toru.actors.messages.quick_actions import (
    ChangeQuickAction,
    CreateQuickAction,
    ExecuteQuickAction,
    ListActions,
    RemoveQuickAction,
)
from toru.actors.messages.storage import QuickAction
from toru.actors.messages.tasks import TaskStarted
from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Body, Route, SmallInt, Success
from toru.web.openapi import operation


class NewQuickAction(Body, frozen=True):
    """A quick action to add; without an order it goes to the end.

    Attributes:
        confirm: whether the dashboard asks before it runs.
    """

    name: str
    script_path: str
    icon: str | None = None
    display_order: SmallInt | None = None
    confirm: bool = False


class QuickActionChange(Body, frozen=True):
    """What to change of a quick action; an icon of null removes it."""

    name: str | None = None
    script_path: str | None = None
    icon: str | msgspec.UnsetType | None = msgspec.UNSET
    display_order: SmallInt | None = None
    confirm: bool | None = None


class QuickActionsHandler(ApiHandler):
    """``/api/quick-actions``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any", "POST": "admin"}

    @operation(summary="List the quick actions in their order.", answer=list[QuickAction])
    async def get(self) -> None:
        """Answer with all quick actions."""
        self.answer(await self.services.quick_actions.ask(ListActions()))

    @operation(
        summary="Add a quick action.", body=NewQuickAction, answer=QuickAction, errors=(404,)
    )
    async def post(self) -> None:
        """Answer with the new quick action once it is durable."""
        new = self.body(NewQuickAction)
        create = CreateQuickAction(
            new.name, new.script_path, new.icon, new.display_order, new.confirm
        )
        self.answer(await self.services.quick_actions.ask(create))


class QuickActionHandler(ApiHandler):
    """``/api/quick-actions/{action_id}``."""

    roles: ClassVar[dict[str, Access]] = {"PUT": "admin", "DELETE": "admin"}

    @operation(
        summary="Change a quick action.",
        body=QuickActionChange,
        answer=QuickAction,
        errors=(404,),
    )
    async def put(self, action_id: str) -> None:
        """Answer with the quick action as it is after the change."""
        change = self.body(QuickActionChange)
        icon = None if change.icon is msgspec.UNSET else change.icon or ""
        message = ChangeQuickAction(
            int(action_id),
            change.name,
            change.script_path,
            icon,
            change.display_order,
            change.confirm,
        )
        self.answer(await self.services.quick_actions.ask(message))

    @operation(summary="Remove a quick action.", errors=(404,))
    async def delete(self, action_id: str) -> None:
        """Answer once it is gone."""
        await self.services.quick_actions.ask(RemoveQuickAction(int(action_id)))
        self.answer(Success())


class ExecuteHandler(ApiHandler):
    """``/api/quick-actions/{action_id}/execute``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "any"}

    @operation(summary="Run the script of a quick action.", answer=TaskStarted, errors=(404,))
    async def post(self, action_id: str) -> None:
        """Answer with the run's id once its row is durable."""
        execute = ExecuteQuickAction(int(action_id), self.session)
        self.answer(await self.services.quick_actions.ask(execute))


ROUTES = [
    Route("/api/quick-actions", QuickActionsHandler),
    Route("/api/quick-actions/{action_id:int}", QuickActionHandler),
    Route("/api/quick-actions/{action_id:int}/execute", ExecuteHandler),
]
