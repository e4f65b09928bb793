"""One run: a process tree, its pipes and its end.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import os
import resource
import signal
import time

from toru.clock import format_time, monotonic
from toru.runner import platform
from toru.runner.capture import Capture
from toru.runner.ending import FINISH, KILL, TERM, Ending
from toru.runner.loop import Loop, Timer
from toru.runner.process import Identity, Process

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable

_KILL_PASSES = 10
_STRANGER_POLL_S = 0.1


class Run:
    """A run, from its start to the moment when the hub says that it may be forgotten.

    Args:
        identity: by what its processes are known.
        loop: for its timers.
        find_tree: returns its living processes, all of them, as they are now.
        others_alive: tells whether anything besides the leader lives.
        on_stage: called with ``"term"`` or ``"kill"`` when that begins.
        on_end: called once, when the run has ended.
        directory: its folder, or None.
        ending: decides how it ends.

    Attributes:
        children: whether its processes are below this process, so that their ends are signalled;
            those of a runner before this one have to be looked for.
        nothing_left: the machine was started again since, so that no process can be of this run.
    """

    def __init__(
        self,
        identity: Identity,
        loop: Loop,
        *,
        find_tree: Callable[[Run], list[Process]],
        others_alive: Callable[[Run], bool],
        on_stage: Callable[[Run, str], None],
        on_end: Callable[[Run], None],
        directory: str | None,
        ending: Ending,
    ) -> None:
        self.identity = identity
        self.id = identity.run_id
        self.directory = directory
        self.capture: Capture | None = None
        self.pid: int | None = None
        self.started_at: str | None = None
        self.finished_at: str | None = None
        self.children = True
        self.hub_gone_s: float | None = None
        self.hub_timer: Timer | None = None
        self.nothing_left = False
        self._loop = loop
        self._find_tree = find_tree
        self._others_alive = others_alive
        self._on_stage = on_stage
        self._on_end = on_end
        self._ending = ending
        self._timer: Timer | None = None
        self._time_limit: Timer | None = None
        self._stages: set[str] = set()
        self._outlived: dict[int, Process] = {}
        self._size = 0
        self._reason = "exit"
        self._code: int | None = None
        self._usage: resource.struct_rusage | None = None
        self._leftovers: list[dict[str, object]] = []

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.finished_at is not None

    @property
    def leader_alive(self) -> bool:
        """Whether the leader is not reaped yet."""
        return self._ending.exited_at is None

    @property
    def size(self) -> int:
        """Every byte of output that came."""
        return self.capture.sink.size if self.capture else self._size

    def begin(self, pid: int, capture: Capture, time_limit_s: float | None) -> None:
        """Take over a process that has just been spawned."""
        self.pid = pid
        self.capture = capture
        self.started_at = format_time(time.time())
        if time_limit_s is not None:
            limit = self._loop.call_later(time_limit_s, lambda: self.stop("time_limit", 5.0))
            self._time_limit = limit

    def begin_interrupted(self, pid: int | None, started_at: str | None, size: int) -> None:
        """Take over what a runner before this one has left: there is no leader to reap."""
        self.pid, self.started_at, self._size = pid, started_at, size
        self.children = False
        self._reason = "interrupted"
        self._ending.leader_exited(monotonic())

    def stop(self, reason: str, grace_s: float) -> None:
        """End the whole tree: TERM, and KILL after the grace. The first reason counts.

        When the leader has been reaped already, the run keeps the reason of its exit.
        """
        if self.ended:
            return
        if self._ending.stop_at is None and self.leader_alive:
            self._reason = reason
        self._ending.stop(monotonic(), grace_s)
        self.check()

    def signal(self, number: int) -> None:
        """Send a signal to every process of the tree."""
        if not self.ended:
            self._signal_all(number)

    def leader_exited(self, status: int, usage: resource.struct_rusage) -> None:
        """Take note that the leader was reaped."""
        self._code = os.waitstatus_to_exitcode(status)
        self._usage = usage
        self._ending.leader_exited(monotonic())
        self.check()

    def check(self) -> None:
        """Do what the end of the run needs now; call it whenever something may have changed."""
        if self.ended:
            return
        if self._timer is not None:
            self._timer.cancel()
        pipes_open = self.capture is not None and self.capture.open
        action, again_at = self._ending.decide(
            monotonic(), pipes_open=pipes_open, others_alive=lambda: self._others_alive(self)
        )
        if action == FINISH:
            self._finish()
            return
        if action == TERM:
            self._terminate()
        elif action == KILL:
            self._kill()
        self._check_again(again_at)

    def _check_again(self, again_at: float | None) -> None:
        delay_s = None if again_at is None else max(0.0, again_at - monotonic())
        if not self.children and self._ending.exited_at is not None:
            delay_s = min(_STRANGER_POLL_S, delay_s if delay_s is not None else _STRANGER_POLL_S)
        if delay_s is not None:
            self._timer = self._loop.call_later(delay_s, self.check)

    def _terminate(self) -> None:
        living = self._signal_all(signal.SIGTERM)
        if self._ending.by_policy or not self.children:
            self._outlived.update((process.pid, process) for process in living)
        # A stopped process acts on TERM only when it goes on.
        for process in living:
            platform.send_signal(process, signal.SIGCONT)
        self._stage("term")

    def _kill(self) -> None:
        """Kill again and again, since a tree may grow while it is being killed."""
        killed: set[tuple[int, int]] = set()
        for _ in range(_KILL_PASSES):
            living = self._find_tree(self)
            fresh = [process for process in living if (process.pid, process.start) not in killed]
            if not fresh:
                break
            for process in fresh:
                platform.send_signal(process, signal.SIGKILL)
                killed.add((process.pid, process.start))
        self._stage("kill")

    def _signal_all(self, number: int) -> list[Process]:
        living = self._find_tree(self)
        for process in living:
            platform.send_signal(process, number)
        return living

    def _stage(self, name: str) -> None:
        if name not in self._stages:
            self._stages.add(name)
            self._on_stage(self, name)

    def _finish(self) -> None:
        for timer in (self._timer, self._time_limit, self.hub_timer):
            if timer is not None:
                timer.cancel()
        self._name_leftovers()
        if self.capture is not None:
            self.capture.drain()
            self._size = self.capture.sink.size
            self.capture.close()
            self.capture = None
        self.finished_at = format_time(time.time())
        self._on_end(self)

    def _name_leftovers(self) -> None:
        living = (
            {process.pid: process for process in self._find_tree(self)}
            if (self._others_alive(self))
            else {}
        )
        named = {**self._outlived, **living}
        self._leftovers = [
            {"pid": process.pid, "name": process.name, "ended": process.pid not in living}
            for process in named.values()
        ]

    def exit_fields(self) -> dict[str, object]:
        """Return how the run ended, as the hub and ``exit.json`` have it."""
        usage = self._usage
        return {
            "id": self.id,
            "code": self._code,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "size": self.size,
            "cpu_user_s": usage.ru_utime if usage else None,
            "cpu_system_s": usage.ru_stime if usage else None,
            "max_rss_bytes": platform.max_rss_bytes(usage) if usage else None,
            "cancelled": self._reason == "cancelled",
            "reason": self._reason,
            "leftovers": self._leftovers,
        }

    def describe(self) -> dict[str, object]:
        """Return the run as ``list`` tells it."""
        if self.ended:
            return {"state": "exited", "pid": self.pid, **self.exit_fields()}
        return {
            "state": "running",
            "id": self.id,
            "pid": self.pid,
            "started_at": self.started_at,
            "size": self.size,
        }
