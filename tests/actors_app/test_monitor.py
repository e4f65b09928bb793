"""The Monitor on this machine, with a listener in the hub's place.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from toru.actors.machine import Machine, disks
from toru.actors.machine_history import MachineHistory, grid
from toru.actors.machine_io import rates_between
from toru.actors.machine_recorder import UNSAVED_KEPT, MachineRecorder
from toru.actors.messages.hub import Publish
from toru.actors.messages.machine_history import SaveMachineHistory
from toru.actors.messages.monitor import (
    GetHistory,
    GetMetrics,
    GetResources,
    History,
    Resources,
    WatchResources,
)
from toru.actors.messages.processes import GetProcesses
from toru.actors.messages.storage import InsertRun, Run
from toru.actors.monitor import Monitor
from toru.actors.process_table import parse_stat
from toru.actors.processes import Processes
from toru.actors.runtime import Address, ChildSpec, Reply
from toru.clock import utc_now
from toru.domain.machine_history import SERIES
from toru.errors import BadRequest, StorageUnavailable

if TYPE_CHECKING:
    from tests.actors_app.conftest import Stage


async def monitor_of(stage: Stage) -> Address:
    """Start a monitor whose samples end in ``stage.heard``."""
    await stage.open()
    at = stage.system.address
    await stage.recorder("hub")
    return await stage.system.spawn(
        ChildSpec("monitor", Monitor, (at("hub"), at("db_reader"), at("db_writer"), stage.loop_lag))
    )


async def history_of(stage: Stage) -> Address:
    """Start the actor that is asked for the monitor's history."""
    at = stage.system.address
    return await stage.system.spawn(
        ChildSpec("machine_history", MachineHistory, (at("db_reader"), at("monitor")))
    )


async def last_minutes(history: Address, step: int = 1) -> History:
    """Return the last five minutes."""
    told = await history.ask(GetHistory(time.time() - 300, None, step))
    return msgspec.json.decode(told, type=History)


def measured(history: History) -> list[float]:
    """Return the shares of the processor where there are any."""
    return [share for share in history.series["cpu"] if share is not None]


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


@pytest.mark.gen_test
async def test_every_second_is_kept_though_nobody_watches(stage: Stage) -> None:
    await monitor_of(stage)
    history = await history_of(stage)
    await asyncio.sleep(3.3)
    told = await last_minutes(history)
    assert 3 <= len(measured(told)) <= 5
    assert (told.step, told.resolution) == (1, 1)
    assert len(told.times) == len(told.series["cpu"]) == len(told.peaks["received"])
    assert len(told.cores) == os.cpu_count()
    assert told.disks[0].mount_point == "/"
    memory = [used for used in told.series["memory"] if used is not None]
    assert all(0 < used < told.memory_total for used in memory)
    assert set(told.series) == set(SERIES)
    assert stage.heard == []


@pytest.mark.gen_test
async def test_a_stop_keeps_what_there_is_of_a_minute(stage: Stage) -> None:
    await monitor_of(stage)
    await history_of(stage)
    await asyncio.sleep(2.2)
    await stage.stop()
    stopped_at = time.time()
    await asyncio.sleep(3.0)  # rows end at whole seconds, so a gap of less might show in none
    await monitor_of(stage)
    history = await history_of(stage)
    await asyncio.sleep(2.2)
    told = await last_minutes(history)
    assert told.resolution == 60
    begun = [
        second
        for second, share in zip(told.times, told.series["cpu"], strict=True)
        if share is not None
    ]
    assert begun[0] < stopped_at - 1 < begun[-1]
    gap = begun[-1] - begun[0] + 1 - len(begun)
    assert gap >= 1, "the time between the two is a gap"


@pytest.mark.gen_test
async def test_a_crash_keeps_what_there_is_of_a_minute(
    stage: Stage, expect_log: Callable[..., Any]
) -> None:
    monitor = await monitor_of(stage)
    history = await history_of(stage)
    await asyncio.sleep(2.2)
    with expect_log("monitor crashed"):
        monitor.tell(WatchResources(_Bomb()))  # type: ignore[arg-type]  # that is the point
        await until(lambda: len(stage.heard) >= 1)
    assert len(measured(await last_minutes(history))) >= 2


@pytest.mark.gen_test
async def test_minutes_that_cannot_be_written_are_sent_again_with_the_next(stage: Stage) -> None:
    await stage.open()
    writer = FailingWriter()
    recorder = MachineRecorder(writer)  # type: ignore[arg-type]  # a writer that refuses
    machine = Machine()
    reading = machine.read()
    begin = 1_800_000_000 // 60 * 60
    for second in range(60 * (UNSAVED_KEPT + 10)):
        recorder.record(dataclasses.replace(reading, at=begin + second + 1.0, covers_s=1.0))
    assert len(writer.asked) == UNSAVED_KEPT + 9
    rows = writer.asked[-1].rows
    assert len(rows) == UNSAVED_KEPT
    assert [row.start for row in rows] == [begin + 60 * n for n in range(9, UNSAVED_KEPT + 9)]
    writer.works = True
    for second in range(60 * (UNSAVED_KEPT + 10), 60 * (UNSAVED_KEPT + 13)):
        recorder.record(dataclasses.replace(reading, at=begin + second + 1.0, covers_s=1.0))
    assert [len(asked.rows) for asked in writer.asked[-3:]] == [UNSAVED_KEPT, 1, 1]
    recorder.close()
    recorder.close()
    assert len(writer.asked[-1].rows) == 1


class FailingWriter:
    """Refuses until it works, and keeps what it was asked."""

    def __init__(self) -> None:
        self.works = False
        self.asked: list[SaveMachineHistory] = []

    def ask(self, message: SaveMachineHistory, *, deadline_s: float) -> Reply[None]:
        """Answer at once."""
        self.asked.append(message)
        reply: Reply[None] = Reply(deadline_s=deadline_s)
        if self.works:
            reply.settle(None)
        else:
            reply.settle_exception(StorageUnavailable("The disk is full."))
        return reply


@pytest.mark.parametrize(
    ("start", "end", "step", "sentence"),
    [
        (200.0, 100.0, 1, "before it ends"),
        (100.0, 100.0, 1, "before it ends"),
        (0.0, 401 * 86_400.0, 86_400, "400 days"),
        (0.0, 3_000.0, 1, "2,000 steps"),
    ],
)
def test_a_time_that_cannot_be_told_is_refused(
    start: float, end: float, step: int, sentence: str
) -> None:
    with pytest.raises(BadRequest, match=sentence):
        grid(GetHistory(start, end, step), now=1e9)


def test_steps_lie_on_a_grid_that_is_the_same_for_everybody() -> None:
    assert grid(GetHistory(1_000_003.5, None, 60), now=1_000_303.2) == (999_960, 1_000_304, 60)
    assert grid(GetHistory(1_000_000, 1_000_300), now=2e9) == (1_000_000, 1_000_300, 1)


@pytest.mark.gen_test
async def test_the_process_that_works_is_at_the_top(stage: Stage) -> None:
    await stage.open()
    processes = await stage.system.spawn(ChildSpec("processes", Processes))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        told = await processes.ask(GetProcesses("cpu", 5))
        assert len(told.processes) == 5
        assert told.total > 5
        shares = [row.cpu_percent for row in told.processes]
        assert shares == sorted(shares, reverse=True)
        (row,) = [row for row in told.processes if row.pid == busy.pid]
        assert row.cpu_percent > 10
        assert "while True: pass" in row.command
        assert row.user == pwd.getpwuid(os.getuid()).pw_name
        by_memory = await processes.ask(GetProcesses("memory", 100))
        sizes = [row.memory_bytes for row in by_memory.processes]
        assert sizes == sorted(sizes, reverse=True)
        assert by_memory.sampled_at == told.sampled_at, "one look serves both"
        own = next(row for row in by_memory.processes if row.pid == os.getpid())
        assert own.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    finally:
        busy.kill()
        busy.wait()


def test_a_process_may_have_any_name() -> None:
    numbers = b" ".join(str(number).encode() for number in range(4, 53))
    usage = parse_stat(7, b"7 (a) b (c\xff)) S " + numbers)
    assert usage is not None
    assert usage.name == "a) b (c\ufffd)"
    assert usage.born == 22
    assert parse_stat(7, b"") is None
    assert parse_stat(7, b"7 (cut off) S 1 2") is None


def test_rates_are_those_of_counters_that_rose() -> None:
    before = {"a": (100, 200), "gone": (5, 5), "fell": (50, 50)}
    after = {"a": (300, 200), "new": (1000, 1000), "fell": (10, 60)}
    assert rates_between(before, after, 2.0) == {"a": (100, 0), "new": (0, 0), "fell": (0, 5)}


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
