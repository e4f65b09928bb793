"""What the Monitor is asked: figures of the machine, sampled with psutil.

Runs on: any thread; frozen values only. Sizes are bytes, shares are per cent.
"""

from __future__ import annotations

import msgspec

from toru.actors.runtime import Message


class Core(msgspec.Struct, frozen=True):
    """One processor core and how busy it was since the last sample."""

    name: str
    usage: float


class Disk(msgspec.Struct, frozen=True):
    """One mounted file system."""

    name: str
    mount_point: str
    total_space: int
    available_space: int
    used_space: int
    usage_percent: float


class NetworkInterface(msgspec.Struct, frozen=True):
    """One network interface and its bytes since the machine's start."""

    name: str
    received: int
    transmitted: int


class Resources(msgspec.Struct, frozen=True):
    """One sample of the machine."""

    cpu_percent: float
    cpu_cores: list[Core]
    memory_percent: float
    memory_used: int
    memory_total: int
    swap_used: int
    swap_total: int
    uptime_seconds: int
    disks: list[Disk]
    network: list[NetworkInterface]
    process_count: int
    system_name: str
    kernel_version: str
    os_version: str
    host_name: str
    load_average: tuple[float, float, float]
    sampled_at: str


class GetResources(Message[Resources], frozen=True):
    """The newest sample; taken now when the last one is older than a second."""


class Sample(Message[None], frozen=True):
    """Take a sample and publish it to whoever watches."""


class WatchResources(Message[None], frozen=True):
    """Whether anybody watches: while ``on``, a sample is published every second."""

    on: bool


class GetMetrics(Message[bytes], frozen=True):
    """The hub's figures in the text format of Prometheus."""


class ProcessFigures(msgspec.Struct, frozen=True):
    """What one process uses: a share of one core since the last look, and resident memory."""

    cpu_percent: float
    memory_bytes: int


class LookAtProcess(Message[ProcessFigures | None], frozen=True):
    """The figures of a process; None when it is gone."""

    pid: int
