"""What the task manager, a run's actor and its viewers say to each other.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.runner import RunStatus
from toru.actors.messages.storage import Run, RunNames, RunState
from toru.actors.runtime import Message


class TaskStarted(msgspec.Struct, frozen=True):
    """A run was accepted and its row is durable.

    Attributes:
        waiting: it waits for a free slot.
    """

    task_id: str
    waiting: bool


class StartTask(Message[TaskStarted], frozen=True):
    """Run a script. BadRequest, Forbidden, NotFound, Unavailable.

    Attributes:
        script: the plain file name.
        session: who asks.
        args: arguments by parameter name.
        trigger: ``websocket``, ``quick_action`` or ``api``.
    """

    script: str
    session: Session
    args: dict[str, str] = msgspec.field(default_factory=dict)
    trigger: str = "api"


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
    with_output: bool = True
    after: str | None = None
    until: str | None = None


class ListTaskNames(Message[RunNames], frozen=True):
    """What the session may filter its history by."""

    session: Session


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


# Between the task manager, a run's actor and its viewers


class TaskPlan(msgspec.Struct, frozen=True):
    """All that a run's actor is made of.

    Attributes:
        run: the row as it was when the actor was first made.
        argv: what to execute; empty for a run that is not to be started (any more).
        cwd: the working directory.
        env: the whole environment.
        output_limit_bytes: how much output is kept.
        cancel_grace_s: seconds between TERM and KILL.
        leftovers: ``end`` or ``leave`` what outlives the script.
        time_limit_s: seconds it may run; None is no limit.
    """

    run: Run
    argv: tuple[str, ...] = ()
    cwd: str = "/"
    env: dict[str, str] = msgspec.field(default_factory=dict)
    output_limit_bytes: int = 67_108_864
    cancel_grace_s: float = 5.0
    leftovers: str = "end"
    time_limit_s: float | None = None


class Admit(Message[None], frozen=True):
    """There is a free slot: start the process."""


class Cancel(Message[RunState], frozen=True):
    """End the run; the answer is the state it is in then. Conflict when it has ended."""


class Recheck(Message[None], frozen=True):
    """The runner is there (again); ``status`` is what it knows of this run, if anything."""

    status: RunStatus | None


class Describe(Message[Run], frozen=True):
    """The row as it is now."""


class View(Message[None], frozen=True):
    """Tell this client of the run's growth and its end from now on."""

    client: str


class Unview(Message[None], frozen=True):
    """This client does not look any more."""

    client: str


class Frames(msgspec.Struct, frozen=True):
    """Encoded WebSocket frames for a stretch of output."""

    frames: tuple[bytes, ...]
    next_offset: int


class ReadFrames(Message[Frames], frozen=True):
    """The frames from ``offset`` on; none when there is nothing new."""

    offset: int


class ReadStretch(Message[Output], frozen=True):
    """Raw output from ``offset`` on, at most ``limit_bytes``."""

    offset: int
    limit_bytes: int


class RetryRecord(Message[None], frozen=True):
    """Try again to write down the end."""


class RetryCancel(Message[None], frozen=True):
    """Ask the runner again for the end."""


class LingerOver(Message[None], frozen=True):
    """The run has ended and nobody has looked for a while."""


# Told upward


class TaskEnded(Message[None], frozen=True):
    """The run has ended; its slot is free. For the task manager."""

    task_id: str


class TaskIdle(Message[None], frozen=True):
    """The run has ended and nobody looks; its actor may go. For the task manager."""

    task_id: str


class TaskGrew(Message[None], frozen=True):
    """For a viewer: there are ``size`` bytes; ``end`` are the last frames once it has ended."""

    task_id: str
    started: bool
    size: int
    end: tuple[bytes, ...] | None = None


class TaskNotice(Message[None], frozen=True):
    """For a viewer: a frame about the run that is not output."""

    task_id: str
    frame: bytes


class TaskReplaced(Message[None], frozen=True):
    """The run's actor was replaced; viewers say again that they look."""

    task_id: str


# For the task manager


class Housekeeping(Message[None], frozen=True):
    """Remove the runs that are older, or more, than the settings keep."""


class AttachTask(Message[None], frozen=True):
    """Make sure that the run's actor is there and that the session may see it. NotFound."""

    task_id: str
    session: Session
