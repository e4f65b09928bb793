"""The one clock: wall time for people and records, monotonic time for delays and budgets.

Runs on: any thread; standard library only, because the runner uses it too.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

monotonic = time.monotonic


def format_time(seconds: float) -> str:
    """Return ``seconds`` since the Unix epoch as RFC 3339 UTC text with milliseconds.

    The width is fixed, so texts sort as the times do.
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_time(text: str) -> float:
    """Return the seconds since the Unix epoch of an RFC 3339 text.

    Raises:
        ValueError: the text is no such time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"The time {text!r} has no zone.")
    return moment.timestamp()


def utc_now() -> str:
    """Return the wall time now as RFC 3339 UTC text with milliseconds."""
    return format_time(time.time())
