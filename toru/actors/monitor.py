"""The monitor: the machine's figures, read every second, kept, and told to whoever watches.

Runs on: a thread of its own, because figures of disks may be slow.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pykka

from toru import clock
from toru.actors.machine import Machine, ProcessWatch, Reading
from toru.actors.machine_recorder import MachineRecorder
from toru.actors.messages.hub import Publish
from toru.actors.messages.monitor import (
    ComposeHistory,
    GetMetrics,
    GetResources,
    LookAtProcess,
    Resources,
    Sample,
    WatchResources,
)
from toru.actors.messages.storage import ListOpenRuns
from toru.actors.metrics import Metrics
from toru.actors.runtime import ActorContext, Address, Message, ThreadActor
from toru.actors.runtime.loop_lag import LoopLag
from toru.errors import ToruError, Unavailable

INTERVAL_S = 1.0

FRESH_S = 1.05
"""How old a reading may be to serve again; a little more than the interval, which brings a new one
by itself."""

TOO_SOON_S = 0.5
"""A tick that comes so soon after a reading waited behind a slow one, and has nothing to add."""

DATABASE_TIMEOUT_S = 2.0


class Monitor(ThreadActor):
    """Reads the machine every second.

    Args:
        hub: who is told each sample while anybody watches.
        db_reader: where the metrics' runs are counted.
        db_writer: who keeps the history.
        loop_lag: how late the event loop is.
    """

    mailbox_limit = 200

    def __init__(
        self,
        context: ActorContext,
        hub: Address,
        db_reader: Address,
        db_writer: Address,
        loop_lag: LoopLag,
    ) -> None:
        super().__init__(context)
        self._loop_lag = loop_lag
        self._hub = hub
        self._db_reader = db_reader
        self._recorder = MachineRecorder(db_writer)
        self._machine: Machine
        self._metrics: Metrics
        self._processes: ProcessWatch
        self._reading: Reading | None = None
        self._newest: Resources | None = None
        self._watched = False

    def on_start(self) -> None:
        """Take the first counters, and read them every second from now on.

        After a crash it cannot know whether somebody watches, so it assumes so until it is told.
        """
        self._machine = Machine()
        self._processes = ProcessWatch()
        self._metrics = Metrics(self.context.system.directory, self._loop_lag)
        self.timers.every("sample", INTERVAL_S, Sample())
        if self.context.meter.restarts:
            self._watch(True)

    def on_stop(self) -> None:
        """Keep the part of a minute that there is."""
        self._recorder.close()

    def on_failure(self, *_: object) -> None:
        """Keep the part of a minute that there is."""
        self._recorder.close()

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message."""
        match message:
            case GetResources():
                return self._resources()
            case Sample():
                self._tick()
            case WatchResources(on=on):
                self._watch(on)
            case ComposeHistory():
                return self._history(message)
            case LookAtProcess(pid=pid):
                return self._processes.look(pid)
            case GetMetrics():
                return self._metrics.text(self._count_runs())
        return None

    def _watch(self, on: bool) -> None:
        if on == self._watched:
            return
        self._watched = on
        if on:
            self._tell_hub(self._resources())

    def _tick(self) -> None:
        if self._age_s() < TOO_SOON_S:
            return
        self._read()
        if self._watched:
            self._tell_hub(self._resources())

    def _age_s(self) -> float:
        reading = self._reading
        return float("inf") if reading is None else clock.monotonic() - reading.taken_at

    def _read(self) -> Reading:
        self._reading = reading = self._machine.read()
        self._newest = None
        self._recorder.record(reading)
        return reading

    def _resources(self) -> Resources:
        reading = self._reading
        if reading is None or self._age_s() > FRESH_S:
            reading = self._read()
        if self._newest is None:
            self._newest = self._machine.describe(reading)
        return self._newest

    def _history(self, message: ComposeHistory) -> msgspec.Raw:
        now = self._resources()
        return self._recorder.compose(message, now.memory_total, now.swap_total)

    def _tell_hub(self, sample: Resources) -> None:
        event = Publish("resources", msgspec.Raw(msgspec.json.encode(sample)))
        try:
            self._hub.tell(event)
        except Unavailable:
            return  # the hub is being replaced or has too much to do; the next second has a new one

    def _count_runs(self) -> dict[str, int] | None:
        """Return how many runs are in each open state; None when the database does not answer."""
        counts = {"queued": 0, "running": 0}
        try:
            runs = self._db_reader.ask(ListOpenRuns()).get(timeout=DATABASE_TIMEOUT_S)
        except (ToruError, pykka.Timeout):
            return None
        for run in runs:
            counts[run.state] = counts.get(run.state, 0) + 1
        return counts
