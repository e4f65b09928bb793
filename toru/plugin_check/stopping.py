"""How a plugin has ended after it was asked to.

Runs on: the checker's thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from toru.clock import monotonic
from toru.plugin_check.model import Broken
from toru.plugin_check.process import DRAIN_S, PluginRun

STOP_S = 5.0
"""What the hub waits after ``shutdown``, and after SIGTERM."""


@dataclass(frozen=True)
class Stop:
    """What came of a request to end.

    Attributes:
        waited_s: seconds until the end, or until nobody waited any more.
        exit_code: negative is the signal; None when it ran on.
        words: how it ended, a sentence.
        left: what it has left behind.
        pipes_closed: whether its output had ended half a second later.
    """

    waited_s: float
    exit_code: int | None
    words: str
    left: tuple[str, ...]
    pipes_closed: bool

    def require_end(self, after: str) -> None:
        """Raise `Broken` when it ran on."""
        if self.exit_code is None:
            raise Broken(f"It runs on {self.waited_s:.1f} s after {after}; the hub kills it then.")

    def require_nothing_left(self) -> None:
        """Raise `Broken` when something runs on, or holds its output."""
        if self.left:
            raise Broken(f"It leaves processes behind: {', '.join(self.left)}.")
        if not self.pipes_closed:
            raise Broken(f"Its stdout or stderr is still open {DRAIN_S:g} s after its end.")


def watch_stop(run: PluginRun, timeout_s: float) -> Stop:
    """Wait for the end of a process that was asked for it."""
    begin = monotonic()
    ended = run.wait(min(STOP_S, timeout_s))
    waited_s = monotonic() - begin
    if not ended:
        return Stop(waited_s, None, "It runs on.", (), True)
    pipes_closed = run.join_readers(DRAIN_S)
    left = tuple(run.left())
    return Stop(waited_s, run.exit_code, run.how_it_ended(), left, pipes_closed)
