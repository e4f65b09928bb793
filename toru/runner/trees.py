"""Looks up which processes are of a run now.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import os

from toru.runner import platform
from toru.runner.process import Process, tree_of
from toru.runner.run import Run

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class Trees:
    """Finds the process trees of runs.

    Args:
        leaders: a live view of the pids of the leaders that are not reaped yet.
        subreaper: whether orphans become children of this process.
    """

    def __init__(self, leaders: AbstractSet[int], *, subreaper: bool) -> None:
        self._leaders = leaders
        self._subreaper = subreaper

    def of(self, run: Run) -> list[Process]:
        """Return the living processes of a run, parents before their children."""
        if run.nothing_left:
            return []
        run.identity.pipes = run.capture.inodes() if run.capture else frozenset()
        return tree_of(
            run.identity,
            platform.process_table(),
            platform.PROBE,
            below=os.getpid() if self._subreaper and run.children else None,
            leaders=frozenset(self._leaders),
            by_session=run.children,
        )

    def others_alive(self, run: Run) -> bool:
        """Tell whether anything of a run lives besides its leader."""
        if self._subreaper and run.children:
            children = platform.own_children()
            if children is not None and children <= self._leaders:
                # What has lost its parent is a child of the subreaper: there is nothing such.
                return False
        return any(process.pid != run.pid or not run.leader_alive for process in self.of(run))
