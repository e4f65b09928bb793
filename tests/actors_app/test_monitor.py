"""The Monitor on this machine, with a listener in the hub's place.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from toru.actors.machine import Machine, disks
from toru.actors.messages.hub import Publish
from toru.actors.messages.monitor import GetMetrics, GetResources, Resources, WatchResources
from toru.actors.messages.storage import InsertRun, Run
from toru.actors.monitor import Monitor
from toru.actors.runtime import Address, ChildSpec
from toru.clock import utc_now

if TYPE_CHECKING:
    from tests.actors_app.conftest import Stage


async def monitor_of(stage: Stage) -> Address:
    """Start a monitor whose samples end in ``stage.heard``."""
    await stage.open()
    at = stage.system.address
    await stage.recorder("hub")
    return await stage.system.spawn(
        ChildSpec("monitor", Monitor, (at("hub"), at("db_reader"), stage.loop_lag))
    )


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Return once a condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_a_sample_has_the_machines_figures(stage: Stage) -> None:
    monitor = await monitor_of(stage)
    sample = await monitor.ask(GetResources())
    assert len(sample.cpu_cores) == os.cpu_count()
    assert 0 <= sample.cpu_percent <= 100
    assert all(0 <= core.usage <= 100 for core in sample.cpu_cores)
    assert 0 < sample.memory_used < sample.memory_total
    assert sample.uptime_seconds > 0
    assert sample.process_count > 0
    assert sample.kernel_version == os.uname().release
    assert sample.host_name == os.uname().nodename
    assert len({each.name for each in sample.network}) == len(sample.network)


@pytest.mark.gen_test
async def test_a_sample_serves_again_for_a_second(stage: Stage) -> None:
    monitor = await monitor_of(stage)
    first = await monitor.ask(GetResources())
    assert await monitor.ask(GetResources()) is first
    await asyncio.sleep(1.1)
    assert (await monitor.ask(GetResources())).sampled_at > first.sampled_at


@pytest.mark.gen_test
async def test_samples_are_published_only_while_somebody_watches(stage: Stage) -> None:
    monitor = await monitor_of(stage)
    await monitor.ask(GetResources())
    assert stage.heard == []
    monitor.tell(WatchResources(True))
    for _ in range(30):  # more viewers do not put the next tick off
        await asyncio.sleep(0.1)
        monitor.tell(WatchResources(True))
    await until(lambda: len(stage.heard) >= 3)
    monitor.tell(WatchResources(False))
    await monitor.ask(GetResources())
    await asyncio.sleep(0.1)
    count = len(stage.heard)
    assert count <= 6
    await asyncio.sleep(1.5)
    assert len(stage.heard) == count
    event = stage.heard[-1]
    assert isinstance(event, Publish)
    assert event.topic == "resources"
    assert not event.owned
    msgspec.json.decode(event.data, type=Resources)


@pytest.mark.gen_test
async def test_a_replaced_monitor_goes_on_publishing(
    stage: Stage, expect_log: Callable[..., Any]
) -> None:
    monitor = await monitor_of(stage)
    with expect_log("monitor crashed"):
        monitor.tell(WatchResources(_Bomb()))  # type: ignore[arg-type]  # that is the point
        await until(lambda: len(stage.heard) >= 2)
    assert (await monitor.ask(GetResources())).process_count > 0


class _Bomb:
    """A value that cannot even be compared."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("boom")

    __hash__ = None  # type: ignore[assignment]  # as Python has it beside __eq__


@pytest.mark.gen_test
async def test_metrics_are_text_that_prometheus_reads(stage: Stage) -> None:
    monitor = await monitor_of(stage)
    run = Run("0", "a.sh", "queued", None, "admin", "api", utc_now())
    await stage.system.address("db_writer").ask(InsertRun(run))
    text = (await monitor.ask(GetMetrics())).decode()
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["toru_runs", "queued"] == 1
    assert samples["toru_runs", "running"] == 0
    assert samples["toru_actor_messages_handled_total", "db_writer"] >= 1
    assert samples["toru_actors", "monitor"] == 1
    assert samples["toru_websocket_clients",] == 0
    assert samples["toru_event_loop_lag_seconds", "0.99"] >= 0
    assert samples["process_resident_memory_bytes",] > 1_000_000
    assert samples["process_cpu_seconds_total",] > 0


def test_each_device_is_listed_once_and_the_root_is_there() -> None:
    found = disks()
    assert found[0].mount_point == "/"
    assert len({disk.name for disk in found}) == len(found)
    for disk in found:
        assert 0 < disk.used_space + disk.available_space <= disk.total_space
        assert 0 <= disk.usage_percent <= 100


def test_a_sample_a_second_costs_less_than_a_hundredth_of_a_core() -> None:
    machine = Machine()
    machine.sample()
    spent = []
    for _ in range(10):
        time.sleep(0.11)
        began = time.process_time()
        machine.sample()
        spent.append(time.process_time() - began)
    assert sorted(spent)[5] < 0.01
