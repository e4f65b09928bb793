"""What the task manager, a run's actor and its viewers say to each other.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.storage import Run, RunState
from toru.actors.runtime import Message


class TaskStarted(msgspec.Struct, frozen=True):
    """A run was accepted and its row is durable."""

    task_id: str
    state: RunState


class StartTask(Message[TaskStarted], frozen=True):
    """Run a script. BadRequest, Forbidden, NotFound, Unavailable.

    Attributes:
        script: the plain file name.
        session: who asks.
        args: arguments by parameter name.
        trigger: ``websocket``, ``quick_action`` or ``api``.
        viewer: the name of the client that is attached from the first byte; None for nobody.
    """

    script: str
    session: Session
    args: dict[str, str] = msgspec.field(default_factory=dict)
    trigger: str = "api"
    viewer: str | None = None


class CancelTask(Message[RunState], frozen=True):
    """Ask for the end of a run; the answer is the state it is in then. NotFound, Conflict."""

    task_id: str
    session: Session


class GetTask(Message[Run], frozen=True):
    """One run, with the state of now. NotFound (also when it is not one's own)."""

    task_id: str
    session: Session


class ListTasks(Message[list[Run]], frozen=True):
    """The history as the session may see it; the filters are those of ``ListRuns``."""

    session: Session
    limit: int = 100
    before: str | None = None
    state: str | None = None
    script: str | None = None
    username: str | None = None
    query: str | None = None


class DeleteTask(Message[None], frozen=True):
    """Remove an ended run, its row and its output. NotFound, Conflict while it runs."""

    task_id: str
    session: Session


class Output(msgspec.Struct, frozen=True):
    """A stretch of output.

    Attributes:
        data: the raw bytes; a marker line stands where bytes are missing.
        offset: where ``data`` begins.
        next_offset: where the next stretch begins.
        size: bytes that the script has written so far.
        complete: the run has ended and ``next_offset`` is the end.
    """

    data: bytes
    offset: int
    next_offset: int
    size: int
    complete: bool


class ReadOutput(Message[Output], frozen=True):
    """A stretch of a run's output, from ``offset``, at most ``limit_bytes``. NotFound."""

    task_id: str
    session: Session
    offset: int = 0
    limit_bytes: int = 262_144
