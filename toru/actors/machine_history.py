"""The machine's history for whoever asks: what is stored first, then what the Monitor remembers.

Runs on: the event loop; the arithmetic is done on the threads of those that it asks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Coroutine
from typing import Any

import msgspec

from toru.actors.messages.machine_history import ReadMachineHistory
from toru.actors.messages.monitor import ComposeHistory, GetHistory
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.domain.machine_history import step_for
from toru.errors import BadRequest

LONGEST_S = 400 * 86_400
MOST_STEPS = 2_000


class MachineHistory(LoopActor):
    """Answers `GetHistory`; holds nothing itself.

    Args:
        db_reader: who reads what is stored.
        monitor: who has the samples of the last hour.
    """

    mailbox_limit = 100

    def __init__(self, context: ActorContext, db_reader: Address, monitor: Address) -> None:
        super().__init__(context)
        self._db_reader = db_reader
        self._monitor = monitor

    def on_receive(self, message: Message[Any]) -> Coroutine[Any, Any, Any] | Any:
        """Answer one message."""
        match message:
            case GetHistory():
                return self._history(*grid(message, time.time()))
            case _:
                return super().on_receive(message)

    async def _history(self, start: int, end: int, step: int) -> msgspec.Raw:
        stored = await self._db_reader.ask(ReadMachineHistory(start, end, step))
        return await self._monitor.ask(ComposeHistory(stored, start, end, step))


def grid(wanted: GetHistory, now: float) -> tuple[int, int, int]:
    """Return where the steps begin, where they end, and how long they are.

    Raises:
        BadRequest: the time is none, too long, or of too many steps.
    """
    start, end = wanted.start, now if wanted.end is None else wanted.end
    if end <= start:
        raise BadRequest("The history must begin before it ends.")
    if end - start > LONGEST_S:
        raise BadRequest(f"The history goes back {LONGEST_S // 86_400} days; ask for less.")
    step = wanted.step or step_for(round(end - start))
    if (end - start) / step > MOST_STEPS:
        raise BadRequest(f"That is more than {MOST_STEPS:,} steps; ask for longer ones.")
    return int(start // step) * step, math.ceil(end), step
