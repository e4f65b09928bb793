"""Tells the hub of new output: at once when the line was idle, else gathered.

Runs on: the runner's only thread.
"""

from __future__ import annotations

from toru.runner.link import HubLink
from toru.runner.loop import Loop, Timer
from toru.runner.run import Run

_PAUSE_S = 0.010


class Progress:
    """Sends at most one ``progress`` a run every 10 ms, and none to a hub that lags.

    Args:
        loop: for the pause.
        link: the hub's connection.
    """

    def __init__(self, loop: Loop, link: HubLink) -> None:
        self._loop = loop
        self._link = link
        self._dirty: set[Run] = set()
        self._timer: Timer | None = None

    def tell(self, run: Run) -> None:
        """There is more output of a run."""
        self._dirty.add(run)
        self.go_on()

    def forget(self, run: Run) -> None:
        """Tell nothing more of a run."""
        self._dirty.discard(run)

    def go_on(self) -> None:
        """Send what waits, unless it was sent just now; also when the hub reads again."""
        if self._timer is None:
            self._send()

    def _send(self) -> None:
        self._timer = None
        if not self._link.greeted:
            self._dirty.clear()
        if self._link.busy or not self._dirty:
            return
        # Sending may find the hub gone, and that comes back here.
        dirty, self._dirty = self._dirty, set()
        for run in dirty:
            self._link.send({"type": "progress", "id": run.id, "size": run.size})
        self._timer = self._loop.call_later(_PAUSE_S, self._send)
