"""The samples of the last hour, packed so that they cost some hundred kilobytes.

Runs on: the thread of its owner; pure, no clock of its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from toru.domain.machine_history import SERIES, Stretch

_FIGURES = len(SERIES)


class SampleRing:
    """Keeps the newest samples, the oldest of which goes for each that comes.

    Figures are kept as 32 bit floats, which is exact to 1 in 16,000,000. A sample that is older
    than the newest means that the clock was set back: what lies after it is forgotten.
    """

    def __init__(self, capacity: int) -> None:
        """Create an empty ring.

        Args:
            capacity: how many samples it keeps.
        """
        self._capacity = capacity
        self._width = 0
        self._first = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def start(self) -> float | None:
        """Where the oldest sample begins, in seconds since the Unix epoch."""
        return self._starts[self._first] if self._count else None

    @property
    def end(self) -> float | None:
        """Where the newest sample ends."""
        return self._ends[self._place(self._count - 1)] if self._count else None

    def append(self, sample: Stretch) -> None:
        """Keep a sample; its peaks are its averages."""
        width = _FIGURES + len(sample.cores)
        if width != self._width:
            self._resize(width)
        while self._count and self._ends[self._place(self._count - 1)] >= sample.end:
            self._count -= 1
        if self._count == self._capacity:
            self._first = (self._first + 1) % self._capacity
            self._count -= 1
        place = self._place(self._count)
        self._count += 1
        self._starts[place] = sample.start
        self._ends[place] = sample.end
        row = array("f", (*sample.averages, *sample.cores))
        self._figures[place * width : (place + 1) * width] = row
        self._disks[place] = sample.disks

    def between(self, start: float, end: float) -> Iterator[Stretch]:
        """Yield the samples that touch the time between two moments, the oldest first."""
        for number in range(self._count):
            place = self._place(number)
            if self._ends[place] <= start:
                continue
            if self._starts[place] >= end:
                return
            offset = place * self._width
            averages = tuple(self._figures[offset : offset + _FIGURES])
            cores = tuple(self._figures[offset + _FIGURES : offset + self._width])
            times = self._starts[place], self._ends[place]
            yield Stretch(*times, averages, averages, cores, self._disks[place])

    def _place(self, number: int) -> int:
        return (self._first + number) % self._capacity

    def _resize(self, width: int) -> None:
        """Begin anew: the number of cores is another one."""
        self._width, self._first, self._count = width, 0, 0
        self._starts = array("d", bytes(8 * self._capacity))
        self._ends = array("d", bytes(8 * self._capacity))
        self._figures = array("f", bytes(4 * self._capacity * width))
        self._disks: list[dict[str, float]] = [{}] * self._capacity
