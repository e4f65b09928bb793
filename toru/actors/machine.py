"""The figures of this machine, read with psutil.

Runs on: the thread of the Monitor; every function here may block.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from toru import clock
from toru.actors.machine_io import IoMeter, network_counters
from toru.actors.messages.monitor import (
    Core,
    Disk,
    NetworkInterface,
    ProcessFigures,
    Rates,
    Resources,
)
from toru.domain.machine_history import Stretch

SHORTEST_CPU_WINDOW_S = 0.1
"""Over less time the kernel's clock ticks say nothing."""

LONGEST_CPU_WINDOW_S = 10.0
"""An average over more time would not be the usage of now."""

DISKS_KEPT_S = 10.0
"""How long what is known of the disks serves again; they fill slowly, and some are slow to ask."""

LONGEST_STRETCH_S = 10.0
"""What was measured over more time tells nothing of any moment in it."""

_READ_ONLY_IMAGES = {"squashfs", "iso9660", "udf", "erofs", "cramfs"}


@dataclass(frozen=True)
class Reading:
    """The figures that change every second.

    Attributes:
        at: when it was taken, in seconds since the Unix epoch.
        taken_at: the same on the monotonic clock.
        covers_s: over how long its shares and rates are averages.
        disks: the file systems, as they were at most ten seconds before.
    """

    at: float
    taken_at: float
    covers_s: float
    cores: list[Core]
    memory: Any
    swap: Any
    load: tuple[float, float, float]
    rates: Rates
    disks: list[Disk]

    @property
    def cpu_percent(self) -> float:
        """The average share of all cores."""
        return round(sum(core.usage for core in self.cores) / max(len(self.cores), 1), 1)

    def stretch(self) -> Stretch | None:
        """Return the reading as a part of the history, unless it is an average of too long."""
        if self.covers_s > LONGEST_STRETCH_S:
            return None
        averages = (
            self.cpu_percent,
            self.memory.total - self.memory.available,
            self.swap.used,
            self.load[0],
            self.rates.disk_read,
            self.rates.disk_write,
            self.rates.received,
            self.rates.transmitted,
        )
        return Stretch(
            self.at - self.covers_s,
            self.at,
            averages,
            averages,
            tuple(core.usage for core in self.cores),
            {disk.mount_point: disk.usage_percent for disk in self.disks},
        )


class Machine:
    """Takes readings; remembers the counters of the one before.

    Shares of the processor are those since that reading, or over a tenth of a second when it is
    too old or too young to say anything.
    """

    def __init__(self) -> None:
        self._identity = _identity()
        self._cpu_at = clock.monotonic()
        psutil.cpu_percent(percpu=True)
        self._io = IoMeter()
        self._io_at = clock.monotonic()
        self._disks: list[Disk] = []
        self._disks_at: float | None = None

    def sample(self) -> Resources:
        """Take a sample; may take a tenth of a second."""
        return self.describe(self.read())

    def read(self) -> Reading:
        """Take a reading; may take a tenth of a second."""
        cores = self._cores()
        covers_s, rates = self._rates()
        return Reading(
            at=time.time(),
            taken_at=clock.monotonic(),
            covers_s=covers_s,
            cores=cores,
            memory=psutil.virtual_memory(),
            swap=psutil.swap_memory(),
            load=os.getloadavg(),
            rates=rates,
            disks=self._known_disks(),
        )

    def describe(self, reading: Reading) -> Resources:
        """Return a reading with all else that is to be told of the machine."""
        memory, swap = reading.memory, reading.swap
        return Resources(
            cpu_percent=reading.cpu_percent,
            cpu_cores=reading.cores,
            memory_percent=memory.percent,
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            swap_used=swap.used,
            swap_total=swap.total,
            uptime_seconds=_uptime_s(),
            disks=reading.disks,
            network=_network(),
            process_count=len(psutil.pids()),
            load_average=reading.load,
            sampled_at=clock.format_time(reading.at),
            rates=reading.rates,
            **self._identity,
        )

    def _cores(self) -> list[Core]:
        age_s = clock.monotonic() - self._cpu_at
        if age_s > LONGEST_CPU_WINDOW_S:
            psutil.cpu_percent(percpu=True)
            age_s = 0.0
        if age_s < SHORTEST_CPU_WINDOW_S:
            time.sleep(SHORTEST_CPU_WINDOW_S - age_s)
        shares = psutil.cpu_percent(percpu=True)
        self._cpu_at = clock.monotonic()
        return [Core(f"cpu{number}", share) for number, share in enumerate(shares)]

    def _rates(self) -> tuple[float, Rates]:
        """Return how long the reading before is ago, and the rates since then."""
        now, before = clock.monotonic(), self._io_at
        self._io_at = now
        return now - before, self._io.read(now - before)

    def _known_disks(self) -> list[Disk]:
        now = clock.monotonic()
        if self._disks_at is None or now - self._disks_at >= DISKS_KEPT_S:
            self._disks = disks()
            self._disks_at = now
        return self._disks


def disks() -> list[Disk]:
    """Return the mounted file systems that hold data, each device once, the root first."""
    mounts: dict[str, str] = {}
    for partition in psutil.disk_partitions(all=False):
        place = partition.mountpoint
        if partition.fstype in _READ_ONLY_IMAGES or not _is_folder(place):
            continue
        known = mounts.get(partition.device)
        if known is None or len(place) < len(known):
            mounts[partition.device] = place
    if "/" not in mounts.values():
        mounts = {_root_device(): "/", **mounts}
    found = [_disk(device, place) for device, place in mounts.items()]
    return sorted((disk for disk in found if disk is not None), key=lambda disk: disk.mount_point)


def _is_folder(path: str) -> bool:
    """Return whether a mount point is a folder; containers mount single files too."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def _root_device() -> str:
    """Return the name of what is mounted at ``/`` when that is no device, as in a container."""
    every = psutil.disk_partitions(all=True)
    return next((each.device or each.fstype for each in every if each.mountpoint == "/"), "root")


def _disk(device: str, mount_point: str) -> Disk | None:
    try:
        usage = psutil.disk_usage(mount_point)
    except OSError:
        return None  # unmounted meanwhile, or not for this user
    return Disk(
        name=device,
        mount_point=mount_point,
        total_space=usage.total,
        available_space=usage.free,
        used_space=usage.used,
        usage_percent=usage.percent,
    )


def _network() -> list[NetworkInterface]:
    return [
        NetworkInterface(name, received, transmitted)
        for name, (received, transmitted) in sorted(network_counters().items())
    ]


def _uptime_s() -> int:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))
    return max(0, int(time.time() - psutil.boot_time()))


def _identity() -> dict[str, Any]:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return {
        "system_name": release.get("NAME") or platform.system(),
        "os_version": release.get("VERSION_ID") or platform.version(),
        "kernel_version": platform.release(),
        "host_name": socket.gethostname(),
    }


class ProcessWatch:
    """Looks at single processes; the processor's share is that since the last look."""

    _KEPT = 256

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}

    def look(self, pid: int) -> ProcessFigures | None:
        """Return the figures of a process; None when it is gone."""
        try:
            process = self._known.get(pid)
            if process is None or not process.is_running():
                process = self._known[pid] = psutil.Process(pid)
            with process.oneshot():
                return ProcessFigures(process.cpu_percent(), process.memory_info().rss)
        except psutil.Error:
            self._known.pop(pid, None)
            return None
        finally:
            while len(self._known) > self._KEPT:
                del self._known[next(iter(self._known))]
