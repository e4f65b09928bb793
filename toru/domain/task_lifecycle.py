"""The life of one run, as a pure state machine: events in, the next state and instructions out.

Runs on: any thread; pure.

    queued ──Admitted──► starting ──Started──► running ──Exited──► ended
       │                    │  ╲CancelAsked       │CancelAsked       ▲
       │CancelAsked         │   remembered        ▼                  │
       └───────► ended      └─Refused─► ended  cancelling ──Exited───┘

`Lost` ends every state that has a process (nobody knows how it ended); a second ending is
ignored, so a run has exactly one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["queued", "starting", "running", "cancelling", "ended"]
Ending = Literal["finished", "failed", "cancelled", "interrupted"]


class TaskState(msgspec.Struct, frozen=True):
    """Where a run is in its life.

    Attributes:
        phase: the step.
        cancel_asked: somebody asked for its end while it was being started.
    """

    phase: Phase = "queued"
    cancel_asked: bool = False


# Events


class Admitted(msgspec.Struct, frozen=True):
    """There is a free slot."""


class Started(msgspec.Struct, frozen=True):
    """The runner has started the process."""

    at: str


class Refused(msgspec.Struct, frozen=True):
    """The runner could not start it."""

    at: str
    sentence: str


class CancelAsked(msgspec.Struct, frozen=True):
    """Somebody asked for its end."""

    at: str


class Exited(msgspec.Struct, frozen=True):
    """The process has ended and its output is whole.

    Attributes:
        code: the exit code; negative is the signal.
        reason: the runner's word for why: ``exit``, ``cancelled``, ``time_limit``, ``hub_gone``
            or ``interrupted``.
    """

    at: str
    code: int | None
    reason: str = "exit"


class Lost(msgspec.Struct, frozen=True):
    """Neither the runner nor the disk knows how it ended."""

    at: str
    sentence: str


Event = Admitted | Started | Refused | CancelAsked | Exited | Lost


# Instructions


class Spawn(msgspec.Struct, frozen=True):
    """Have the runner start the process."""


class RecordStart(msgspec.Struct, frozen=True):
    """Write down when it started."""

    at: str


class AskForEnd(msgspec.Struct, frozen=True):
    """Have the runner end the whole tree."""


class RecordEnd(msgspec.Struct, frozen=True):
    """Write down how it ended and tell the viewers."""

    ending: Ending
    at: str
    code: int | None
    detail: str | None = None


Instruction = Spawn | RecordStart | AskForEnd | RecordEnd
Decision = tuple[TaskState, tuple[Instruction, ...]]

ENDED = TaskState("ended")


def decide(state: TaskState, event: Event) -> Decision:
    """Return the state after ``event`` and what is to be done now."""
    if state.phase == "ended":
        return state, ()
    match event:
        case Admitted():
            return _admitted(state)
        case Started(at):
            return _started(state, at)
        case Refused(at, sentence):
            return ENDED, (RecordEnd("failed", at, None, sentence),)
        case CancelAsked(at):
            return _cancel_asked(state, at)
        case Exited(at, code, reason):
            return ENDED, (_end(at, code, reason),)
        case Lost(at, sentence):
            return ENDED, (RecordEnd("interrupted", at, None, sentence),)


def _admitted(state: TaskState) -> Decision:
    if state.phase != "queued":
        return state, ()
    return TaskState("starting"), (Spawn(),)


def _started(state: TaskState, at: str) -> Decision:
    if state.phase not in ("queued", "starting"):
        return state, ()
    if state.cancel_asked:
        return TaskState("cancelling"), (RecordStart(at), AskForEnd())
    return TaskState("running"), (RecordStart(at),)


def _cancel_asked(state: TaskState, at: str) -> Decision:
    match state.phase:
        case "queued":
            return ENDED, (RecordEnd("cancelled", at, None, "Cancelled before it started."),)
        case "starting":
            return TaskState("starting", cancel_asked=True), ()
        case "running":
            return TaskState("cancelling"), (AskForEnd(),)
        case _:
            return state, ()


def _end(at: str, code: int | None, reason: str) -> RecordEnd:
    match reason:
        case "cancelled":
            return RecordEnd("cancelled", at, code)
        case "interrupted":
            return RecordEnd("interrupted", at, code, "The runner was gone when the script ended.")
        case "time_limit":
            return RecordEnd("failed", at, code, "It ran longer than the time limit.")
        case _:
            return RecordEnd("finished" if code == 0 else "failed", at, code)
