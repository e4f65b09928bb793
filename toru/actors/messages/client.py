"""What a WebSocket client may say, as the contract has it.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from toru.actors.messages.hub import Topic

TaskId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class ClientMessage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=str.lower
):
    """Base of all; the field ``type`` says which one it is."""


class Run(ClientMessage, frozen=True):
    """Run a script and watch it."""

    script: str
    args: dict[str, str] = msgspec.field(default_factory=dict)


class Cancel(ClientMessage, frozen=True):
    """End a run."""

    task_id: TaskId


class Attach(ClientMessage, frozen=True):
    """Watch a run from an offset."""

    task_id: TaskId
    offset: Offset = 0


class Detach(ClientMessage, frozen=True):
    """Watch a run no more."""

    task_id: TaskId


class Subscribe(ClientMessage, frozen=True):
    """Hear of topics."""

    topics: Annotated[tuple[Topic, ...], msgspec.Meta(max_length=16)]


class Unsubscribe(ClientMessage, frozen=True):
    """Hear of topics no more."""

    topics: Annotated[tuple[Topic, ...], msgspec.Meta(max_length=16)]


class Ping(ClientMessage, frozen=True):
    """Ask for a pong."""


AnyClientMessage = Run | Cancel | Attach | Detach | Subscribe | Unsubscribe | Ping
