"""The monitor: the machine's figures on demand, every second while somebody watches, and metrics.

Runs on: a thread of its own, because figures of disks may be slow.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pykka

from toru import clock
from toru.actors.machine import Machine, ProcessWatch
from toru.actors.messages.hub import Publish
from toru.actors.messages.monitor import (
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
FRESH_S = 0.95
"""How old a sample may be to serve again; a little less than the interval, so no tick is lost."""

DATABASE_TIMEOUT_S = 2.0


class Monitor(ThreadActor):
    """Samples the machine.

    Args:
        hub: who is told each sample while anybody watches.
        db_reader: where the metrics' runs are counted.
        loop_lag: how late the event loop is.
    """

    mailbox_limit = 200

    def __init__(
        self, context: ActorContext, hub: Address, db_reader: Address, loop_lag: LoopLag
    ) -> None:
        super().__init__(context)
        self._loop_lag = loop_lag
        self._hub = hub
        self._db_reader = db_reader
        self._machine: Machine
        self._metrics: Metrics
        self._processes: ProcessWatch
        self._newest: Resources | None = None
        self._sampled_at = 0.0
        self._watched = False

    def on_start(self) -> None:
        """Take the first processor times.

        After a crash it cannot know whether somebody watches, so it assumes so until it is told.
        """
        self._machine = Machine()
        self._processes = ProcessWatch()
        self._metrics = Metrics(self.context.system.directory, self._loop_lag)
        if self.context.meter.restarts:
            self._watch(True)

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message."""
        match message:
            case GetResources():
                return self._resources()
            case Sample():
                self._publish()
            case WatchResources(on=on):
                self._watch(on)
            case LookAtProcess(pid=pid):
                return self._processes.look(pid)
            case GetMetrics():
                return self._metrics.text(self._count_runs())
        return None

    def _watch(self, on: bool) -> None:
        if on == self._watched:
            return  # a timer that is armed anew with every viewer might never ring
        self._watched = on
        if on:
            self.timers.every("sample", INTERVAL_S, Sample())
            self._tell_hub(self._resources())
        else:
            self.timers.cancel("sample")

    def _resources(self) -> Resources:
        now = clock.monotonic()
        if self._newest is None or now - self._sampled_at > FRESH_S:
            self._newest = self._machine.sample()
            self._sampled_at = now
        return self._newest

    def _publish(self) -> None:
        before = self._newest
        sample = self._resources()
        # Ticks that waited behind a slow sample have nothing new to say.
        if sample is not before:
            self._tell_hub(sample)

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
