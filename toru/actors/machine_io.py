"""How fast the disks and the network of this machine work, from the counters of the kernel.

Runs on: the thread of the Monitor.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from toru.actors.messages.monitor import InterfaceRates, Rates

_SYS = Path("/sys")
_NO_DEVICES = ("loop", "ram", "zram", "sr", "fd")
_LOOPBACK = ("lo", "lo0")

Counters = dict[str, tuple[int, int]]
"""Two counters by the name of a device: read and written, or received and transmitted."""


class IoMeter:
    """Tells rates between two looks.

    What passes through several devices counts once: of disks those count that hardware is behind,
    no partitions, mappings or loops; of interfaces likewise, no bridges, tunnels or loopback.
    Where none is behind any, as in containers, all count but loopback and loops.
    """

    def __init__(self) -> None:
        self._real_disks = _Chosen("block", _NO_DEVICES)
        self._real_interfaces = _Chosen("class/net", _LOOPBACK)
        self._disks = disk_counters()
        self._network = network_counters()

    def read(self, seconds: float) -> Rates:
        """Return the rates since the look before.

        Args:
            seconds: how long that is ago.
        """
        disks_before, self._disks = self._disks, disk_counters()
        network_before, self._network = self._network, network_counters()
        read, written = _total(
            rates_between(disks_before, self._disks, seconds),
            self._real_disks.among(self._disks),
        )
        interfaces = rates_between(network_before, self._network, seconds)
        counted = self._real_interfaces.among(self._network)
        received, transmitted = _total(interfaces, counted)
        return Rates(
            disk_read=read,
            disk_write=written,
            received=received,
            transmitted=transmitted,
            interfaces=[
                InterfaceRates(name, round(down), round(up), name in counted)
                for name, (down, up) in sorted(interfaces.items())
            ],
        )


class _Chosen:
    """Which devices count; found out anew when there are others."""

    def __init__(self, folder: str, never: tuple[str, ...]) -> None:
        self._folder = _SYS / folder
        self._never = never
        self._names: frozenset[str] = frozenset()
        self._chosen: frozenset[str] = frozenset()

    def among(self, counters: Counters) -> frozenset[str]:
        if counters.keys() != self._names:
            self._names = frozenset(counters)
            self._chosen = self._choose()
        return self._chosen

    def _choose(self) -> frozenset[str]:
        # The kernel writes a slash in a name as an exclamation mark (sysfs(5)).
        places = {name: self._folder / name.replace("/", "!") for name in self._names}
        hardware = {name for name, place in places.items() if (place / "device").exists()}
        if hardware:
            return frozenset(hardware)
        whole = {name for name, place in places.items() if place.exists()}
        rest = whole if sys.platform.startswith("linux") else self._names
        return frozenset(name for name in rest if not name.startswith(self._never))


def disk_counters() -> Counters:
    """Return the bytes that were read from and written to each device since the start."""
    # psutil answers None where there is no device at all.
    found = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    return {name: (count.read_bytes, count.write_bytes) for name, count in found.items()}


def network_counters() -> Counters:
    """Return the bytes that each interface has received and transmitted since the start."""
    found = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    return {name: (count.bytes_recv, count.bytes_sent) for name, count in found.items()}


def rates_between(
    before: Counters, after: Counters, seconds: float
) -> dict[str, tuple[float, float]]:
    """Return how fast counters rose; one that is new, or fell, has only begun to count."""
    rates = {}
    for name, (first, second) in after.items():
        old_first, old_second = before.get(name, (first, second))
        rates[name] = (
            max(0, first - old_first) / seconds,
            max(0, second - old_second) / seconds,
        )
    return rates


def _total(rates: Mapping[str, tuple[float, float]], counted: frozenset[str]) -> tuple[int, int]:
    chosen = [rate for name, rate in rates.items() if name in counted]
    return round(sum(first for first, _ in chosen)), round(sum(second for _, second in chosen))
