"""The hub's figures for Prometheus, gathered in a registry of their own.

Runs on: the thread of the Monitor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

import toru
from toru.actors.runtime import ActorStatistics, Directory
from toru.actors.runtime.loop_lag import LoopLag

_COUNTERS = {
    "handled": ("toru_actor_messages_handled", "Messages that the actor has handled."),
    "busy_s": ("toru_actor_busy_seconds", "Seconds that the actor spent in handling messages."),
    "refused": ("toru_actor_messages_refused", "Messages refused because the mailbox was full."),
    "dropped": ("toru_actor_messages_dropped", "Messages dropped for newer ones."),
    "restarts": ("toru_actor_restarts", "How often the actor was replaced after a crash."),
}


class Metrics:
    """Writes the figures as text, in the format 0.0.4 of Prometheus."""

    def __init__(self, directory: Directory, loop_lag: LoopLag) -> None:
        self._registry = CollectorRegistry()
        self._hub = _HubCollector(directory, loop_lag)
        self._registry.register(self._hub)
        ProcessCollector(registry=self._registry)

    def text(self, runs: Mapping[str, int] | None) -> bytes:
        """Return all figures.

        Args:
            runs: how many runs are in each open state; None when nobody knows now.
        """
        self._hub.runs = runs
        return generate_latest(self._registry)


class _HubCollector(Collector):
    """Reads the directory when it is asked; holds no figure of its own.

    Names such as ``task/<id>`` come and go, so they count together under the part before the
    slash, and only with figures that may fall.
    """

    def __init__(self, directory: Directory, loop_lag: LoopLag) -> None:
        self._directory = directory
        self._loop_lag = loop_lag
        self.runs: Mapping[str, int] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the families; the registry calls it."""
        statistics = self._directory.statistics()
        yield _info()
        yield from self._runs()
        yield self._lag()
        clients = sum(each.name.startswith("client/") for each in statistics)
        yield GaugeMetricFamily("toru_websocket_clients", "Open WebSocket connections.", clients)
        yield from _gauges(statistics)
        yield from _counters(each for each in statistics if "/" not in each.name)

    def _lag(self) -> Metric:
        family = GaugeMetricFamily(
            "toru_event_loop_lag_seconds",
            "How late the event loop was in the last five minutes.",
            labels=["quantile"],
        )
        for share in (0.5, 0.99, 1.0):
            family.add_metric([f"{share:g}"], self._loop_lag.quantile_s(share))
        return family

    def _runs(self) -> Iterator[Metric]:
        if self.runs is None:
            return
        family = GaugeMetricFamily("toru_runs", "Runs that have not ended.", labels=["state"])
        for state, count in sorted(self.runs.items()):
            family.add_metric([state], count)
        yield family


def _info() -> Metric:
    family = GaugeMetricFamily("toru_info", "The version of the hub; always 1.", labels=["version"])
    family.add_metric([toru.__version__], 1)
    return family


def _gauges(statistics: Iterable[ActorStatistics]) -> Iterator[Metric]:
    count: defaultdict[str, int] = defaultdict(int)
    depth: defaultdict[str, int] = defaultdict(int)
    for each in statistics:
        group = each.name.partition("/")[0]
        count[group] += 1
        depth[group] += each.mailbox_depth
    yield _family("toru_actors", "Actors by name, or by the part before the slash.", count)
    yield _family("toru_actor_mailbox_depth", "Messages that wait in mailboxes.", depth)


def _family(name: str, documentation: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["actor"])
    for actor, value in values.items():
        family.add_metric([actor], value)
    return family


def _counters(statistics: Iterable[ActorStatistics]) -> Iterator[Metric]:
    named = list(statistics)
    for field, (name, documentation) in _COUNTERS.items():
        family = CounterMetricFamily(name, documentation, labels=["actor"])
        for each in named:
            family.add_metric([each.name], getattr(each, field))
        yield family
