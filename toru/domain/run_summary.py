"""A run as the API and the topic ``tasks`` show it.

Runs on: any thread; pure.
"""

from __future__ import annotations

import msgspec

from toru.actors.messages.storage import Run, RunState
from toru.clock import parse_time


class RunSummary(msgspec.Struct, frozen=True, omit_defaults=False):
    """A run without its output.

    Attributes:
        signal: the number of the signal that ended it; None when none did.
        duration_s: seconds from its start to its end; None while it has no end.
    """

    id: str
    script_name: str
    state: RunState
    user_id: int | None
    username: str
    trigger: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    signal: int | None
    duration_s: float | None
    output_size: int
    cpu_s: float | None
    max_rss_bytes: int | None
    detail: str | None
    args: dict[str, str]


class RunDetail(RunSummary, frozen=True):
    """A run with the last 64 KiB of its output as text."""

    output: str = ""


def summarize(run: Run) -> RunSummary:
    """Return the summary of a run."""
    return RunSummary(**_fields(run))


def detail(run: Run) -> RunDetail:
    """Return the run with its output."""
    return RunDetail(**_fields(run), output=run.output)


def duration_s(run: Run) -> float | None:
    """Return how long a run took in seconds; None when it has not started or not ended."""
    if run.started_at is None or run.finished_at is None:
        return None
    return round(parse_time(run.finished_at) - parse_time(run.started_at), 3)


def _fields(run: Run) -> dict[str, object]:
    fields = msgspec.structs.asdict(run)
    fields.pop("output")
    code = run.exit_code
    fields["signal"] = -code if code is not None and code < 0 else None
    fields["duration_s"] = duration_s(run)
    return fields
