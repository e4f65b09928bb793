"""How a run comes to its end: decided here, acted elsewhere.

Runs on: any thread; pure, time comes in as monotonic seconds.

A run has ended when its leader is reaped, nothing of its tree lives, and its pipes are read to
their end. Who outlives the leader gets ``DRAIN_S``, or less when that was asked for, to finish;
then, by policy, is ended (TERM, a short grace, KILL) or left. So a run ends at most 5 s after its
leader.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable

DRAIN_S = 2.0
LEFTOVER_GRACE_S = 1.0
GIVE_UP_S = 1.5
_KILL_AGAIN_S = 0.05
_KILL_AGAIN_MOST_S = 1.0

WAIT, TERM, KILL, FINISH = "wait", "term", "kill", "finish"


class Ending:
    """The state of a run's end.

    Args:
        leave: leave alone what outlives the leader; a cancel ends it all the same.
        drain_s: how long that may finish by itself, and hold the pipes open.

    Attributes:
        exited_at: when the leader was reaped, or None while it lives.
        stop_at: when the tree was first to be stopped, or None.
        by_policy: it is stopped because it outlived its leader, not because someone asked.
    """

    __slots__ = ("_drain_s", "_kill_at", "_kill_pause_s", "_killed_at", "_leave", "_termed",
                 "by_policy", "exited_at", "stop_at")  # fmt: skip

    def __init__(self, *, leave: bool = False, drain_s: float = DRAIN_S) -> None:
        self._leave = leave
        self._drain_s = drain_s
        self._termed = False
        self._kill_at = 0.0
        self._killed_at: float | None = None
        self._kill_pause_s = _KILL_AGAIN_S
        self.by_policy = False
        self.exited_at: float | None = None
        self.stop_at: float | None = None

    def leader_exited(self, now: float) -> None:
        """Take note that the leader was reaped."""
        self.exited_at = now

    def stop(self, now: float, grace_s: float) -> None:
        """Ask for the end of the whole tree: TERM now, KILL after the grace.

        Asked again, the earlier KILL counts.
        """
        self._kill_at = now + grace_s if self.stop_at is None else min(self._kill_at, now + grace_s)
        self.stop_at = self.stop_at if self.stop_at is not None else now

    def decide(
        self, now: float, *, pipes_open: bool, others_alive: Callable[[], bool]
    ) -> tuple[str, float | None]:
        """Return what to do now, and when to ask again at the latest (None: at the next event).

        Args:
            now: monotonic seconds.
            pipes_open: output may still come.
            others_alive: tells whether anything besides the leader lives; only called when that
                matters, because looking is dear.
        """
        if self.exited_at is not None:
            drained_at = self.exited_at + self._drain_s
            drained = not pipes_open or now >= drained_at
            alive = others_alive()
            if drained and (not alive or (self._leave and self.stop_at is None)):
                return FINISH, None
            if self.stop_at is None or not alive:
                if not alive or now < drained_at:
                    return WAIT, drained_at
                self.by_policy = True
                self.stop(now, LEFTOVER_GRACE_S)
        return self._decide_stop(now)

    def _decide_stop(self, now: float) -> tuple[str, float | None]:
        if self.stop_at is None:
            return WAIT, None
        if not self._termed:
            self._termed = True
            return TERM, self._kill_at
        if now < self._kill_at:
            return WAIT, self._kill_at
        if self._killed_at is None:
            self._killed_at = now
        elif self.exited_at is not None and now >= self._killed_at + GIVE_UP_S:
            return FINISH, None
        pause_s, self._kill_pause_s = self._kill_pause_s, self._kill_pause_s * 1.5
        return KILL, now + min(pause_s, _KILL_AGAIN_MOST_S)
