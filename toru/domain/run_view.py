"""A run as the web shows it: its row, and what follows from it.

Runs on: any thread; pure.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.storage import Run
from toru.clock import parse_time


class RunView(Run, frozen=True):
    """A run's row with figures that clients would else compute each in their own way.

    Attributes:
        duration_s: seconds from its start to its end; None while it goes on.
        signal: the positive number of the signal that ended it, if one did.
    """

    duration_s: float | None = None
    signal: int | None = None


def view_of(run: Run) -> RunView:
    """Return a run as the web shows it."""
    duration_s = None
    if run.started_at is not None and run.finished_at is not None:
        # The wall clock may be set back meanwhile.
        duration_s = max(0.0, round(parse_time(run.finished_at) - parse_time(run.started_at), 3))
    code = run.exit_code
    signal = -code if code is not None and code < 0 else None
    return RunView(**msgspec.structs.asdict(run), duration_s=duration_s, signal=signal)
