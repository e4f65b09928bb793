"""The table of processes, looked at only when somebody asks.

Runs on: a thread of its own, because a look at thousands of processes takes a while, and the
Monitor's seconds are not to wait for it.
"""

from __future__ import annotations

import time
from typing import Any

from toru import clock
from toru.actors.messages.processes import GetProcesses, ProcessList
from toru.actors.process_table import ProcessTable
from toru.actors.runtime import ActorContext, Message, ThreadActor

FRESH_S = 0.9
"""How old a look may be to serve again, so that several viewers cost no more than one."""

OLD_S = 15.0
"""A share over more time than this would not be the usage of now."""

WINDOW_S = 0.3
"""Over less time the kernel's clock ticks say nothing."""


class Processes(ThreadActor):
    """Answers `GetProcesses`; the first question waits for a second look."""

    mailbox_limit = 50

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)
        self._table = ProcessTable()
        self._looked_at: float | None = None
        self._sampled_at = ""

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message."""
        match message:
            case GetProcesses(sort=sort, limit=limit):
                self._refresh()
                return ProcessList(self._table.top(sort, limit), len(self._table), self._sampled_at)
        return None

    def _refresh(self) -> None:
        now = clock.monotonic()
        age_s = float("inf") if self._looked_at is None else now - self._looked_at
        if age_s <= FRESH_S:
            return
        if age_s > OLD_S:
            self._table.look()
            time.sleep(WINDOW_S)
        self._table.look()
        self._looked_at = clock.monotonic()
        self._sampled_at = clock.utc_now()
