"""What plugins may subscribe to: the beginnings and ends of runs, and what plugins emit.

Runs on: any thread; pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from toru.errors import NotFound

TASKS = "tasks"
EMITTED = "plugin-emitted/"
STARTED = "task.started"
FINISHED = "task.finished"

_EMITTED_NAME = re.compile(r"plugin\.(?P<plugin>[A-Za-z0-9-]{1,64})\.(?P<name>.{1,128})", re.DOTALL)
_ENDED = frozenset({"finished", "failed", "cancelled", "interrupted"})
_SHOWN_CHARS = 100


class TaskNews(msgspec.Struct, frozen=True):
    """What plugins hear of a run; neither its arguments nor its output, which may have secrets."""

    id: str
    script_name: str
    state: str
    username: str | None = None
    trigger: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    duration_s: float | None = None


class CoreEvent(NamedTuple):
    """An event as a plugin gets it: its name, its data as JSON, and when it happened."""

    name: str
    data: msgspec.Raw
    timestamp: str


class _Frame(msgspec.Struct, frozen=True):
    topic: str
    data: msgspec.Raw


class _Emitted(msgspec.Struct, frozen=True):
    plugin: str
    name: str
    data: msgspec.Raw
    timestamp: str


_frame = msgspec.json.Decoder(_Frame)
_task = msgspec.json.Decoder(TaskNews)
_emitted = msgspec.json.Decoder(_Emitted)


def topic_of(name: str) -> str:
    """Return the Hub's topic in which the events of a name are.

    Raises:
        NotFound: plugins cannot subscribe to that.
    """
    if name in (STARTED, FINISHED):
        return TASKS
    found = _EMITTED_NAME.fullmatch(name)
    if found is None:
        raise NotFound(
            f"There is no event {name[:_SHOWN_CHARS]!r} to subscribe to; there are {STARTED}, "
            f"{FINISHED} and plugin.<id>.<name> of what a plugin emits.",
            code="unknown_event",
        )
    return f"{EMITTED}{found['plugin']}"


def event_in(frame: bytes) -> CoreEvent | None:
    """Return the event in a frame of the Hub's; None when plugins do not hear of it."""
    told = _frame.decode(frame)
    if told.topic == TASKS:
        return _of_task(_task.decode(told.data))
    if told.topic.startswith(EMITTED):
        event = _emitted.decode(told.data)
        return CoreEvent(f"plugin.{event.plugin}.{event.name}", event.data, event.timestamp)
    return None


def _of_task(task: TaskNews) -> CoreEvent | None:
    data = msgspec.Raw(msgspec.json.encode(task))
    if task.state == "running":
        return CoreEvent(STARTED, data, task.started_at or "")
    if task.state in _ENDED:
        return CoreEvent(FINISHED, data, task.finished_at or "")
    return None
