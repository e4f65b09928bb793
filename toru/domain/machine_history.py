"""The machine's history as arithmetic: stretches of time, their averages and peaks, and columns.

A figure is never a point: it is true of a stretch of time, a second of sampling or a row of the
database. To thin a history out, stretches are laid over the steps of a grid and averaged by how
much of a step each covers; a step that nothing covers is a gap, and stays one.

Runs on: any thread; pure functions, no clock of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

SERIES = (
    "cpu",
    "memory",
    "swap",
    "load",
    "disk_read",
    "disk_write",
    "received",
    "transmitted",
)
"""What is kept of every moment: per cent, bytes, bytes, processes, and bytes a second."""

MOST_POINTS = 600
"""How many points a series has at most when a range is asked for by name."""

RANGES_S = {
    "5m": 300,
    "1h": 3_600,
    "6h": 21_600,
    "24h": 86_400,
    "7d": 604_800,
    "30d": 2_592_000,
}

_STEPS_S = (1, 2, 3, 6, 10, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200)
_DAY_S = 86_400
_DIGITS = (1, None, None, 2, None, None, None, None)


class Stretch(msgspec.Struct, frozen=True):
    """What was true of the machine between two moments.

    Attributes:
        start: seconds since the Unix epoch.
        end: later than ``start``.
        averages: one for each of `SERIES`.
        peaks: the highest that was seen of each, in the finest samples.
        cores: the average share of each core in per cent.
        disks: how full each file system was at the end, in per cent, by its mount point.
    """

    start: float
    end: float
    averages: tuple[float, ...]
    peaks: tuple[float, ...]
    cores: tuple[float, ...] = ()
    disks: dict[str, float] = {}


class DiskUse(msgspec.Struct, frozen=True):
    """How full one file system was, in per cent; None where that is not known."""

    mount_point: str
    used_percent: list[float | None]


class Columns(msgspec.Struct, frozen=True):
    """A history as columns of equal length.

    Attributes:
        times: when each step begins, in seconds since the Unix epoch.
        series: the average of each step by the names of `SERIES`; None where nothing was measured.
        peaks: the highest value of each step, likewise.
        cores: the average share of each core in per cent.
        disks: how full the file systems were.
    """

    times: list[int]
    series: dict[str, list[float | None]]
    peaks: dict[str, list[float | None]]
    cores: list[list[float | None]]
    disks: list[DiskUse]


class Mean:
    """The average of stretches, each weighted by its length."""

    __slots__ = ("cores", "disks", "end", "peaks", "start", "sums", "weight")

    def __init__(self) -> None:
        self.start = math.inf
        self.end = -math.inf
        self.weight = 0.0
        self.sums = [0.0] * len(SERIES)
        self.peaks = [0.0] * len(SERIES)
        self.cores: list[list[float]] = []
        self.disks: dict[str, float] = {}

    def add(self, stretch: Stretch, start: float, end: float) -> None:
        """Take in the part of a stretch that lies between two moments."""
        weight = end - start
        self.start = min(self.start, start)
        self.weight += weight
        for number, value in enumerate(stretch.averages):
            self.sums[number] += weight * value
        self.peaks = list(map(max, self.peaks, stretch.peaks))
        while len(self.cores) < len(stretch.cores):
            self.cores.append([0.0, 0.0])
        for core, share in zip(self.cores, stretch.cores, strict=False):
            core[0] += weight * share
            core[1] += weight
        if end >= self.end:
            self.end = end
            self.disks = stretch.disks or self.disks

    def stretch(self) -> Stretch:
        """Return what has been taken in as one stretch; at least one must have been."""
        return Stretch(
            self.start,
            self.end,
            tuple(total / self.weight for total in self.sums),
            tuple(self.peaks),
            tuple(total / weight for total, weight in self.cores),
            self.disks,
        )


def join(stretches: Iterable[Stretch], apart_s: float) -> list[Stretch]:
    """Return the average of neighbours; what lies further apart than ``apart_s`` stays apart.

    Args:
        stretches: in the order of time.
        apart_s: the longest gap that is taken for none.
    """
    joined: list[Mean] = []
    for stretch in stretches:
        if not joined or stretch.start - joined[-1].end > apart_s:
            joined.append(Mean())
        joined[-1].add(stretch, stretch.start, stretch.end)
    return [mean.stretch() for mean in joined]


def clip(stretches: Iterable[Stretch], start: float, end: float) -> list[Stretch]:
    """Return the parts that lie between two moments."""
    return [
        msgspec.structs.replace(each, start=max(each.start, start), end=min(each.end, end))
        for each in stretches
        if each.start < end and each.end > start
    ]


def thin(stretches: Iterable[Stretch], start: int, end: int, step: int) -> list[Stretch]:
    """Return one stretch for each step of a grid that anything covers, in the order of time.

    Args:
        stretches: in any order.
        start: where the grid begins, a multiple of ``step``.
        end: the moment at which it ends.
        step: seconds.
    """
    means: dict[int, Mean] = {}
    for stretch in stretches:
        begin, stop = max(stretch.start, start), min(stretch.end, end)
        while begin < stop:
            number = int((begin - start) // step)
            edge = min(stop, float(start + (number + 1) * step))
            mean = means.get(number)
            if mean is None:
                mean = means[number] = Mean()
            mean.add(stretch, begin, edge)
            begin = edge
    return [means[number].stretch() for number in sorted(means)]


def columns(thinned: Sequence[Stretch], start: int, end: int, step: int) -> Columns:
    """Return what `thin` made of a history as columns, with None for the steps that are missing."""
    count = max(0, math.ceil((end - start) / step))
    rows: list[Stretch | None] = [None] * count
    for stretch in thinned:
        rows[int((stretch.start - start) // step)] = stretch
    core_count = max((len(row.cores) for row in thinned), default=0)
    mounts = sorted({mount for row in thinned for mount in row.disks})
    return Columns(
        times=[start + number * step for number in range(count)],
        series={
            name: [None if row is None else round(row.averages[i], _DIGITS[i]) for row in rows]
            for i, name in enumerate(SERIES)
        },
        peaks={
            name: [None if row is None else round(row.peaks[i], _DIGITS[i]) for row in rows]
            for i, name in enumerate(SERIES)
        },
        cores=[
            [round(row.cores[core], 1) if row and core < len(row.cores) else None for row in rows]
            for core in range(core_count)
        ],
        disks=[
            DiskUse(mount, [row.disks.get(mount) if row else None for row in rows])
            for mount in mounts
        ],
    )


def step_for(length_s: int) -> int:
    """Return the step in seconds with which a range has at most `MOST_POINTS` points."""
    for step in _STEPS_S:
        if length_s <= step * MOST_POINTS:
            return step
    return math.ceil(length_s / MOST_POINTS / _DAY_S) * _DAY_S


class Roller:
    """Gathers samples to rows of a whole minute, or of as much of it as there was.

    A gap ends a row, so that a row tells of all the time between its start and its end.
    """

    def __init__(self, length_s: int, apart_s: float) -> None:
        """Create an empty roller.

        Args:
            length_s: how long a row is.
            apart_s: the longest gap between samples that is taken for none.
        """
        self._length_s = length_s
        self._apart_s = apart_s
        self._number = 0
        self._mean: Mean | None = None

    def add(self, stretch: Stretch) -> Stretch | None:
        """Take in a sample, and return the row that it ends, if it begins a new one."""
        number = int((stretch.start + stretch.end) / 2 // self._length_s)
        row = None
        mean = self._mean
        if mean is not None and (
            number != self._number
            or stretch.start - mean.end > self._apart_s
            or stretch.end <= mean.end
        ):
            row = self.flush()
        self._number = number
        self._mean = self._mean or Mean()
        self._mean.add(stretch, stretch.start, stretch.end)
        return row

    def flush(self) -> Stretch | None:
        """Return what there is of the row that is under way, and begin anew."""
        mean, self._mean = self._mean, None
        return mean.stretch() if mean is not None else None
