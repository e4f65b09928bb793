"""The runner's log: lines on stderr, which is ``<data>/runner/runner.log``.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback

from toru.clock import format_time

_MOST_EXCEPTIONS = 100
_exceptions = 0


def log(sentence: str) -> None:
    """Write a line; a disk that is full is no reason to stop."""
    with contextlib.suppress(OSError):
        print(format_time(time.time()), sentence, file=sys.stderr, flush=True)  # noqa: T201


def log_exception() -> None:
    """Write down the exception being handled, unless there were so many that they are a flood."""
    global _exceptions  # noqa: PLW0603 - one log a process
    _exceptions += 1
    if _exceptions <= _MOST_EXCEPTIONS:
        log(f"This is a bug: {traceback.format_exc()}")
