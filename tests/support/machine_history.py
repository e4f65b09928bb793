"""A month of a machine's history, stored as a hub stores it while it runs.

Runs on: the test's thread, while no hub uses the database.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import psutil

from toru.actors.messages.machine_history import SaveMachineHistory
from toru.domain.machine_history import Stretch
from toru.storage import open_storage
from toru.storage.changes import Changes
from toru.storage.database import close

MINUTE_S = 60
DAY_S = 86_400


def furnish(
    data_dir: Path,
    *,
    until: float,
    days: float,
    off: tuple[float, float] | None = None,
    busy: tuple[tuple[float, float], ...] = (),
    seed: int = 7,
) -> None:
    """Store a row for each minute, an hour of which is rolled up as soon as it is over.

    Args:
        data_dir: the hub's folder.
        until: when the history ends, in seconds since the epoch.
        days: how far it goes back.
        off: between which moments the hub was off.
        busy: when a lot of work was done.
        seed: makes the same history each time.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = open_storage(f"sqlite:///{data_dir / 'steering.db'}").location.writer()
    changes = Changes(database)
    last = int(until)
    first = int(last - days * DAY_S) // MINUTE_S * MINUTE_S
    chance = random.Random(seed)
    rows: list[Stretch] = []
    for row in _minutes(first, last, busy, chance):
        if off is None or not off[0] <= row.start < off[1]:
            rows.append(row)
        if int(row.end) % 3600 == 0 or row.end >= last:
            database.begin()
            changes.apply(SaveMachineHistory(tuple(rows), row.end))
            database.commit()
            rows.clear()
    close(database)


def _minutes(
    first: int, until: int, busy: tuple[tuple[float, float], ...], chance: random.Random
) -> Iterator[Stretch]:
    """Yield rows that end where this machine is now: as full, with as much memory in use."""
    memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
    resting = memory.total - memory.available
    core_count = psutil.cpu_count() or 1
    drift = 0.0
    start = first
    while start < until:
        end = min(start + MINUTE_S, until)
        working = any(begin <= start < stop for begin, stop in busy)
        day = math.sin((start % DAY_S) / DAY_S * 2 * math.pi - 2)
        drift = max(-6.0, min(6.0, drift + chance.gauss(0, 0.8)))
        cpu = max(1.5, 9 + 5 * day + drift + (55 if working else 0))
        used = min(0.9 * memory.total, resting * (1 + 0.1 * day + (0.4 if working else 0)))
        traffic = 2 ** (15 + 3 * day + chance.gauss(0, 0.7)) * (20 if working else 1)
        averages = (
            cpu,
            used,
            180 * 2**20,
            cpu / 40,
            traffic / 3,
            traffic / 2 + (25e6 if working else 0),
            traffic,
            traffic / 4,
        )
        peaks = tuple(value * chance.uniform(1.05, 1.6) for value in averages)
        peaks = (min(100.0, peaks[0] + chance.expovariate(0.12)), *peaks[1:])
        cores = tuple(min(100.0, cpu * chance.uniform(0.6, 1.4)) for _ in range(core_count))
        full = disk.percent - 9 * (until - start) / (30 * DAY_S)
        yield Stretch(start, end, averages, peaks, cores, {"/": max(1.0, round(full, 1))})
        start = end
