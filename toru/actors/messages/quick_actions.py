"""What the QuickActions actor is asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.storage import QuickAction
from toru.actors.messages.tasks import TaskStarted
from toru.actors.runtime import Message


class ListActions(Message[list[QuickAction]], frozen=True):
    """All quick actions by display order, then id."""


class CreateQuickAction(Message[QuickAction], frozen=True):
    """Add a quick action; without an order it goes to the end. BadRequest, Forbidden, NotFound."""

    name: str
    script_path: str
    icon: str | None = None
    display_order: int | None = None
    confirm: bool = False


class ChangeQuickAction(Message[QuickAction], frozen=True):
    """Change the fields that are not None; an empty icon removes it.

    BadRequest, Forbidden, NotFound.
    """

    id: int
    name: str | None = None
    script_path: str | None = None
    icon: str | None = None
    display_order: int | None = None
    confirm: bool | None = None


class RemoveQuickAction(Message[None], frozen=True):
    """Remove a quick action. NotFound."""

    id: int


class ExecuteQuickAction(Message[TaskStarted], frozen=True):
    """Run the script of a quick action. NotFound, and what ``StartTask`` answers.

    Attributes:
        id: the quick action.
        session: who asks.
        args: arguments by parameter name.
    """

    id: int
    session: Session
    args: dict[str, str] = msgspec.field(default_factory=dict)


class IsNamedByQuickAction(Message[bool], frozen=True):
    """Whether a quick action names this script, so that clients may run it."""

    script: str
