"""A decision on a plugin's life while it is being made, and the moves that all decisions share.

Runs on: any thread; pure. ``toru.domain.plugin_lifecycle`` has the whole picture.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from toru.domain import plugin_life as life
from toru.domain.plugin_life import Ask, PluginState, TimerKind, Wish

GRACE_S: dict[TimerKind, float] = {"goaway": 10.0, "shutdown": 5.0, "terminate": 5.0, "kill": 5.0}
"""How long each step of a stop may take; a kill is repeated."""

RETIRE_S = 300.0
"""How long a version that has been replaced may go on with what was asked of it before, such as the
rest of an upload; an answer itself is there within 30 s of that."""

STARTS: tuple[Wish, ...] = ("enable", "restart")
"""The wishes that a start fulfils."""


class Draft:
    """A decision that is being made: the state so far and the instructions so far."""

    def __init__(self, state: PluginState, now: float, jitter: float, healthy_s: float) -> None:
        self.state = state
        self.now = now
        self.jitter = jitter
        self.healthy_s = healthy_s
        self.made: list[life.Instruction] = []

    def do(self, *instructions: life.Instruction) -> None:
        """Add instructions."""
        self.made += instructions

    def set(self, **changes: Any) -> None:
        """Change the state."""
        self.state = msgspec.structs.replace(self.state, **changes)

    def arm(self, kind: TimerKind, delay_s: float) -> None:
        """Start the timer; there is one at most."""
        if self.state.timer != kind:
            self.disarm()
        self.set(timer=kind, serial=self.state.serial + 1)
        self.do(life.ArmTimer(kind, delay_s, self.state.serial))

    def disarm(self) -> None:
        """Stop the timer, if it runs."""
        if self.state.timer is not None:
            self.do(life.CancelTimer(self.state.timer))
            self.set(timer=None)

    def record(self, event_type: life.EventType, **details: Any) -> None:
        """Have an event stored."""
        self.do(life.RecordEvent(event_type, details))

    def wait(self, ask: Ask) -> None:
        """Let somebody wait for an answer."""
        self.set(asks=(*self.state.asks, ask))

    def answer(self, wishes: Collection[Wish], refusal: life.Refusal | None = None) -> None:
        """Answer everybody who waits for one of ``wishes``."""
        served = [ask for ask in self.state.asks if ask.wish in wishes]
        self.set(asks=tuple(ask for ask in self.state.asks if ask.wish not in wishes))
        self.do(*(life.Answer(ask, refusal) for ask in served))


def settle(draft: Draft) -> None:
    """With no process there: come to rest, or start, as the wishes of this moment are."""
    state = draft.state
    draft.disarm()
    draft.answer(["disable"])
    if state.broken is not None and not state.removed:
        draft.set(phase="broken", reason=state.broken, again=False)
    elif not state.enabled:
        draft.set(phase="disabled", again=False)
    elif state.removed or state.shutting_down:
        draft.set(phase="stopped", again=False)
    else:
        start(draft)
    if state.removed:
        draft.do(life.Dispose())


def start(draft: Draft) -> None:
    """Have a process started; there is none."""
    draft.disarm()
    number = draft.state.spawn + 1
    protocol = draft.state.protocol
    draft.set(phase="starting", process="spawning", spawn=number, speaks=protocol)
    draft.set(was_ready=False, misses=0, degraded=False, fault=None, healthy_since=None)
    draft.do(life.Spawn(number, protocol))


def stop(draft: Draft) -> None:
    """Ask the process to go: politely when it can hear."""
    state = draft.state
    draft.disarm()
    draft.set(phase="stopping")
    if state.takes_requests:
        take_step(draft, "goaway" if state.speaks >= 2 else "shutdown")
    elif state.process == "alive":
        take_step(draft, "terminate")


def retire(draft: Draft) -> None:
    """Let the process answer what it was asked, and then go."""
    draft.disarm()
    draft.set(phase="stopping")
    draft.do(life.AwaitQuiet(draft.state.spawn))
    draft.arm("retire", RETIRE_S)


def leave(draft: Draft) -> None:
    """Ask a process that has retired to go."""
    take_step(draft, "goaway" if draft.state.speaks >= 2 else "shutdown")


def take_step(draft: Draft, step: TimerKind) -> None:
    """Take one step of a stop, and give it its time."""
    match step:
        case "goaway":
            draft.do(life.SendGoaway())
        case "shutdown":
            draft.do(life.SendShutdown())
        case "terminate":
            draft.do(life.Terminate())
        case _:
            draft.do(life.Kill())
    draft.arm(step, GRACE_S[step])


def end_or_settle(draft: Draft) -> None:
    """Stop the process, or come to rest where there is none."""
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            stop(draft)
        case "stopping":
            pass
        case "discovered" if not draft.state.shutting_down:
            pass
        case _:
            settle(draft)
