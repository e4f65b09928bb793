"""The history's arithmetic: what is averaged, what is a peak, and that gaps stay gaps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.machine_history import (
    MOST_POINTS,
    RANGES_S,
    SERIES,
    Roller,
    Stretch,
    clip,
    columns,
    join,
    step_for,
    thin,
)
from toru.domain.sample_ring import SampleRing

ZEROS = (0.0,) * (len(SERIES) - 1)


def stretch(start: float, end: float, cpu: float, peak: float | None = None) -> Stretch:
    """Make a stretch on a machine with two cores, the second of which does nothing."""
    peaks = ((cpu if peak is None else peak), *ZEROS)
    return Stretch(start, end, (cpu, *ZEROS), peaks, (2 * cpu, 0.0), {"/": cpu})


def area(stretches: Iterable[Stretch]) -> float:
    """The processor's work: what averaging may neither add to nor take from."""
    return sum((each.end - each.start) * each.averages[0] for each in stretches)


@st.composite
def histories(draw: st.DrawFn) -> list[Stretch]:
    """Samples in the order of time, with gaps of all lengths."""
    moment = 1_000_000 + draw(st.integers(0, 100))
    made = []
    for _ in range(draw(st.integers(1, 60))):
        moment += draw(st.sampled_from([0, 0, 0, 0, 3, 40, 200]))
        length = draw(st.sampled_from([0.5, 1.0, 1.25, 2.0]))
        made.append(stretch(moment, moment + length, draw(st.integers(0, 100))))
        moment += length
    return made


@given(histories(), st.sampled_from([1, 6, 60, 300]))
def test_thinning_keeps_the_work_the_peak_and_the_time_that_was_measured(
    history: list[Stretch], step: int
) -> None:
    start = int(history[0].start // step) * step
    end = math.ceil(history[-1].end)
    thinned = thin(history, start, end, step)
    covered = {
        number
        for each in history
        for number in range(int((each.start - start) // step), math.ceil((each.end - start) / step))
    }
    assert [int((each.start - start) // step) for each in thinned] == sorted(covered)
    assert max(each.peaks[0] for each in thinned) == max(each.peaks[0] for each in history)
    for each in thinned:
        inside = [part.averages[0] for part in clip(history, each.start, each.end)]
        assert min(inside) - 1e-9 <= each.averages[0] <= max(inside) + 1e-9
        assert each.averages[0] <= each.peaks[0] + 1e-9
        assert each.cores == pytest.approx((2 * each.averages[0], 0.0))


@given(histories())
def test_a_minute_at_a_time_is_the_same_as_all_at_once(history: list[Stretch]) -> None:
    roller = Roller(60, apart_s=2.5)
    rows = [row for sample in history if (row := roller.add(sample)) is not None]
    last = roller.flush()
    assert last is not None
    rows.append(last)
    assert roller.flush() is None
    assert area(rows) == pytest.approx(area(history))
    assert all(row.end - row.start <= 62 for row in rows)
    assert all(row.start < row.end for row in rows)
    for before, after in itertools.pairwise(rows):
        assert before.end <= after.start
    # A row tells of all of its time: nothing but measured time lies in it.
    measured = sum(each.end - each.start for each in history)
    assert sum(row.end - row.start for row in rows) == pytest.approx(measured)


@given(histories(), st.integers(1, 50))
def test_the_ring_has_the_newest_samples_as_they_were(history: list[Stretch], size: int) -> None:
    ring = SampleRing(size)
    for sample in history:
        ring.append(sample)
    kept = history[-size:]
    assert (len(ring), ring.start, ring.end) == (len(kept), kept[0].start, kept[-1].end)
    assert list(ring.between(0, math.inf)) == kept
    middle = kept[len(kept) // 2]
    touching = [each for each in kept if each.end > middle.start and each.start < middle.end]
    assert list(ring.between(middle.start, middle.end)) == touching


def test_an_empty_ring_begins_nowhere() -> None:
    ring = SampleRing(3)
    assert (len(ring), ring.start, ring.end, list(ring.between(0, 1))) == (0, None, None, [])


def test_a_clock_that_is_set_back_makes_the_ring_forget_what_lies_ahead() -> None:
    ring = SampleRing(10)
    for second in (100, 101, 102, 103):
        ring.append(stretch(second, second + 1, second))
    ring.append(stretch(100.5, 101.5, 7))
    assert [each.averages[0] for each in ring.between(0, 1000)] == [100, 7]


def test_another_number_of_cores_begins_the_ring_anew() -> None:
    ring = SampleRing(10)
    ring.append(stretch(1, 2, 5))
    ring.append(Stretch(2, 3, (6.0, *ZEROS), (6.0, *ZEROS), (1.0, 2.0, 3.0)))
    (only,) = ring.between(0, 10)
    assert only.cores == (1.0, 2.0, 3.0)


def test_a_clock_that_is_set_back_ends_a_minute() -> None:
    roller = Roller(60, apart_s=2.5)
    assert roller.add(stretch(30, 31, 10)) is None
    row = roller.add(stretch(20, 21, 50))
    assert row is not None
    assert (row.start, row.end) == (30, 31)


def test_a_gap_is_a_gap_in_the_columns() -> None:
    history = [stretch(100, 101, 10), stretch(101, 102, 30), stretch(105, 106, 50, peak=90)]
    told = columns(thin(history, 100, 107, 1), 100, 107, 1)
    assert told.times == [100, 101, 102, 103, 104, 105, 106]
    assert told.series["cpu"] == [10, 30, None, None, None, 50, None]
    assert told.peaks["cpu"] == [10, 30, None, None, None, 90, None]
    assert told.cores[0] == [20, 60, None, None, None, 100, None]
    assert told.disks[0].mount_point == "/"
    assert told.disks[0].used_percent == [10, 30, None, None, None, 50, None]
    assert set(told.series) == set(told.peaks) == set(SERIES)


def test_a_long_row_fills_all_the_short_steps_that_it_covers() -> None:
    told = columns(thin([stretch(60, 120, 25)], 50, 130, 10), 50, 130, 10)
    assert told.series["cpu"] == [None, 25, 25, 25, 25, 25, 25, None]


def test_nothing_measured_is_columns_of_nothing() -> None:
    told = columns([], 100, 103, 1)
    assert told.series["load"] == [None, None, None]
    assert (told.cores, told.disks) == ([], [])


def test_short_gaps_are_joined_and_long_ones_are_not() -> None:
    rows = [stretch(0, 60, 10), stretch(90, 120, 40), stretch(300, 360, 5)]
    first, second = join(rows, apart_s=60)
    assert (first.start, first.end, second.start) == (0, 120, 300)
    assert first.averages[0] == pytest.approx((60 * 10 + 30 * 40) / 90)
    assert first.peaks[0] == 40


def test_every_range_has_at_most_six_hundred_points() -> None:
    steps = {name: step_for(length_s) for name, length_s in RANGES_S.items()}
    assert steps == {"5m": 1, "1h": 6, "6h": 60, "24h": 300, "7d": 1200, "30d": 7200}
    for length_s in range(1, 400 * 86_400, 86_399):
        assert length_s / step_for(length_s) <= MOST_POINTS
