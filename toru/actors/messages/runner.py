"""What RunnerLink is told and asked, and what it tells those whose runs it follows.

Runs on: any thread; frozen values only. The wire itself is described in ``docs/runner.md``.
"""

from __future__ import annotations

import msgspec

from toru.actors.runtime import Message


class Spawned(msgspec.Struct, frozen=True):
    """The process is there."""

    id: str
    pid: int
    started_at: str


class ExitReport(msgspec.Struct, frozen=True):
    """How a run ended, with ``wait4``'s figures.

    Attributes:
        code: the exit code; negative is the signal; None when nobody knows.
        size: bytes of output in all.
        cpu_user_s: processor seconds in user mode; like the next two, None when the runner was
            not there to see the end.
        cpu_system_s: processor seconds in the kernel.
        max_rss_bytes: the most memory that one of its processes held.
        leftovers: processes that outlived their leader.
    """

    id: str
    code: int | None
    started_at: str
    finished_at: str
    size: int = 0
    reason: str = "exit"
    cancelled: bool = False
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    max_rss_bytes: int | None = None
    leftovers: list[Leftover] = msgspec.field(default_factory=list)

    @property
    def cpu_s(self) -> float | None:
        """Processor seconds in all."""
        if self.cpu_user_s is None or self.cpu_system_s is None:
            return None
        return round(self.cpu_user_s + self.cpu_system_s, 3)


class Leftover(msgspec.Struct, frozen=True):
    """A process that outlived the leader of its run."""

    pid: int
    name: str
    ended: bool


class RunStatus(msgspec.Struct, frozen=True):
    """What the runner knows of one run; ``exit`` is None while it goes on."""

    id: str
    pid: int
    started_at: str
    size: int
    exit: ExitReport | None = None


# For RunnerLink


class SpawnRun(Message[Spawned], frozen=True):
    """Start a process under the runner. `SpawnRefused`, Unavailable.

    Attributes:
        id: unique for ever; the same id again gives the same process.
        owner: the name of the actor that is told of its progress and its end.
        directory: where its output goes; None relays the output to the owner instead.
        output_limit_bytes: how much output is kept, or relayed; only a relay may be without.
        hub_gone_s: seconds without a hub after which the runner ends it; None never.
        leftovers: ``end`` or ``leave`` what outlives the leader.
        drain_s: seconds that it may finish by itself first, and hold the pipes open; None is the
            runner's own, 2.
        time_limit_s: seconds it may run; None is no limit.
        relay_bytes_per_s: how fast its output is relayed after a burst, a newline counting as 256
            bytes; what comes faster waits in its pipe. None is no limit.
    """

    id: str
    owner: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    directory: str | None
    output_limit_bytes: int | None
    hub_gone_s: float | None = None
    leftovers: str = "end"
    time_limit_s: float | None = None
    relay_bytes_per_s: int | None = None
    drain_s: float | None = None


class SignalRun(Message[None], frozen=True):
    """Send a signal to the whole tree of a run."""

    id: str
    signal: int


class FollowRun(Message[RunStatus | None], frozen=True):
    """Tell ``owner`` of this run from now on; the answer is what is known of it. Unavailable."""

    id: str
    owner: str


class DescribeRuns(Message[tuple[RunStatus, ...]], frozen=True):
    """What is known of all runs. Unavailable."""


class ListRunIds(Message[list[str]], frozen=True):
    """The runs whose id begins with ``prefix``. Unavailable."""

    prefix: str


class CancelRun(Message[None], frozen=True):
    """TERM to the whole tree, KILL after ``grace_s`` seconds."""

    id: str
    grace_s: float


class ForgetRun(Message[None], frozen=True):
    """The end of the run is recorded durably; the runner may drop it."""

    id: str


# From RunnerLink


class RunStarted(Message[None], frozen=True):
    """The process is there; told before anything else of it."""

    id: str
    pid: int
    started_at: str


class RunProgress(Message[None], frozen=True):
    """The run has written ``size`` bytes so far."""

    id: str
    size: int


class RunOutput(Message[None], frozen=True):
    """A run without a directory has written ``data``; ``is_stderr`` says where."""

    id: str
    data: bytes
    is_stderr: bool


class RunStage(Message[None], frozen=True):
    """A cancel has come to this stage: ``term`` or ``kill``."""

    id: str
    stage: str


class RunExited(Message[None], frozen=True):
    """The run has ended."""

    report: ExitReport


class RunnerConnected(Message[None], frozen=True):
    """The runner is there (again) and knows these runs."""

    runs: tuple[RunStatus, ...]
