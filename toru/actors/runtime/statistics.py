"""The figures of an actor, counted where they happen and kept over restarts.

Runs on: written on the actor's own thread or loop and by its senders, read anywhere.
"""

from __future__ import annotations

import msgspec


class Meter:
    """Running counts of one name; plain attributes, because they are on the hot path."""

    __slots__ = (
        "busy_s",
        "dropped",
        "handled",
        "last_error",
        "peak_depth",
        "recent_peak",
        "refused",
        "restarts",
    )

    def __init__(self) -> None:
        self.handled = 0
        self.busy_s = 0.0
        self.peak_depth = 0
        self.recent_peak = 0
        self.refused = 0
        self.dropped = 0
        self.restarts = 0
        self.last_error: str | None = None

    def begin_window(self, depth: int) -> None:
        """Let ``recent_peak`` begin anew, with the messages that wait now.

        A peak in the same instant on another thread may be left out; counting it for sure would
        cost every message a lock.
        """
        self.peak_depth = max(self.peak_depth, self.recent_peak)
        self.recent_peak = depth


class ActorStatistics(msgspec.Struct, frozen=True):
    """The figures of one actor at one moment.

    Attributes:
        name: the name that its address has.
        actor: the class.
        parent: the name of its supervisor; empty at the top.
        flavour: ``loop`` or ``thread``.
        state: ``starting``, ``running``, ``stopping``, ``backoff``, ``failed`` or ``stopped``.
        mailbox_depth: messages waiting now.
        mailbox_limit: messages that may wait.
        peak_depth: the most that ever waited.
        recent_peak: the most that waited since the figures were last published, a second ago
            while anybody looks.
        handled: messages handled since the first start.
        busy_s: seconds spent in handling them, on the actor's thread or loop.
        refused: messages refused because the mailbox was full.
        dropped: messages dropped for newer ones.
        restarts: how often the actor was replaced.
        last_error: the last crash, one line.
    """

    name: str
    actor: str
    parent: str
    flavour: str
    state: str
    mailbox_depth: int
    mailbox_limit: int
    peak_depth: int
    recent_peak: int
    handled: int
    busy_s: float
    refused: int
    dropped: int
    restarts: int
    last_error: str | None
