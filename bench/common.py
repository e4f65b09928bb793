"""What the benchmarks share: rounds in turns, medians, and a table with the budget beside it.

Runs on: a process of its own; no figure is compared with one of another run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a report.

    Attributes:
        what: what was measured.
        figure: the figure as text, with its unit.
        ratio: the figure in relation to what it is compared with, if there is such.
        budget: what the ratio has to be, if there is a budget.
        at_most: whether the budget is an upper limit; a lower one otherwise.
    """

    what: str
    figure: str
    ratio: float | None = None
    budget: float | None = None
    at_most: bool = False

    @property
    def kept(self) -> bool:
        """Whether the budget, if there is one, is kept."""
        if self.ratio is None or self.budget is None:
            return True
        return self.ratio <= self.budget if self.at_most else self.ratio >= self.budget


def measure(fn: Callable[[], float | None], repeats: int) -> list[float]:
    """Call ``fn`` ``repeats`` times.

    Returns:
        What each call returned; the seconds that it took, when it returned None.
    """
    return [_one(fn) for _ in range(repeats)]


def measure_in_turns(
    fns: Mapping[str, Callable[[], float | None]], repeats: int
) -> dict[str, list[float]]:
    """Measure several things in turns, so that a busy moment of the machine hits all of them."""
    figures: dict[str, list[float]] = {name: [] for name in fns}
    for _ in range(repeats):
        for name, fn in fns.items():
            figures[name].append(_one(fn))
    return figures


def median(figures: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(figures)


def rate(per_second: float) -> str:
    """Return a rate as text, for example ``1,234,000/s``."""
    digits = max(0, len(str(int(per_second))) - 3)
    return f"{round(per_second, -digits):,.0f}/s"


def report(title: str, rows: Sequence[Row]) -> bool:
    """Print a table and return whether every budget is kept."""
    print(title)
    width = max((len(row.what) for row in rows), default=0)
    for row in rows:
        print(f"  {row.what:<{width}}  {row.figure:>16}  {_against_budget(row)}".rstrip())
    print()
    return all(row.kept for row in rows)


def _one(fn: Callable[[], float | None]) -> float:
    began = time.perf_counter()
    figure = fn()
    return time.perf_counter() - began if figure is None else figure


def _against_budget(row: Row) -> str:
    if row.ratio is None:
        return ""
    text = f"{row.ratio:8.2f} x"
    if row.budget is None:
        return text
    sign = "≤" if row.at_most else "≥"
    return f"{text}   budget {sign} {row.budget:g} x: {'kept' if row.kept else 'MISSED'}"
