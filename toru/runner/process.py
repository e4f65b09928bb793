"""A process as it was at one moment, and which processes are of one run: decided, not acted.

Runs on: any thread; no I/O of its own.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Process:
    """One line of the process table.

    Attributes:
        pid: its number, which the system will use again.
        parent: the number of its parent now.
        session: its session, or its process group where sessions are not told.
        start: when it started, in a unit of the system; with ``pid`` it names it for good.
        zombie: it has ended and only waits for its parent.
        name: the short name, for people.
    """

    __slots__ = ("name", "parent", "pid", "session", "start", "zombie")

    def __init__(
        self, pid: int, parent: int, session: int, start: int, zombie: bool, name: str
    ) -> None:
        self.pid = pid
        self.parent = parent
        self.session = session
        self.start = start
        self.zombie = zombie
        self.name = name

    def __repr__(self) -> str:
        return f"Process({self.pid} {self.name!r}, parent {self.parent}, start {self.start})"


def descendants(table: dict[int, Process], roots: Iterable[Process]) -> list[Process]:
    """Return the roots and everything below them, parents before their children, each once."""
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found = {root.pid: root for root in roots}
    queue = list(found.values())
    for process in queue:
        for child in children.get(process.pid, ()):
            if child.pid not in found:
                found[child.pid] = child
                queue.append(child)
    return queue


def ancestors(table: dict[int, Process], pid: int) -> set[int]:
    """Return the numbers of ``pid`` and of all above it."""
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


class Identity:
    """By what the processes of a run are known.

    Args:
        run_id: the run; its processes have it in ``TORU_RUN_ID``, unless they cleared that.
        mark: the number in their resource limits (see ``platform``), or None.
        leader: pid and start of the process that was spawned, or None when not known.
        pipes: the inodes of the pipes that the run writes to.
    """

    __slots__ = ("leader", "mark", "pipes", "run_id", "seen")

    def __init__(
        self,
        run_id: str,
        mark: int | None,
        leader: tuple[int, int] | None = None,
        pipes: frozenset[int] = frozenset(),
    ) -> None:
        self.run_id = run_id
        self.mark = mark
        self.leader = leader
        self.pipes = pipes
        self.seen: set[tuple[int, int]] = set()

    def owns(self, process: Process, probe: Probe) -> bool:
        """Tell whether a process is of this run, by the cheapest evidence first."""
        name = (process.pid, process.start)
        if name == self.leader or name in self.seen:
            return True
        mark = probe.mark(process.pid)
        if mark is not None and self.mark is not None:
            return mark == self.mark
        if probe.run_id(process.pid) == self.run_id:
            return True
        return bool(self.pipes) and probe.writes_to_pipe(process.pid, self.pipes)

    def in_session(self, process: Process) -> bool:
        """Tell whether a process is in the leader's session and not older than the leader."""
        if self.leader is None:
            return False
        pid, start = self.leader
        return process.session == pid and process.start >= start and process.pid != pid


class Probe:
    """How evidence about a process is got; see ``platform``.

    Args:
        mark: returns the mark of the run that the process of that number is of, or None.
        run_id: returns what it has in ``TORU_RUN_ID``, or None.
        writes_to_pipe: tells whether it holds the writing end of one of the pipes.
    """

    __slots__ = ("mark", "run_id", "writes_to_pipe")

    def __init__(
        self,
        mark: Callable[[int], int | None],
        run_id: Callable[[int], str | None],
        writes_to_pipe: Callable[[int, frozenset[int]], bool],
    ) -> None:
        self.mark = mark
        self.run_id = run_id
        self.writes_to_pipe = writes_to_pipe


def tree_of(
    identity: Identity,
    table: dict[int, Process],
    probe: Probe,
    *,
    below: int | None,
    leaders: frozenset[int] = frozenset(),
    by_session: bool = False,
) -> list[Process]:
    """Return the living processes of a run.

    Args:
        identity: by what they are known; its ``seen`` grows.
        table: every process.
        probe: for evidence that the table does not have.
        below: the subreaper that all of them are below, so that only its direct children need
            evidence; None to look at every process.
        by_session: whether the leader's session is evidence. Not for what an earlier runner has
            left: the number of the session may be a stranger's by now.
        leaders: the numbers of the spawned processes of all runs, which are orphans of none.
    """
    if below is None:
        spared = ancestors(table, os.getpid())
        candidates = [process for process in table.values() if process.pid not in spared]
    else:
        candidates = [process for process in table.values() if process.parent == below]
    roots = []
    for process in candidates:
        is_leader = process.pid in leaders
        if is_leader and (process.pid, process.start) != identity.leader:
            continue
        if identity.owns(process, probe) or (by_session and identity.in_session(process)):
            roots.append(process)
    living = [process for process in descendants(table, roots) if not process.zombie]
    identity.seen.update((process.pid, process.start) for process in living)
    return living
