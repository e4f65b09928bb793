"""What the Monitor remembers: the samples of the last hour, and minutes on their way to storage.

Runs on: the thread of the Monitor.
"""

from __future__ import annotations

import time
from collections import deque

import msgspec
import pykka

from toru.actors.machine import Reading
from toru.actors.messages.machine_history import SaveMachineHistory
from toru.actors.messages.monitor import ComposeHistory, History
from toru.actors.runtime import Address, Reply
from toru.clock import format_time
from toru.domain.machine_history import Roller, Stretch, clip, columns, thin
from toru.domain.sample_ring import SampleRing
from toru.errors import ToruError

SAMPLES_KEPT = 3_600
MINUTE_S = 60
APART_S = 2.5
"""Samples of one second each that lie further apart than this have a gap between them."""

UNSAVED_KEPT = 120
"""How many minutes wait for a database that cannot be written."""

SAVE_DEADLINE_S = 50.0
CLOSE_TIMEOUT_S = 2.0


class MachineRecorder:
    """Keeps what is read: seconds in memory, minutes in the database, one commit a minute.

    A minute that could not be written is sent again with the next.
    """

    def __init__(self, db_writer: Address) -> None:
        self._db_writer = db_writer
        self._ring = SampleRing(SAMPLES_KEPT)
        self._roller = Roller(MINUTE_S, APART_S)
        self._unsaved: deque[Stretch] = deque(maxlen=UNSAVED_KEPT)
        self._under_way: Reply[None] | None = None
        self._sent = 0

    def record(self, reading: Reading) -> None:
        """Take in a reading."""
        sample = reading.stretch()
        if sample is None:
            return
        self._ring.append(sample)
        row = self._roller.add(sample)
        if row is not None:
            self._save(row)

    def close(self) -> None:
        """Save what there is, and wait a moment for it. Safe to call twice."""
        row = self._roller.flush()
        if row is None:
            return
        self._save(row)
        if self._under_way is not None:
            try:
                self._under_way.get(timeout=CLOSE_TIMEOUT_S)
            except (ToruError, pykka.Timeout):
                return  # the writer says itself what it cannot do

    def compose(self, wanted: ComposeHistory, memory_total: int, swap_total: int) -> msgspec.Raw:
        """Return the history of a time as JSON; samples go before what is stored of their time."""
        start, end, step = wanted.start, wanted.end, wanted.step
        since = self._ring.start
        stored = wanted.stored.stretches
        resolution_s = wanted.stored.resolution_s
        if since is not None:
            stored = clip(stored, start, since)
        recent = list(self._ring.between(start, end))
        thinned = thin([*stored, *recent], start, end, step)
        told = columns(thinned, start, end, step)
        history = History(
            **{name: getattr(told, name) for name in told.__struct_fields__},
            start=format_time(start),
            end=format_time(end),
            step=step,
            resolution=resolution_s if stored else 1,
            memory_total=memory_total,
            swap_total=swap_total,
        )
        return msgspec.Raw(msgspec.json.encode(history))

    def _save(self, row: Stretch) -> None:
        """Send all that is not known to be stored; what was sent before and failed goes again."""
        reply = self._under_way
        if reply is not None and reply.settled and not reply.failed:
            for _ in range(min(self._sent, len(self._unsaved))):
                self._unsaved.popleft()
        self._unsaved.append(row)
        rows = tuple(self._unsaved)
        self._sent = len(rows)
        self._under_way = self._db_writer.ask(
            SaveMachineHistory(rows, time.time()), deadline_s=SAVE_DEADLINE_S
        )
