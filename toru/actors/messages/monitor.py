"""What the Monitor is asked: figures of the machine, sampled with psutil.

Runs on: any thread; frozen values only. Sizes are bytes, shares are per cent.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.machine_history import StoredHistory
from toru.actors.runtime import Message
from toru.domain.machine_history import Columns


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


class InterfaceRates(msgspec.Struct, frozen=True):
    """How fast one network interface is, in bytes a second.

    Attributes:
        counted: it is part of the totals; loopback, bridges and tunnels are not.
    """

    name: str
    received: int
    transmitted: int
    counted: bool


class Rates(msgspec.Struct, frozen=True):
    """How fast disks and network were since the sample before, in bytes a second."""

    disk_read: int
    disk_write: int
    received: int
    transmitted: int
    interfaces: list[InterfaceRates]


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
    rates: Rates


class GetResources(Message[Resources], frozen=True):
    """The newest sample, about a second old at most."""


class Sample(Message[None], frozen=True):
    """Take a sample, keep it, and publish it to whoever watches."""


class WatchResources(Message[None], frozen=True):
    """Whether anybody watches: while ``on``, a sample is published every second."""

    on: bool


class History(Columns, frozen=True, kw_only=True):
    """The machine's history as columns.

    Attributes:
        start: when the first step begins.
        end: when the last one ends, or is to.
        step: how long a step is, in seconds.
        resolution: how long the coarsest figures are that went into it, in seconds: 1, 60 or
            3600; more than ``step`` where there is nothing finer any more.
        memory_total: bytes.
        swap_total: bytes.
    """

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    step: int
    resolution: int
    memory_total: int
    swap_total: int


class ComposeHistory(Message[msgspec.Raw], frozen=True):
    """A `History` as JSON, made of what is stored and of the samples since.

    Attributes:
        stored: what the database has.
        start: seconds since the Unix epoch, a multiple of ``step``.
        end: likewise, not necessarily a multiple.
        step: seconds.
    """

    stored: StoredHistory
    start: int
    end: int
    step: int


class GetHistory(Message[msgspec.Raw], frozen=True):
    """A `History` as JSON; for the actor ``machine_history``.

    Attributes:
        start: seconds since the Unix epoch.
        end: likewise; None is now.
        step: seconds; None is as many as give 600 points at most.
    """

    start: float
    end: float | None = None
    step: int | None = None


class GetMetrics(Message[bytes], frozen=True):
    """The hub's figures in the text format of Prometheus."""


class ProcessFigures(msgspec.Struct, frozen=True):
    """What one process uses: a share of one core since the last look, and resident memory."""

    cpu_percent: float
    memory_bytes: int


class LookAtProcess(Message[ProcessFigures | None], frozen=True):
    """The figures of a process; None when it is gone."""

    pid: int
