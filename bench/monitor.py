"""What watching the machine costs: the monitor's own share of one core.

Called as ``python -m bench.monitor``; exit code 1 when the budget is missed. The figures are the
processor time of a whole process with a database, an event loop and the monitor in it, less that
of the same process before the monitor was there; so they include timers, mailboxes and threads
that wake. The reference is the time that psutil takes for the same figures, asked once a second.

Runs on: a process of its own; the actors on their threads and loop.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench.common import Row, report
from toru.actors.machine_history import MachineHistory
from toru.actors.messages.hub import Publish
from toru.actors.messages.monitor import GetHistory, GetResources, WatchResources
from toru.actors.monitor import Monitor
from toru.actors.process_table import ProcessTable
from toru.actors.runtime import ActorSystem, ChildSpec, LoopActor, Message
from toru.actors.runtime.loop_lag import LoopLag
from toru.actors.storage_children import storage_children
from toru.storage import open_storage

SECONDS = 20
BUDGET = 0.01
LOOKS = 30


class Listener(LoopActor):
    """Stands where the hub stands, and throws away what it is told."""

    def on_receive(self, message: Message[Any]) -> None:
        """Take a sample."""
        assert isinstance(message, Publish)


async def _monitor_cost(folder: Path, *, watched: bool) -> tuple[float, float]:
    """Return the share of a core that the monitor costs, and the seconds of one history."""
    storage = open_storage(f"sqlite:///{folder / 'bench.db'}")
    system = ActorSystem()
    lag = LoopLag(system.loop)
    lag.close()
    for spec in storage_children(storage):
        await system.spawn(spec)
    hub = await system.spawn(ChildSpec("hub", Listener))
    quiet = await _spent(SECONDS / 4)
    at = system.address
    args = (hub, at("db_reader"), at("db_writer"), lag)
    monitor = await system.spawn(ChildSpec("monitor", Monitor, args))
    await system.spawn(
        ChildSpec("machine_history", MachineHistory, (at("db_reader"), at("monitor")))
    )
    await monitor.ask(GetResources())
    monitor.tell(WatchResources(watched))
    try:
        spent = await _spent(SECONDS)
        began = time.process_time()
        await at("machine_history").ask(GetHistory(time.time() - 3600))
        asked = time.process_time() - began
        return spent - quiet, asked
    finally:
        await system.stop()


async def _spent(seconds: float) -> float:
    began, at = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    return (time.process_time() - began) / (time.monotonic() - at)


def _bare_cost() -> float:
    """Return what a loop spends that asks psutil for the same, and no more."""
    spent = 0.0
    for _ in range(LOOKS):
        time.sleep(0.05)
        began = time.process_time()
        psutil.cpu_percent(percpu=True)
        psutil.virtual_memory()
        psutil.swap_memory()
        psutil.disk_io_counters(perdisk=True)
        psutil.net_io_counters(pernic=True)
        psutil.disk_usage("/")
        psutil.pids()
        spent += time.process_time() - began
    return spent / LOOKS


def _process_cost(look: Any) -> float:
    look()
    began = time.process_time()
    for _ in range(5):
        look()
    return (time.process_time() - began) / 5


def _psutil_processes() -> None:
    wanted = ["name", "username", "cpu_percent", "memory_info"]
    assert [process.info for process in psutil.process_iter(wanted)]


async def _measure(folder: Path) -> list[Row]:
    alone, _ = await _monitor_cost(folder / "alone", watched=False)
    watched, asked = await _monitor_cost(folder / "watched", watched=True)
    bare = _bare_cost()
    table = ProcessTable()
    ours, theirs = _process_cost(table.look), _process_cost(_psutil_processes)
    return [
        Row("a bare loop over psutil, a look a second", f"{bare:.3%} of a core"),
        Row("the monitor, nobody watching", f"{alone:.3%} of a core", alone / BUDGET, 1, True),
        Row("the monitor, the page open", f"{watched:.3%} of a core", watched / BUDGET, 1, True),
        Row("one answer of the history of an hour", f"{asked * 1000:.1f} ms"),
        Row("all processes by psutil", f"{theirs * 1000:.1f} ms"),
        Row("all processes, as the page asks every 3 s", f"{ours * 1000:.1f} ms", ours / theirs),
    ]


def main() -> int:
    """Measure, and compare with the budget."""
    with tempfile.TemporaryDirectory(prefix="toru-bench-") as folder:
        for name in ("alone", "watched"):
            (Path(folder) / name).mkdir()
        rows = asyncio.run(_measure(Path(folder)))
    return 0 if report("The monitor (its budget is 1 % of one core)", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
